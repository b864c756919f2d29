"""The decorator of stages: what is stated once is read, stored, stamped, shown and checked."""

import dagster as dg
import polars as pl
import pytest

from autoif_assets.resources import WarehouseIOManager, WarehouseResource, add_metadata
from autoif_assets.resources.settings import settings
from autoif_assets.stage import Frames, Parts, accepted, rows, stage, stages_of
from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets_tests.warehouse.samples import sample

SEEN: list[object] = []
POISONED: set[str] = set()


def of(table: str, count: int = 4) -> pl.DataFrame:
    """Return rows of a table without its partition; accepted ones where they are poisoned."""
    frame = sample(TABLES[table], count, batch="?").drop("batch")
    if table in POISONED:
        return frame.with_columns(status=pl.lit("accepted"), reason=pl.lit(None, pl.String))
    return frame.with_columns(status=pl.lit("rejected"), reason=pl.lit("other"))


@stage("responses", group="g")
def made_in_one() -> pl.DataFrame:
    return sample(TABLES["responses"], 4, batch="?").drop("batch")


@stage("verifiers", "verifier_cases", group="g")
def several() -> tuple[pl.DataFrame, pl.DataFrame]:
    return of("verifiers"), of("verifier_cases")


@stage(
    "response_verdicts",
    group="g",
    parts={
        "candidates": accepted("responses", "response_id", "instruction_id"),
        "verifiers": rows("verifiers", "verifier_id", "instruction_id"),
    },
    part_rows=1,
    shows=lambda warehouse, keys: {"shown": f"{keys} {warehouse.query('SELECT 1').height}"},
)
def made_in_parts(context: dg.AssetExecutionContext, parts: Parts) -> Frames:
    for number, (candidates, verifiers) in enumerate(parts):
        SEEN.append((candidates.columns, candidates.height, verifiers.columns))
        if number == 0:
            yield of("response_verdicts")
    add_metadata(context, {"told": "in the end"})


@stage(group="g", kinds={"html"}, description="What comes after.", after=["response_verdicts"])
def after_parts() -> dg.MaterializeResult[None]:
    SEEN.append("after_parts")
    return dg.MaterializeResult()


@stage(group="g", kinds={"html"}, description="What comes after.", after=["verifiers"])
def after_several() -> dg.MaterializeResult[None]:
    SEEN.append("after_several")
    return dg.MaterializeResult()


@stage("seed_queries", group="g")
def fails_when_storing() -> Frames:
    try:
        yield pl.DataFrame({"query": [1]})
    finally:
        SEEN.append("closed")


@pytest.fixture
def run(tmp_path):
    SEEN.clear()
    POISONED.clear()
    warehouse = WarehouseResource(data_dir=str(tmp_path))

    def run(*assets) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("batch", ["b1"])
            batched = any(asset.partitions_def for asset in assets)
            return dg.materialize(
                assets,
                instance=instance,
                resources={
                    "warehouse": warehouse,
                    "io_manager": WarehouseIOManager(warehouse=warehouse),
                },
                partition_key="b1" if batched else None,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )

    return run


def test_rows_are_stored_with_their_batch_and_read_as_stated(run, tmp_path):
    result = run(made_in_one, several, made_in_parts)
    assert result.success
    warehouse = Warehouse(tmp_path)
    for name in ("responses", "verifiers", "verifier_cases", "response_verdicts"):
        assert warehouse.read(name)["batch"].to_list() == ["b1"] * 4, name
    # In parts: columns as stated, accepted rows only, and together all of them.
    columns = {(tuple(one), tuple(other)) for one, _, other in SEEN}
    assert columns == {(("response_id", "instruction_id"), ("verifier_id", "instruction_id"))}
    assert len(SEEN) > 1
    assert sum(height for _, height, _ in SEEN) == 2
    (event,) = result.asset_materializations_for_node("response_verdicts")
    assert event.metadata["told"].value == "in the end"
    assert event.metadata["shown"].value == "{'batch': 'b1'} 1"
    assert event.metadata["dagster/row_count"].value == 4


def test_checks_cost_no_step_of_their_own(run):
    result = run(made_in_one, several, made_in_parts)
    assert {event.step_key for event in result.all_events if event.is_step_success} == {
        *("responses", "several", "response_verdicts"),
    }
    wanted = {key for asset in (made_in_one, several, made_in_parts) for key in asset.check_keys}
    found = result.get_asset_check_evaluations()
    assert {evaluation.asset_check_key for evaluation in found} == wanted
    orphans = next(
        e for e in found if (e.asset_key.path[-1], e.check_name) == ("responses", "foreign_keys")
    )
    assert (orphans.passed, orphans.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "4 rows have a prompt_id that is not in augmented_queries" in str(orphans.description)
    assert orphans.metadata["orphans by batch, call_id"].value == 4


@pytest.mark.parametrize(
    ("poisoned", "made"),
    [
        ((), ["after_parts", "after_several"]),
        # One of a stage that makes its rows in parts, and two of one stage.
        (("response_verdicts",), ["after_several"]),
        (("verifiers", "verifier_cases"), []),
    ],
)
def test_a_blocking_check_stops_what_is_downstream(run, poisoned, made):
    POISONED.update(poisoned)
    result = run(made_in_one, several, made_in_parts, after_parts, after_several)
    failed = {
        (e.asset_key.to_user_string(), e.check_name)
        for e in result.get_asset_check_evaluations()
        if not e.passed and e.severity == dg.AssetCheckSeverity.ERROR
    }
    assert failed == {(name, "accepted_parents") for name in poisoned}
    assert sorted(seen for seen in SEEN if isinstance(seen, str)) == made
    assert result.success is not bool(poisoned)


def test_what_a_stage_holds_is_released_where_its_rows_cannot_be_stored(run):
    assert not run(fails_when_storing).success
    assert SEEN == ["closed"]


def test_what_is_said_of_an_asset_comes_from_its_table():
    (spec,) = made_in_parts.specs
    assert spec.key.to_user_string() == "response_verdicts"
    assert spec.description == (
        f"{TABLES['response_verdicts'].description}\n\n"
        "The paper's rule: More than half of the verdicts are pass.\n\n"
        "[AutoIF, section 3.3](https://arxiv.org/abs/2406.13542)"
    )
    assert spec.kinds == {"duckdb", "polars"}
    assert spec.tags["autoif/paper_section"] == "3.3"
    assert spec.owners == ["team:autoif"]
    assert made_in_parts.op.name == "response_verdicts"


def test_an_asset_links_to_its_table_in_the_documentation_that_is_served(monkeypatch):
    monkeypatch.setenv("AUTOIF_DOCS_URL", "https://docs.example/autoif/")
    monkeypatch.setattr("autoif_assets.stage._SET", settings())  # as a process reads them once
    found = stages_of(__name__)["response_verdicts"].shown(TABLES["response_verdicts"])
    link = "https://docs.example/autoif/tables/#autoifresponse_verdicts"
    assert found["description"].endswith(f"[In the documentation]({link})")
