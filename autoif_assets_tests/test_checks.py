"""Checks look at what was stored, and say what is wrong with it."""

import duckdb
import polars as pl
import pytest

from autoif_assets.checks import (
    Check,
    CheckContext,
    Finding,
    accepted_parents,
    checks_of,
    dominance,
    even_lengths,
    foreign_keys,
    keys,
    no_verdict_share,
    pass_again,
    splits,
    yield_bounds,
)
from autoif_assets.method.recipe import PAPER
from autoif_assets.resources import SandboxResource
from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets_tests.warehouse.samples import sample

RESPONSES = TABLES["responses"]
QUERIES = TABLES["augmented_queries"]
VERDICTS = TABLES["response_verdicts"]
EXAMPLES = TABLES["sft_examples"]
PAIRS = TABLES["preference_pairs"]


def found(data, check: Check) -> Finding:
    """Return what a check finds in all rows."""
    with Warehouse(data).reading() as query:
        return check.find(CheckContext(query, None))


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
    checks = [check for table in TABLES.values() for check in checks_of(table)]
    checks += [dominance(EXAMPLES), even_lengths(PAIRS), splits("sft", "sft_examples")]
    with SandboxResource(workers=1).session(None) as sandbox:
        again = pass_again({"response": "true"}, "response_pass_rate")(EXAMPLES)
        with Warehouse(tmp_path / "new").reading() as query:
            context = CheckContext(query, None, PAPER, sandbox.run)
            assert [check.find(context).wrong for check in (*checks, again)] == [[]] * (
                len(checks) + 1
            )
    assert len(checks) > 60


def test_rows_without_their_parents_are_told(tmp_path):
    write(tmp_path, "responses", sample(RESPONSES, 4, batch="b1"))
    write(tmp_path, QUERIES.name, sample(QUERIES, 3, batch="b1"))
    said = found(tmp_path, foreign_keys(RESPONSES))
    assert "1 rows have a prompt_id that is not in augmented_queries, such as 0003" in said.wrong[0]
    assert said.numbers["orphans by batch, call_id"] == 4


def test_a_key_that_is_there_twice_or_null_is_an_error(tmp_path):
    write(tmp_path, "augmented_queries", sample(QUERIES, 3, batch="b1"))
    assert not found(tmp_path, keys(QUERIES)).wrong
    change(
        tmp_path,
        "INSERT INTO autoif.augmented_queries FROM autoif.augmented_queries "
        "WHERE prompt_id = '0001'",
    )
    said = found(tmp_path, keys(QUERIES))
    assert "1 rows repeat the key (batch, prompt_id) of another, such as b1, 0001" in said.wrong[0]
    change(
        tmp_path,
        "ALTER TABLE autoif.augmented_queries ALTER prompt_id DROP NOT NULL",
        "UPDATE autoif.augmented_queries SET prompt_id = NULL WHERE prompt_id = '0002'",
    )
    assert found(tmp_path, keys(QUERIES)).numbers == {
        "rows with null keys": 1,
        "rows with repeated keys": 1,
    }


def test_an_accepted_row_of_a_rejected_parent_is_an_error(tmp_path):
    # Of samples, every other row is accepted.
    write(tmp_path, "responses", sample(RESPONSES, 4, batch="b1"))
    write(tmp_path, "response_verdicts", sample(VERDICTS, 4, batch="b1"))
    assert not found(tmp_path, accepted_parents(VERDICTS)).wrong
    change(
        tmp_path,
        "UPDATE autoif.responses SET status = 'rejected' WHERE response_id = '0003'",
    )
    said = found(tmp_path, accepted_parents(VERDICTS))
    assert "1 rows have a response_id that responses did not accept, such as 0003" in said.wrong[0]


def test_executions_without_verdict_are_told(tmp_path):
    write(tmp_path, "response_verdicts", executed(["pass", "pass", "fail", "not_bool", "timeout"]))
    assert not found(tmp_path, no_verdict_share(VERDICTS)).wrong
    write(tmp_path, "response_verdicts", executed(["pass", "crash", "timeout", "timeout"]))
    said = found(tmp_path, no_verdict_share(VERDICTS))
    assert "75% of 4 executions gave no verdict, most often because of timeout" in said.wrong[0]
    assert said.numbers == {"runs": 4, "share": 0.75}


@pytest.mark.parametrize(("instructions", "rows", "passed"), [(10, 2, True), (10, 3, False)])
def test_an_instruction_with_too_many_rows_is_told(tmp_path, instructions, rows, passed):
    frames = [of_one_instruction(i, 1) for i in range(1, instructions)]
    write(tmp_path, "sft_examples", pl.concat([*frames, of_one_instruction(0, rows)]))
    said = found(tmp_path, dominance(EXAMPLES))
    assert bool(said.wrong) is not passed
    if not passed:
        assert "25% of the rows are of instruction i00, out of 10" in said.wrong[0]


def test_of_few_instructions_one_may_have_most_rows(tmp_path):
    frames = [of_one_instruction(0, 20), *(of_one_instruction(i, 1) for i in range(1, 9))]
    write(tmp_path, "sft_examples", pl.concat(frames))
    assert not found(tmp_path, dominance(EXAMPLES)).wrong


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
    said = found(tmp_path, even_lengths(PAIRS))
    assert bool(said.wrong) is not passed
    if not passed:
        assert "40 characters longer than rejected ones on average, +33%" in said.wrong[0]


def test_a_batch_with_another_yield_than_the_others_is_told(tmp_path):
    for i in range(5):
        write(tmp_path, "responses", gate(f"b{i}", 10 + i % 2, 20), f"b{i}")
    write(tmp_path, "responses", gate("odd", 1, 20), "odd")
    said = found(tmp_path, yield_bounds(RESPONSES))
    assert (
        "5% of the rows of batch odd were accepted; other batches lead to expect 45% to 59%"
        in said.wrong[0]
    )
    write(tmp_path, "responses", gate("odd", 10, 20), "odd")
    assert not found(tmp_path, yield_bounds(RESPONSES)).wrong


def test_with_few_other_batches_any_yield_is_usual(tmp_path):
    for i, accepted in enumerate((10, 10, 10, 10, 1)):
        write(tmp_path, "responses", gate(f"b{i}", accepted, 20), f"b{i}")
    assert not found(tmp_path, yield_bounds(RESPONSES)).wrong


@pytest.mark.parametrize("what", ["instruction", "prompt", "query", "demand", "verdict"])
def test_what_is_in_both_splits_is_an_error(tmp_path, what):
    examples = sample(EXAMPLES, 2, batch="b1")
    write(tmp_path, "sft_examples", examples.with_columns(status=pl.lit("accepted")))
    verified = sample(TABLES["verified_instructions"], 2, batch="b1")
    write(tmp_path, "verified_instructions", verified)
    sides = pl.DataFrame(
        {
            "dataset": ["sft"] * 2,
            "instruction_id": ["0000", "0001"],
            "split": ["train", "eval"],
        }
    )
    Warehouse(tmp_path).write("dataset_splits", sides, {"dataset": "sft"})
    assert not found(tmp_path, splits("sft", "sft_examples")).wrong
    assert not found(tmp_path, splits("preference", "preference_pairs")).wrong
    change(
        tmp_path,
        {
            "instruction": "INSERT INTO autoif.dataset_splits VALUES ('sft', '0000', 'eval')",
            "prompt": "UPDATE autoif.sft_examples SET prompt = 'the same'",
            "query": "UPDATE autoif.sft_examples SET query_id = 'the same'",
            "demand": "UPDATE autoif.verified_instructions SET instruction = "
            "CASE instruction_id WHEN '0000' THEN 'Use no commas.' ELSE 'Avoid using commas' END",
            "verdict": "INSERT INTO autoif.verdict_matrix SELECT 'b1', unnest(['0000', '0001']), "
            f"20, '{'01' * 10}', '{'1' * 20}', NULL, NULL",
        }[what],
    )
    said = found(tmp_path, splits("sft", "sft_examples"))
    counted = {"query": "queries", "verdict": "demands"}.get(what, f"{what}s")
    assert f"1 {counted}" in said.wrong[0]
    assert "such as of instruction 000" in said.wrong[0]
    assert not found(tmp_path, splits("preference", "preference_pairs")).wrong


def test_a_query_of_pairs_in_both_splits_is_an_error_unless_they_are_left_out(tmp_path):
    asked = sample(QUERIES, 2, batch="b1").with_columns(query_id=pl.lit("q"))
    write(tmp_path, "augmented_queries", asked)
    pairs = sample(TABLES["preference_pairs"], 2, batch="b1")
    write(tmp_path, "preference_pairs", pairs.with_columns(status=pl.lit("accepted")))
    of_pairs = {"dataset": "preference"}
    sides = pairs.select(
        "instruction_id", dataset=pl.lit("preference"), split=pl.Series(["train", "eval"])
    )
    Warehouse(tmp_path).write("dataset_splits", sides, of_pairs)
    said = found(tmp_path, splits("preference", "preference_pairs"))
    assert "1 queries" in said.wrong[0]
    left_out = pl.DataFrame({**of_pairs, "prompt_id": ["0000"], "query_of": "eval"})
    Warehouse(tmp_path).write("dataset_left_out", left_out, of_pairs)
    assert not found(tmp_path, splits("preference", "preference_pairs")).wrong
