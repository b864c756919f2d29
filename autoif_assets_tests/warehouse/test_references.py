"""Rows whose foreign keys lead nowhere are counted."""

import polars as pl
import pytest

from autoif_assets.warehouse import TABLES, Warehouse

from .samples import sample

RESPONSES = TABLES["responses"]
QUERIES = TABLES["augmented_queries"]


def counts(warehouse: Warehouse, **settings: object) -> dict[str, int]:
    found = warehouse.orphans(RESPONSES.name, **settings)
    return {orphans.key.columns[-1]: orphans.rows for orphans in found}


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    warehouse = Warehouse(tmp_path)
    for batch in ("it's b1", "b2"):
        warehouse.write(RESPONSES.name, sample(RESPONSES, 4, batch=batch), {"batch": batch})
    warehouse.write(QUERIES.name, sample(QUERIES, 3, batch="it's b1"), {"batch": "it's b1"})
    return warehouse


def test_orphans_are_counted_by_foreign_key(warehouse):
    assert counts(warehouse) == {"prompt_id": 5, "call_id": 8}


def test_orphans_are_counted_in_slices(warehouse):
    assert counts(warehouse, partitions=[{"batch": "it's b1"}]) == {"prompt_id": 1, "call_id": 4}
    assert counts(warehouse, partitions=[]) == {"prompt_id": 0, "call_id": 0}
    (orphans, _) = warehouse.orphans(RESPONSES.name, partitions=[{"batch": "it's b1"}])
    assert orphans.example == "0003"


def test_a_parent_of_another_batch_is_none(warehouse):
    warehouse.write(QUERIES.name, sample(QUERIES, 4, batch="b3"), {"batch": "b3"})
    assert counts(warehouse)["prompt_id"] == 5


def test_null_refers_to_nothing(tmp_path):
    table = TABLES["augmented_instructions"]
    warehouse = Warehouse(tmp_path)
    frame = sample(table, 3, batch="b1").with_columns(
        call_id=pl.Series([None, "lost", None], dtype=pl.String)
    )
    warehouse.write(table.name, frame, {"batch": "b1"})
    (orphans,) = warehouse.orphans(table.name)
    assert (orphans.rows, orphans.example) == (1, "lost")


def test_a_table_without_foreign_keys_has_no_orphans(warehouse):
    assert warehouse.orphans("seed_queries") == []


def test_there_are_no_orphans_before_there_is_a_database(tmp_path):
    assert counts(Warehouse(tmp_path / "new")) == {"prompt_id": 0, "call_id": 0}
