"""Rows whose foreign keys lead nowhere are counted."""

from collections.abc import Sequence

import polars as pl
import pytest

from autoif_assets.warehouse import TABLES, Partition, Table, Warehouse
from autoif_assets.warehouse.quality import (
    agreement_on_responses,
    count_orphans,
    count_unaccepted,
)

from .samples import sample

RESPONSES = TABLES["responses"]
QUERIES = TABLES["augmented_queries"]


def orphans(
    warehouse: Warehouse, table: Table = RESPONSES, slices: Sequence[Partition] | None = None
) -> list[tuple[str, int, str | None]]:
    """Return the last column of each foreign key, rows without a parent, and an example."""
    found = warehouse.query(*count_orphans(table, slices))
    return [(table.foreign_keys[key].columns[-1], *row) for key, *row in found.rows()]


def counts(warehouse: Warehouse, slices: Sequence[Partition] | None = None) -> dict[str, int]:
    return {column: rows for column, rows, _ in orphans(warehouse, slices=slices)}


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
    assert counts(warehouse, [{"batch": "it's b1"}]) == {"prompt_id": 1, "call_id": 4}
    assert counts(warehouse, []) == {"prompt_id": 0, "call_id": 0}
    found = orphans(warehouse, slices=[{"batch": "it's b1"}])
    assert found[0] == ("prompt_id", 1, "0003")


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
    assert orphans(warehouse, table) == [("call_id", 1, "lost")]


def test_queries_that_a_batch_is_pinned_to_are_parents_as_well(warehouse):
    def lost(count):
        (_, found, _) = warehouse.query(*count(QUERIES, [{"batch": "it's b1"}])).row(-1)
        return found

    assert (lost(count_orphans), lost(count_unaccepted)) == (3, 3)
    kept = sample(TABLES["input_sets"], 2, hash="h").with_columns(
        text_id=pl.Series(["0000", "0001"])
    )
    warehouse.write("input_sets", kept, {"hash": "h"})
    assert (lost(count_orphans), lost(count_unaccepted)) == (1, 1)


def test_verifiers_are_compared_with_the_majority_of_each_response(tmp_path):
    table = TABLES["response_verdicts"]
    said = [
        {"a": "pass", "b": "pass", "c": "fail"},
        {"a": "fail", "b": "fail", "c": "fail", "d": "crash"},
        {"a": "pass", "b": "fail"},  # no majority
    ]
    frame = sample(table, 3, batch="b1").with_columns(
        passed=pl.Series([[*one.values()].count("pass") for one in said]),
        failed=pl.Series([[*one.values()].count("fail") for one in said]),
        outcomes=pl.Series(
            [
                [{"verifier_id": id, "outcome": outcome} for id, outcome in one.items()]
                for one in said
            ]
        ),
    )
    warehouse = Warehouse(tmp_path)
    warehouse.write(table.name, frame, {"batch": "b1"})
    found = warehouse.query(*agreement_on_responses(None))
    assert found.rows() == [("a", 1.0), ("b", 1.0), ("c", 0.5)]
    assert warehouse.query(*agreement_on_responses([{"batch": "b2"}])).rows() == []
