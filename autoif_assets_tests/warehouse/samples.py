"""Frames that fit a declared table, made from its declaration."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import strategies as st

from autoif_assets.warehouse import TABLES, Table, Warehouse, polars_schema

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def put(warehouse: Warehouse, table: str, *rows: dict[str, object]) -> None:
    """Write rows of batch b1; columns left out are null, or a filler where they may not be."""
    declared = TABLES[table]
    schema = polars_schema(declared)
    closed = {c.name: c.values[0] for c in declared.columns if c.values and not c.nullable}
    fillers = {pl.String: "-", pl.Int64: 0, pl.Float64: 0.0, pl.Boolean: False}
    noon = {pl.Datetime("us", "UTC"): datetime(2024, 1, 1, 12, tzinfo=UTC)}
    partition = {name: {"batch": "b1"}.get(name, "x") for name in declared.partitions}
    full = [
        {
            column.name: None if column.nullable else (fillers | noon).get(schema[column.name], [])
            for column in declared.columns
        }
        | closed
        | row
        | partition
        for row in rows
    ]
    warehouse.write(table, pl.DataFrame(full, schema=schema), partition or None)


def sample(table: Table, rows: int, tag: str = "", **partition: str) -> pl.DataFrame:
    """Return ``rows`` distinct rows of one partition; every text holds ``tag``."""
    columns = {
        name: [_value(dtype, i, tag) for i in range(rows)]
        for name, dtype in polars_schema(table).items()
    }
    for name, value in partition.items():
        columns[name] = [value] * rows
    for column in table.columns:
        if column.values and column.name not in partition:
            columns[column.name] = [column.values[i % len(column.values)] for i in range(rows)]
    if table.is_gate:
        columns["status"] = ["accepted" if i % 2 else "rejected" for i in range(rows)]
        columns["reason"] = [None if i % 2 else "too_short" for i in range(rows)]
    return pl.DataFrame(columns, schema=polars_schema(table))


def _value(dtype: pl.DataType, i: int, tag: str) -> object:
    if dtype == pl.String:
        return f"{tag}{i:04d}"
    if dtype == pl.Boolean:
        return i % 2 == 0
    if dtype.is_integer():
        return i
    if dtype.is_float():
        return i / 4
    if isinstance(dtype, pl.Datetime):
        return _EPOCH + timedelta(seconds=i)
    if isinstance(dtype, pl.List):
        return [_value(dtype.inner, j, tag) for j in range(i % 3)]
    if isinstance(dtype, pl.Struct):
        return {field.name: _value(field.dtype, i, tag) for field in dtype.fields}
    raise NotImplementedError(dtype)


def values(dtype: pl.DataType) -> st.SearchStrategy[object]:
    """Return any value, or null, of a Polars type."""
    return st.none() | _present(dtype)


def _present(dtype: pl.DataType) -> st.SearchStrategy[object]:
    if dtype == pl.String:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    if dtype == pl.Boolean:
        return st.booleans()
    if dtype.is_integer():
        return st.integers(-(2**63), 2**63 - 1)
    if dtype.is_float():
        return st.floats()
    if isinstance(dtype, pl.Datetime):
        return st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
    if isinstance(dtype, pl.List):
        return st.lists(values(dtype.inner), max_size=3)
    if isinstance(dtype, pl.Struct):
        return st.fixed_dictionaries({f.name: values(f.dtype) for f in dtype.fields})
    raise NotImplementedError(dtype)


@st.composite
def frames(draw: st.DrawFn, table: Table, partition: dict[str, str]) -> pl.DataFrame:
    """Return a frame of any values that the table's declaration allows."""
    schema = polars_schema(table)
    nullable = {column.name: column.nullable for column in table.columns}
    count = draw(st.integers(0, 4))
    columns = {
        name: draw(
            st.lists(
                values(dtype) if nullable[name] else _present(dtype),
                min_size=count,
                max_size=count,
            )
        )
        for name, dtype in schema.items()
    }
    columns.update({name: [value] * count for name, value in partition.items()})
    for column in table.columns:
        if column.values and column.name not in partition:
            known = st.lists(st.sampled_from(column.values), min_size=count, max_size=count)
            columns[column.name] = draw(known)
    if table.is_gate:
        columns["reason"] = ["because"] * count
    frame = pl.DataFrame(columns, schema=schema)
    return frame.unique(table.key, keep="first", maintain_order=True)
