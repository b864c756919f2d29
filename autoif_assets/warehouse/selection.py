"""From names of tables and columns to the query that reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from autoif_assets.warehouse.schema import SCHEMA, Table, polars_schema
from autoif_assets.warehouse.slices import Partition, condition
from autoif_assets.warehouse.tables import TABLES


@dataclass(frozen=True)
class Rows:
    """Rows that are not read yet.

    Attributes:
        table: Name of a declared table.
        columns: The columns wanted, in this order; None for all.
        status: ``"accepted"`` or ``"rejected"`` rows only.
        partitions: Values of some partition columns; rows that match any. None for all.
    """

    table: str
    columns: Sequence[str] | None = None
    status: str | None = None
    partitions: Sequence[Partition] | None = None


def declared_table(table: str) -> Table:
    """Return the declaration of a table, or raise ValueError naming those there are."""
    if table not in TABLES:
        raise ValueError(f"There is no table {table!r}; declared are {', '.join(TABLES)}.")
    return TABLES[table]


def selected(table: Table, columns: Sequence[str] | None) -> pl.Schema:
    """Return the types of the columns wanted, in the order wanted."""
    schema = polars_schema(table)
    if columns is None:
        return schema
    unknown = [name for name in columns if name not in schema]
    if unknown:
        raise ValueError(
            f"Table {table.name} has no column {', '.join(unknown)}; it has {', '.join(schema)}."
        )
    return pl.Schema({name: schema[name] for name in columns})


def select(
    table: Table, schema: pl.Schema, slices: Sequence[Partition] | None, status: str | None
) -> tuple[str, list[object]]:
    """Return a query for columns, slices and status, and its parameters."""
    where, values = condition(slices)
    if status is not None:
        if not table.is_gate:
            raise ValueError(f"Table {table.name} has no status to filter by: it is not a gate.")
        where, values = f"{where} AND status = ?", [*values, status]
    names = ", ".join(f'"{name}"' for name in schema)
    return f"SELECT {names} FROM {SCHEMA}.{table.name} WHERE {where}", values
