"""Rows whose foreign keys lead nowhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoif_assets.warehouse.schema import SCHEMA, ForeignKey, Table
from autoif_assets.warehouse.slices import Partition, condition
from autoif_assets.warehouse.tables import TABLES

# A response that the verifiers do not accept is there to be rejected, or labelled as bad.
_REJECTED_BY_DESIGN = {
    ("query_preference_pairs", ("batch", "rejected_id")),
    ("kto_examples", ("batch", "response_id")),
    ("online_preference_pairs", ("batch", "policy", "rejected_id")),
}


@dataclass(frozen=True)
class Orphans:
    """Rows of a table that a foreign key leads nowhere from.

    Attributes:
        key: The foreign key.
        rows: How many rows; 0 if all is well.
        example: The id that one of them refers to in vain.
    """

    key: ForeignKey
    rows: int
    example: str | None


def count_orphans(table: Table, slices: Sequence[Partition] | None) -> tuple[str, list[object]]:
    """Return a query for the orphans of each foreign key of ``table``, and its parameters.

    Its columns are ``key`` (number of the foreign key in ``table.foreign_keys``), ``rows`` and
    ``example``.
    """
    where, values = condition(slices)
    return _unmatched(table, table.foreign_keys, where, values, "true")


def gated_keys(table: Table) -> list[ForeignKey]:
    """Return the foreign keys that lead an accepted row to accepted rows of a gate."""
    return [
        key
        for key in table.foreign_keys
        if TABLES[key.table].is_gate and (table.name, key.columns) not in _REJECTED_BY_DESIGN
    ]


def count_unaccepted(table: Table, slices: Sequence[Partition] | None) -> tuple[str, list[object]]:
    """Return a query for the accepted rows that come from no accepted one, and its parameters.

    Every row of a table that is no gate counts as accepted. Its columns are ``key`` (number of
    the key in ``gated_keys(table)``), ``rows`` and ``example``.
    """
    where, values = condition(slices)
    where += and_accepted(table)
    return _unmatched(table, gated_keys(table), where, values, "status = 'accepted'")


def and_accepted(table: Table) -> str:
    """Return the SQL that narrows a condition to accepted rows; all are where there is no gate."""
    return " AND status = 'accepted'" if table.is_gate else ""


def _unmatched(
    table: Table, keys: Sequence[ForeignKey], where: str, values: list[object], parents: str
) -> tuple[str, list[object]]:
    """Count the rows, of those ``where`` says, that refer to no row of which ``parents`` holds."""
    counts = [
        f'SELECT {number} AS key, count(*) AS rows, any_value("{key.columns[-1]}") AS example '
        f"FROM (FROM {SCHEMA}.{table.name} WHERE {where}) AS child "
        f"ANTI JOIN ({_parents(key, parents)}) AS parent "
        f"ON {_match(key)} WHERE {_all_given(key)}"
        for number, key in enumerate(keys)
    ]
    return "\nUNION ALL\n".join(counts) + "\nORDER BY key", values * len(counts)


def _parents(key: ForeignKey, condition: str) -> str:
    columns = ", ".join(f'"{column}"' for column in key.to)
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {SCHEMA}.{table} WHERE {condition}" for table in key.tables
    )


def _match(key: ForeignKey) -> str:
    pairs = zip(key.columns, key.to, strict=True)
    return "(" + " AND ".join(f'child."{column}" = parent."{to}"' for column, to in pairs) + ")"


def _all_given(key: ForeignKey) -> str:
    return " AND ".join(f'child."{column}" IS NOT NULL' for column in key.columns)
