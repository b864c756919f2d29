"""The examples are run as they are."""

import runpy
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from autoif_assets.warehouse import TABLES, Warehouse

from .warehouse.samples import sample

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    """A batch of four SFT examples, half of them accepted, to two categories of instruction."""
    warehouse = Warehouse(tmp_path)
    instructions = sample(TABLES["verified_instructions"], 4, batch="b1").with_columns(
        category=pl.Series(["length", "length", None, None])
    )
    examples = sample(TABLES["sft_examples"], 4, batch="b1")
    warehouse.write("verified_instructions", instructions, {"batch": "b1"})
    warehouse.write("sft_examples", examples, {"batch": "b1"})
    return warehouse


def test_own_assets_read_autoifs_tables_and_write_one_of_their_own(warehouse, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(warehouse.data_dir))
    defs: dg.Definitions = runpy.run_path(str(EXAMPLES / "own_assets.py"))["defs"]
    job = defs.resolve_implicit_global_asset_job_def()
    for _ in range(2):  # the second run replaces the table
        (event,) = job.execute_in_process().asset_materializations_for_node("sft_by_category")
        assert event.metadata["dagster/row_count"].value == 2
    with duckdb.connect(warehouse.published_path, read_only=True) as con:
        found = con.execute("FROM mine.sft_by_category ORDER BY category").fetchall()
    assert found == [("length", 1, 4.0, 0.25), ("none", 1, 4.0, 0.75)]
    # AutoIF goes on writing to the file as before.
    warehouse.write("sft_examples", sample(TABLES["sft_examples"], 1, batch="b1"), {"batch": "b1"})
