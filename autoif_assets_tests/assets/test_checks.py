"""Asset checks look at what was made, and say what is wrong with it."""

import dagster as dg
import duckdb
import polars as pl
import pytest

from autoif_assets.assets.checks import CHECKS
from autoif_assets.resources import RecipeResource, SandboxResource, WarehouseResource
from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets_tests.warehouse.samples import sample

RESPONSES = TABLES["responses"]
QUERIES = TABLES["augmented_queries"]
VERDICTS = TABLES["response_verdicts"]
EXAMPLES = TABLES["sft_examples"]

KEYS = {key for checks in CHECKS for key in checks.check_keys}
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def evaluate(data, *keys: dg.AssetCheckKey) -> dg.ExecuteInProcessResult:
    """Execute checks on their own, on all rows."""
    defs = dg.Definitions(
        assets=[dg.AssetSpec(key) for key in {key.asset_key for key in keys}],
        asset_checks=[c for c in CHECKS if c.check_keys & set(keys)],
        resources={
            "warehouse": WarehouseResource(data_dir=str(data)),
            "sandbox": SandboxResource(workers=1),
            "recipe": RecipeResource(),
        },
        jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.checks(*keys))],
    )
    return defs.resolve_job_def("checks").execute_in_process(
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def check(data, table: str, name: str) -> dg.AssetCheckEvaluation:
    result = evaluate(data, dg.AssetCheckKey(dg.AssetKey(table), name))
    (evaluation,) = result.get_asset_check_evaluations()
    # Only an error of a blocking check fails the run.
    assert result.success is (evaluation.passed or evaluation.severity == WARN)
    return evaluation


def numbers(evaluation: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in evaluation.metadata.items()}


def change(data, *statements: str) -> None:
    """Spoil stored rows as only a defect could."""
    with duckdb.connect(data / "pipeline.duckdb") as con:
        for statement in statements:
            con.execute(statement)


def write(data, table: str, frame: pl.DataFrame, batch: str = "b1") -> None:
    Warehouse(data).write(table, frame, {"batch": batch})


def of_one_instruction(instruction: int, rows: int) -> pl.DataFrame:
    name = f"i{instruction:02}"
    return sample(EXAMPLES, rows, name, batch="b1").with_columns(
        instruction_id=pl.lit(name), status=pl.lit("accepted")
    )


def executed(outcomes: list[str]) -> pl.DataFrame:
    """A response with these outcomes."""
    said = [[{"verifier_id": str(i), "outcome": o} for i, o in enumerate(outcomes)]]
    frame = sample(VERDICTS, 1, batch="b1")
    return frame.with_columns(outcomes=pl.Series(said, dtype=frame.schema["outcomes"]))


def gate(batch: str, accepted: int, rows: int) -> pl.DataFrame:
    status = ["accepted"] * accepted + ["rejected"] * (rows - accepted)
    return sample(RESPONSES, rows, batch=batch).with_columns(
        status=pl.Series(status), reason=pl.lit("empty")
    )


def test_every_check_passes_where_nothing_was_made(tmp_path):
    result = evaluate(tmp_path / "new", *KEYS)
    assert result.success
    evaluations = result.get_asset_check_evaluations()
    assert {e.asset_check_key for e in evaluations} == KEYS
    assert all(e.passed for e in evaluations)


def test_rows_without_their_parents_are_told(tmp_path):
    write(tmp_path, "responses", sample(RESPONSES, 4, batch="b1"))
    write(tmp_path, QUERIES.name, sample(QUERIES, 3, batch="b1"))
    found = check(tmp_path, "responses", "foreign_keys")
    assert not found.passed
    assert found.severity == WARN
    assert "1 rows have a prompt_id that is not in augmented_queries, such as 0003" in str(
        found.description
    )
    assert found.metadata["orphans by batch, call_id"].value == 4


def test_a_key_that_is_there_twice_or_null_is_an_error(tmp_path):
    write(tmp_path, "augmented_queries", sample(QUERIES, 3, batch="b1"))
    assert check(tmp_path, "augmented_queries", "keys").passed
    change(
        tmp_path,
        "INSERT INTO autoif.augmented_queries FROM autoif.augmented_queries "
        "WHERE prompt_id = '0001'",
    )
    found = check(tmp_path, "augmented_queries", "keys")
    assert not found.passed
    assert found.severity == ERROR
    assert "1 rows repeat the key (batch, prompt_id) of another, such as b1, 0001" in str(
        found.description
    )
    change(
        tmp_path,
        "ALTER TABLE autoif.augmented_queries ALTER prompt_id DROP NOT NULL",
        "UPDATE autoif.augmented_queries SET prompt_id = NULL WHERE prompt_id = '0002'",
    )
    assert numbers(check(tmp_path, "augmented_queries", "keys")) == {
        "rows with null keys": 1,
        "rows with repeated keys": 1,
    }


def test_an_accepted_row_of_a_rejected_parent_is_an_error(tmp_path):
    # Of samples, every other row is accepted.
    write(tmp_path, "responses", sample(RESPONSES, 4, batch="b1"))
    write(tmp_path, "response_verdicts", sample(VERDICTS, 4, batch="b1"))
    assert check(tmp_path, "response_verdicts", "accepted_parents").passed
    change(
        tmp_path,
        "UPDATE autoif.responses SET status = 'rejected' WHERE response_id = '0003'",
    )
    found = check(tmp_path, "response_verdicts", "accepted_parents")
    assert not found.passed
    assert found.severity == ERROR
    assert "1 rows have a response_id that responses did not accept, such as 0003" in str(
        found.description
    )


def test_executions_without_verdict_are_told(tmp_path):
    write(tmp_path, "response_verdicts", executed(["pass", "pass", "fail", "not_bool", "timeout"]))
    assert check(tmp_path, "response_verdicts", "no_verdict_share").passed
    write(tmp_path, "response_verdicts", executed(["pass", "crash", "timeout", "timeout"]))
    found = check(tmp_path, "response_verdicts", "no_verdict_share")
    assert (found.passed, found.severity) == (False, WARN)
    assert "75% of 4 executions gave no verdict, most often because of timeout" in str(
        found.description
    )
    assert numbers(found) == {"runs": 4, "share": 0.75}


@pytest.mark.parametrize(("instructions", "rows", "passed"), [(10, 2, True), (10, 3, False)])
def test_an_instruction_with_too_many_rows_is_told(tmp_path, instructions, rows, passed):
    frames = [of_one_instruction(i, 1) for i in range(1, instructions)]
    write(tmp_path, "sft_examples", pl.concat([*frames, of_one_instruction(0, rows)]))
    found = check(tmp_path, "sft_examples", "dominance")
    assert (found.passed, found.severity) == (passed, WARN)
    if not passed:
        assert "25% of the rows are of instruction i00, out of 10" in str(found.description)


def test_of_few_instructions_one_may_have_most_rows(tmp_path):
    frames = [of_one_instruction(0, 20), *(of_one_instruction(i, 1) for i in range(1, 9))]
    write(tmp_path, "sft_examples", pl.concat(frames))
    assert check(tmp_path, "sft_examples", "dominance").passed


@pytest.mark.parametrize(
    ("longer", "rows", "constrains", "passed"),
    [(40, 200, False, False), (40, 199, False, True), (40, 400, True, True), (5, 200, False, True)],
)
def test_chosen_texts_that_are_longer_are_told(tmp_path, longer, rows, constrains, passed):
    pairs = sample(TABLES["preference_pairs"], rows, batch="b1").with_columns(
        status=pl.lit("accepted"),
        reason=pl.lit(None, pl.String),
        chosen_length=100 + longer,
        rejected_length=100,
        constrains_length=constrains,
    )
    write(tmp_path, "preference_pairs", pairs)
    found = check(tmp_path, "preference_pairs", "length_bias")
    assert (found.passed, found.severity) == (passed, WARN)
    if not passed:
        assert "40 characters longer than rejected ones on average, +33%" in str(found.description)


def test_a_batch_with_another_yield_than_the_others_is_told(tmp_path):
    for i in range(5):
        write(tmp_path, "responses", gate(f"b{i}", 10 + i % 2, 20), f"b{i}")
    write(tmp_path, "responses", gate("odd", 1, 20), "odd")
    found = check(tmp_path, "responses", "yield_bounds")
    assert (found.passed, found.severity) == (False, WARN)
    assert "5% of the rows of batch odd were accepted; other batches lead to expect 45% to 59%" in (
        str(found.description)
    )
    write(tmp_path, "responses", gate("odd", 10, 20), "odd")
    assert check(tmp_path, "responses", "yield_bounds").passed


def test_with_few_other_batches_any_yield_is_usual(tmp_path):
    for i, accepted in enumerate((10, 10, 10, 10, 1)):
        write(tmp_path, "responses", gate(f"b{i}", accepted, 20), f"b{i}")
    assert check(tmp_path, "responses", "yield_bounds").passed


@pytest.mark.parametrize("what", ["instruction", "prompt"])
def test_what_is_in_both_splits_is_an_error(tmp_path, what):
    examples = sample(EXAMPLES, 2, batch="b1")
    write(tmp_path, "sft_examples", examples.with_columns(status=pl.lit("accepted")))
    splits = pl.DataFrame(
        {
            "dataset": ["sft"] * 2,
            "instruction_id": ["0000", "0001"],
            "split": ["train", "eval"],
        }
    )
    Warehouse(tmp_path).write("dataset_splits", splits, {"dataset": "sft"})
    assert check(tmp_path, "sft_dataset", "splits").passed
    assert check(tmp_path, "preference_dataset", "splits").passed
    change(
        tmp_path,
        {
            "instruction": "INSERT INTO autoif.dataset_splits VALUES ('sft', '0000', 'eval')",
            "prompt": "UPDATE autoif.sft_examples SET prompt = 'the same'",
        }[what],
    )
    found = check(tmp_path, "sft_dataset", "splits")
    assert (found.passed, found.severity) == (False, ERROR)
    assert "in both splits, such as of instruction 000" in str(found.description)
    assert check(tmp_path, "preference_dataset", "splits").passed


@pytest.mark.parametrize("poisoned", [False, True])
def test_a_blocking_check_stops_what_is_downstream(tmp_path, poisoned):
    """Of an asset that returns a result, and of one of several that one step makes."""
    warehouse = WarehouseResource(data_dir=str(tmp_path))
    write(tmp_path, "responses", sample(RESPONSES, 4, batch="b1"))
    made = []

    @dg.asset(name="response_verdicts")
    def verdicts(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        rows = sample(VERDICTS, 4, batch="b1")
        if poisoned:
            rows = rows.with_columns(status=pl.lit("accepted"))
        warehouse.open().write("response_verdicts", rows, {"batch": "b1"})
        return dg.MaterializeResult()

    @dg.multi_asset(outs={"verifiers": dg.AssetOut(), "verifier_cases": dg.AssetOut()})
    def several(context: dg.AssetExecutionContext, warehouse: WarehouseResource):
        tables = warehouse.open()
        for name in ("verifiers", "verifier_cases"):
            rows = sample(TABLES[name], 4, batch="b1")
            if not poisoned:
                rows = rows.with_columns(status=pl.lit("rejected"), reason=pl.lit("other"))
            tables.write(name, rows, {"batch": "b1"})
        return 1, 2

    @dg.asset(deps=["response_verdicts"])
    def after_one() -> None:
        made.append("after_one")

    @dg.asset(deps=["verifiers"])
    def after_several() -> None:
        made.append("after_several")

    checked = {"response_verdicts", "verifiers", "verifier_cases"}
    result = dg.materialize(
        [
            *(verdicts, several, after_one, after_several),
            *(c for c in CHECKS if {k.asset_key.to_user_string() for k in c.check_keys} <= checked),
        ],
        resources={"warehouse": warehouse},
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    failed = {
        (e.asset_key.to_user_string(), e.check_name)
        for e in result.get_asset_check_evaluations()
        if not e.passed and e.severity == ERROR
    }
    parents = {(name, "accepted_parents") for name in checked}
    assert failed == (parents if poisoned else set())
    assert sorted(made) == ([] if poisoned else ["after_one", "after_several"])
    assert result.success is not poisoned


@pytest.mark.slow
def test_a_batch_that_was_made_passes_every_check(made):
    evaluations = made.result.get_asset_check_evaluations()
    left = KEYS - {e.asset_check_key for e in evaluations}
    # The exports, which have splits, may be a run of their own, and so are the policies.
    tables = {name for name, table in TABLES.items() if "policy" not in table.partitions}
    assert {key.name for key in left if key.asset_key.to_user_string() in tables} == set()
    assert [e.description for e in evaluations if not e.passed] == []
    again = [numbers(e) for e in evaluations if e.check_name == "pass_again"]
    assert len(again) == 4
    assert all(seen["texts"] > 0 == seen["contradicted"] for seen in again)


@pytest.mark.slow
def test_on_their_own_the_checks_look_at_all_batches_and_pass_too(made):
    evaluations = evaluate(made.data, *KEYS).get_asset_check_evaluations()
    assert len(evaluations) == len(KEYS)
    assert [e.description for e in evaluations if not e.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "spoil"),
    [
        ("sft_examples", "response = '?'"),
        ("kto_examples", "label = NOT label"),
        ("query_preference_pairs", "chosen = rejected"),
        ("query_preference_pairs", "rejected = chosen"),
        ("instruction_preference_pairs", "rejected = chosen"),
    ],
)
def test_texts_that_do_not_do_again_what_they_did_are_an_error(copied, table, spoil):
    change(copied.data, f"UPDATE autoif.{table} SET {spoil}")
    found = check(copied.data, table, "pass_again")
    assert (found.passed, found.severity) == (False, ERROR)
    assert "texts, executed again, do not do what they are there for" in str(found.description)
    assert 0 < numbers(found)["contradicted"] <= numbers(found)["texts"] <= 100
