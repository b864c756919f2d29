"""Every table as Parquet files."""

import duckdb
import polars as pl
import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
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


def test_one_batch_is_exported_beside_the_others(warehouse, tmp_path):
    warehouse.export_parquet(tmp_path / "out")
    for batch in ("b1", "b:1"):
        warehouse.write(GATE.name, sample(GATE, 1, batch=batch), {"batch": batch})
    rows = warehouse.export_parquet(tmp_path / "out", ["b1"])
    assert rows[GATE.name] == 1
    found = pl.read_parquet(tmp_path / "out" / GATE.name / "*.parquet")
    counts = dict(found.group_by("batch").len().rows())
    assert counts == dict.fromkeys(BATCHES, 3) | {"b1": 1}


def test_a_batch_that_is_not_there_is_told(warehouse, tmp_path):
    words = r"no batch 'b9' to export; there are '\.', '\.\./b', 'b1'"
    with pytest.raises(WarehouseError, match=words):
        warehouse.export_parquet(tmp_path / "out", ["b1", "b9"])
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_files(warehouse, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(warehouse.data_dir))
    result = CliRunner().invoke(main, ["export", "--parquet", "--batch", "b1"])
    assert result.exit_code == 0, result.output
    assert "3 response_scores" in result.output
    files = warehouse.data_dir / "exports" / "parquet"
    assert result.output.splitlines()[-1] == str(files)
    assert pl.read_parquet(files / GATE.name / "*.parquet").height == 3
    result = CliRunner().invoke(main, ["export", "--parquet", "--batch", "b9"])
    assert result.exit_code == 2
    assert "no batch 'b9'" in result.output
