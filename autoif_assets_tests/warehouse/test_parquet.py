"""Every table as Parquet files."""

import duckdb
import polars as pl
import pytest

from autoif_assets.warehouse import TABLES, Warehouse, WarehouseError, empty_frame

from .samples import sample

GATE = TABLES["response_scores"]
BATCHES = ["b1", "b:1", "b;1", "../b", ".", "it's ü\n" + "ü" * 300]


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    warehouse = Warehouse(tmp_path / "data")
    slices = [{"batch": batch} for batch in BATCHES]
    frames = [sample(GATE, 3, batch=batch) for batch in BATCHES]
    warehouse.write(GATE.name, pl.concat(frames), partitions=slices)
    return warehouse


def test_each_batch_is_a_file_and_all_files_are_the_table(warehouse, tmp_path):
    rows = warehouse.export_parquet(tmp_path / "out")
    assert rows[GATE.name] == 3 * len(BATCHES)
    files = sorted((tmp_path / "out" / GATE.name).iterdir())
    assert len(files) == len(BATCHES)
    assert (tmp_path / "out" / GATE.name / "b1.parquet") in files
    found = pl.concat(pl.read_parquet(file) for file in files).sort(GATE.key)
    assert found.equals(warehouse.read(GATE.name).sort(GATE.key))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(TABLES)


def test_a_table_without_rows_has_its_columns(warehouse, tmp_path):
    warehouse.export_parquet(tmp_path / "out")
    for name, table in TABLES.items():
        found = duckdb.sql(f"FROM read_parquet('{tmp_path}/out/{name}/*.parquet')")
        assert found.columns == [column.name for column in table.columns]


def test_an_export_replaces_the_one_before(warehouse, tmp_path):
    warehouse.export_parquet(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    slices = [{"batch": batch} for batch in BATCHES[1:]]
    warehouse.write(GATE.name, empty_frame(GATE), partitions=slices)
    warehouse.export_parquet(tmp_path / "out")
    names = [path.name for path in (tmp_path / "out" / GATE.name).iterdir()]
    assert names == ["b1.parquet"]
    assert (tmp_path / "out" / "notes.txt").exists()


def test_there_must_be_something_to_export(tmp_path):
    with pytest.raises(WarehouseError, match="Nothing to export"):
        Warehouse(tmp_path / "data").export_parquet(tmp_path / "out")
