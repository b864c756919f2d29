"""Assets are tables, partitions are slices, and the end of a run publishes."""

import errno
import functools

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from autoif_assets.resources import WarehouseIOManager, WarehouseResource, table_schema
from autoif_assets.warehouse import TABLES, Rows, Warehouse, WarehouseLocked, publishing
from autoif_assets_tests.warehouse.samples import sample

GATE = TABLES["response_scores"]
NASTY = 'it\'s ü "b" ' + "x" * 300
BATCHES = dg.DynamicPartitionsDefinition(name="batch")


@dg.asset(
    partitions_def=BATCHES, key_prefix="autoif", backfill_policy=dg.BackfillPolicy.single_run()
)
def response_scores(context: dg.AssetExecutionContext) -> pl.DataFrame:
    return pl.concat(sample(GATE, 4, batch=batch) for batch in context.partition_keys)


SCORES = dg.AssetIn(
    ["autoif", "response_scores"], metadata={"columns": ["batch", "score"], "status": "accepted"}
)
QUERIES = dg.AssetIn("augmented_queries", metadata={"columns": ["prompt_id"]})


def downstream(seen: list[pl.DataFrame], name: str = "seen", **settings: object):
    @dg.asset(name=name, ins={"scores": SCORES}, **settings)
    def asset(scores: pl.DataFrame) -> None:
        seen.append(scores)

    return asset


@pytest.fixture
def run(tmp_path):
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("batch", ["b1", "b2", NASTY])
    warehouse = WarehouseResource(data_dir=str(tmp_path))

    def materialize(*assets, **settings) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            list(assets),
            resources={
                "warehouse": warehouse,
                "io_manager": WarehouseIOManager(warehouse=warehouse),
            },
            instance=instance,
            raise_on_error=False,
            **settings,
        )

    return materialize


def test_a_partition_is_written_described_and_read_back_narrowed(run, tmp_path):
    seen = []
    result = run(response_scores, downstream(seen, partitions_def=BATCHES), partition_key=NASTY)
    assert result.success
    assert seen[0].rows() == [(NASTY, 0.25), (NASTY, 0.75)]
    assert Warehouse(tmp_path).read(GATE.name, {"batch": NASTY}).height == 4
    (event,) = result.asset_materializations_for_node("autoif__response_scores")
    assert event.metadata["dagster/row_count"].value == 4
    assert event.metadata["outcomes"].value.splitlines()[2:] == [
        "| accepted |  | 2 |",
        "| rejected | too_short | 2 |",
    ]


def test_a_run_of_several_partitions_writes_and_reads_them_all(run):
    seen = []
    both = {
        "dagster/asset_partition_range_start": "b1",
        "dagster/asset_partition_range_end": "b2",
    }
    assets = [
        response_scores,
        downstream(seen, partitions_def=BATCHES, backfill_policy=dg.BackfillPolicy.single_run()),
    ]
    assert run(*assets, tags=both).success
    assert seen[0]["batch"].to_list() == ["b1", "b1", "b2", "b2"]


def test_an_asset_without_partitions_reads_all(run):
    for batch in ("b1", NASTY):
        assert run(response_scores, partition_key=batch).success
    seen = []
    everything = downstream(seen)
    assert run(response_scores, everything, selection=[everything]).success
    assert set(seen[0]["batch"]) == {"b1", NASTY}


def test_a_partition_never_made_reads_as_empty(run):
    seen = []
    reader = downstream(seen, partitions_def=BATCHES)
    assert run(response_scores, reader, selection=[reader], partition_key="b1").success
    assert seen[0].schema == {"batch": pl.String, "score": pl.Float64}
    assert seen[0].is_empty()


def test_the_run_publishes_at_its_end_also_when_a_step_fails(run, tmp_path):
    @dg.asset(deps=[response_scores], partitions_def=BATCHES)
    def broken() -> None:
        raise RuntimeError("on purpose")

    assert not run(response_scores, broken, partition_key="b1").success
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as con:
        assert con.execute("SELECT count(*) FROM autoif.response_scores").fetchall() == [(4,)]


def test_a_copy_that_cannot_be_made_is_told_and_the_run_counts(run, monkeypatch, capfd):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publishing, "_copy_bytes", full)
    assert run(response_scores, partition_key="b1").success
    told = capfd.readouterr().err
    assert "ERROR" in told
    assert "The copy for readers is out of date. Failed at publishing: the disk of" in told


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.error.cause.to_string()


def test_an_asset_without_a_table_is_told(run):
    @dg.asset
    def stray() -> pl.DataFrame:
        return pl.DataFrame({"a": [1]})

    assert "Asset stray has no table" in failure(run(stray))


def test_what_is_no_frame_is_told(run):
    @dg.asset
    def seed_queries():
        return [1]

    assert "Asset seed_queries returned list" in failure(run(seed_queries))


def test_a_frame_that_does_not_fit_fails_the_step_with_its_columns(run):
    @dg.asset
    def seed_queries() -> pl.DataFrame:
        return pl.DataFrame({"query_id": [1.75]})

    words = failure(run(seed_queries))
    assert "column query_id: expected VARCHAR, found Float64 (such as 1.75)" in words
    assert "column line is missing" in words


def test_metadata_the_warehouse_does_not_know_is_told(run):
    @dg.asset(
        ins={"scores": dg.AssetIn(["autoif", "response_scores"], metadata={"colums": ["a"]})},
        partitions_def=BATCHES,
    )
    def reader(scores: pl.DataFrame) -> None: ...

    words = failure(run(response_scores, reader, selection=[reader], partition_key="b1"))
    assert "not colums" in words


def test_a_table_of_two_partition_columns_takes_multi_partitions(run, tmp_path):
    calls = TABLES["llm_calls"]
    both = dg.MultiPartitionsDefinition(
        {"asset": dg.StaticPartitionsDefinition(["responses"]), "batch": BATCHES}
    )

    @dg.asset(partitions_def=both)
    def llm_calls() -> pl.DataFrame:
        return sample(calls, 2, asset="responses", batch="b1")

    key = dg.MultiPartitionKey({"asset": "responses", "batch": "b1"})
    assert run(llm_calls, partition_key=key).success
    assert Warehouse(tmp_path).read("llm_calls", {"batch": "b1"}).height == 2


def test_parts_are_read_and_written_in_turn(run, tmp_path):
    @dg.asset(
        partitions_def=BATCHES,
        ins={"scores": dg.AssetIn(["autoif", "response_scores"], metadata={"status": "accepted"})},
    )
    def response_verdicts(
        context: dg.AssetExecutionContext, scores: Rows, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        parts = warehouse.open().read_parts(scores, on="prompt_id")
        context.add_output_metadata({"said": "in the body"})
        return warehouse.store(context, (judged(part) for (part,) in parts))

    def judged(scores: pl.DataFrame) -> pl.DataFrame:
        rows = sample(TABLES["response_verdicts"], scores.height, batch="b1")
        return rows.with_columns(scores["response_id"])

    result = run(response_scores, response_verdicts, partition_key="b1")
    assert result.success
    found = Warehouse(tmp_path).read("response_verdicts")["response_id"].to_list()
    assert found == ["0001", "0003"]
    (event,) = result.asset_materializations_for_node("response_verdicts")
    assert event.metadata["dagster/row_count"].value == 2
    assert event.metadata["said"].value == "in the body"
    assert "| accepted |  | 1 |" in event.metadata["outcomes"].value


def test_the_annotation_picks_whether_rows_are_read(run, tmp_path):
    seen = {}

    @dg.asset(partitions_def=BATCHES, ins={"scores": SCORES, "queries": QUERIES})
    def several(scores: pl.DataFrame, queries: Rows) -> None:
        seen.update({"scores": scores, "queries": queries})

    @dg.asset(partitions_def=BATCHES, ins={"scores": SCORES, "queries": QUERIES})
    def unannotated(scores, queries) -> None:
        seen.update({"plain scores": scores, "plain queries": queries})

    @dg.asset(partitions_def=BATCHES)
    def augmented_queries() -> pl.DataFrame:
        return sample(TABLES["augmented_queries"], 3, batch="b1")

    assert run(response_scores, augmented_queries, several, unannotated, partition_key="b1").success
    assert seen["scores"].height == 2
    assert seen["queries"] == Rows("augmented_queries", ["prompt_id"], None, [{"batch": "b1"}])
    assert seen["plain scores"].height == 2
    assert seen["plain queries"].rows() == [("0000",), ("0001",), ("0002",)]


def test_values_are_loaded_outside_a_run(run, tmp_path):
    assert run(response_scores, partition_key="b1").success
    warehouse = WarehouseResource(data_dir=str(tmp_path))
    defs = dg.Definitions(
        [response_scores], resources={"io_manager": WarehouseIOManager(warehouse=warehouse)}
    )
    load = functools.partial(defs.load_asset_value, response_scores.key, partition_key="b1")
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("batch", ["b1"])
    assert load(instance=instance).height == 4
    assert load(instance=instance, python_type=Rows) == Rows(
        GATE.name, None, None, [{"batch": "b1"}]
    )


def test_table_schema_is_the_declaration():
    columns = {column.name: column for column in table_schema(GATE).columns}
    assert list(columns) == [column.name for column in GATE.columns]
    assert columns["score"].type == "DOUBLE"
    assert columns["score"].constraints.nullable
    assert not columns["batch"].constraints.nullable


def test_people_configure_the_folder_and_not_the_file():
    settings = WarehouseResource.to_config_schema().as_field().config_type.fields
    how = {"lock_timeout_s", "publish_every_s_per_gb"}
    assert set(settings) == {"data_dir", "storage", "lake_catalog", "lake_data"} | how
    resource = WarehouseResource(data_dir="data")
    assert isinstance(resource, DuckDBResource)
    assert resource.database == "data/pipeline.duckdb"


def test_a_connection_stores_all_of_its_block_or_nothing(tmp_path):
    resource = WarehouseResource(data_dir=str(tmp_path))
    with resource.get_connection() as con:  # makes the file
        con.execute("CREATE TABLE mine AS SELECT 1 AS a")
    with pytest.raises(duckdb.CatalogException), resource.get_connection() as con:
        con.execute("INSERT INTO mine VALUES (2)")
        con.execute("INSERT INTO nobodys VALUES (3)")
    with pytest.raises(KeyError), resource.get_connection() as con:
        con.execute("DELETE FROM mine")
        raise KeyError
    with resource.get_connection() as con:
        assert con.execute("FROM mine").fetchall() == [(1,)]
        assert con.execute(f"FROM autoif.{GATE.name}").fetchall() == []


def test_a_connection_is_the_only_one_meanwhile(tmp_path):
    resource = WarehouseResource(data_dir=str(tmp_path))
    hurried = Warehouse(tmp_path, lock_timeout_s=0.1)
    frame = sample(GATE, 4, batch="b1")
    with (
        resource.get_connection(),
        pytest.raises(WarehouseLocked, match=r"in use by process \d+: a transaction"),
    ):
        hurried.write(GATE.name, frame, {"batch": "b1"})
    assert hurried.write(GATE.name, frame, {"batch": "b1"}) == 4
