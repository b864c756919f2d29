"""Checking rows against their declared table, and adding them to it."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
from polars.datatypes import DataTypeClass

from autoif_assets.warehouse.errors import SchemaMismatch
from autoif_assets.warehouse.schema import (
    SCHEMA,
    Column,
    Partition,
    Table,
    as_declared,
    condition,
    polars_schema,
    polars_type,
)
from autoif_assets.warehouse.sql import execute, literal


def conform(table: Table, frame: pl.DataFrame, partitions: Sequence[Partition]) -> pl.DataFrame:
    """Return ``frame`` with exactly the declared columns and types of ``table``.

    Integers widen, all-null columns take the declared type, categories become text and
    times become UTC; anything that would change a value is refused.

    Args:
        table: The declaration.
        frame: Columns in any order.
        partitions: The slices being written; every row must belong to one. Empty for a table
            that is not partitioned.

    Raises:
        SchemaMismatch: names every column that does not fit, with expected and found type.
    """
    # All that is wrong with names and types is told at once, so that it is mended in one go.
    problems = [
        *_missing_and_unknown(table, frame),
        *(p for c in table.columns if c.name in frame.columns for p in _type_problem(c, frame)),
    ]
    if problems:
        raise _mismatch(table, problems)
    # What rows hold can be looked at only in the declared types.
    converted = frame.select(as_declared(polars_schema(table)))
    problems = [
        *_null_problems(table, converted),
        *_key_problem(table, converted),
        *_partition_problem(table, converted, partitions),
        *(p for column in table.columns for p in _value_problem(column, converted)),
        *_reason_problem(table, converted),
    ]
    if problems:
        raise _mismatch(table, problems)
    return converted


def _mismatch(table: Table, problems: Sequence[str]) -> SchemaMismatch:
    lines = "\n".join(f"  - {problem}" for problem in problems)
    return SchemaMismatch(
        f"The frame for table {table.name} does not fit, nothing was written:\n{lines}"
    )


def _missing_and_unknown(table: Table, frame: pl.DataFrame) -> list[str]:
    declared = {column.name: column for column in table.columns}
    missing = [
        f"column {name} is missing: expected {column.type}"
        for name, column in declared.items()
        if name not in frame.columns
    ]
    unknown = [
        f"column {name} ({dtype}) is unknown; the table has {', '.join(declared)}"
        for name, dtype in frame.schema.items()
        if name not in declared
    ]
    return missing + unknown


def _type_problem(column: Column, frame: pl.DataFrame) -> list[str]:
    """Return what is wrong with the column's type, if anything."""
    series, expected = frame[column.name], polars_type(column.type)
    complaint = f"column {column.name}: expected {column.type}, found {series.dtype}"
    if not _widens(series.dtype, expected):
        present = series.drop_nulls()
        example = f" (such as {_shorten(present[0])})" if len(present) else ""
        return [complaint + example]
    if series.dtype == expected or _has_null_type(series.dtype):
        return []
    # A cast that would change a value does not lead back to it.
    try:
        back = series.cast(expected).cast(series.dtype)
    except pl.exceptions.PolarsError:
        return [f"{complaint}, and some value is out of range"]
    changed = (back.ne_missing(series)).arg_true()
    if len(changed):
        row = changed[0]
        return [f"{complaint}: row {row} would change from {_shorten(series[row])}"]
    return []


def _widens(found: pl.DataType, expected: pl.DataType) -> bool:
    """Whether values of type ``found`` can be ``expected`` ones, save for their range."""
    if found == expected or found == pl.Null:
        return True
    if isinstance(expected, pl.List) and isinstance(found, pl.List):
        return _widens(_instance(found.inner), _instance(expected.inner))
    if isinstance(expected, pl.Struct) and isinstance(found, pl.Struct):
        pairs = zip(found.fields, expected.fields, strict=False)
        return len(found.fields) == len(expected.fields) and all(
            f.name == e.name and _widens(_instance(f.dtype), _instance(e.dtype)) for f, e in pairs
        )
    # A time without a zone could be any of 24 moments.
    if isinstance(expected, pl.Datetime) and isinstance(found, pl.Datetime):
        return found.time_zone is not None
    if expected == pl.String:
        return isinstance(found, pl.Categorical | pl.Enum)
    if expected == pl.Float64:
        return found.is_integer() or found == pl.Float32
    return expected.is_integer() and found.is_integer()


def _instance(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype


def _has_null_type(dtype: pl.DataType) -> bool:
    """Whether a part of the type is Null, which cannot be cast back to."""
    if isinstance(dtype, pl.List):
        return _has_null_type(_instance(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return any(_has_null_type(_instance(field.dtype)) for field in dtype.fields)
    return dtype == pl.Null


def _null_problems(table: Table, frame: pl.DataFrame) -> list[str]:
    counts = frame.null_count().row(0, named=True)
    return [
        f"column {column.name} may not be null: {counts[column.name]} of {frame.height} rows are, "
        f"the first is row {frame[column.name].is_null().arg_true()[0]}"
        for column in table.columns
        if counts[column.name] and not column.nullable
    ]


def _key_problem(table: Table, frame: pl.DataFrame) -> list[str]:
    # The key holds the partition columns, so no row outside these slices can have the same.
    key = frame.select(table.key)
    repeated = key.is_duplicated()
    if not repeated.any():
        return []
    rows = repeated.arg_true()
    first = {name: _shorten(value) for name, value in key.row(rows[0], named=True).items()}
    return [
        f"key ({', '.join(table.key)}) must be unique: {len(rows)} rows share a key with "
        f"another, the first is row {rows[0]} with {first}"
    ]


def _partition_problem(
    table: Table, frame: pl.DataFrame, partitions: Sequence[Partition]
) -> list[str]:
    if not table.partitions:
        return []
    schema = dict.fromkeys(table.partitions, pl.String)
    written = pl.DataFrame([dict(partition) for partition in partitions], schema=schema)
    strangers = frame.select(table.partitions).join(written, on=table.partitions, how="anti")
    if strangers.is_empty():
        return []
    return [
        f"{strangers.height} rows belong to another partition, such as "
        f"{strangers.row(0, named=True)}; being written: "
        f"{_shorten([dict(partition) for partition in partitions])}"
    ]


def _value_problem(column: Column, frame: pl.DataFrame) -> list[str]:
    if not column.values:
        return []
    found = frame[column.name].drop_nulls()
    strange = found.filter(~found.is_in(column.values))
    if strange.is_empty():
        return []
    return [
        f"column {column.name} must be {' or '.join(column.values)}: {len(strange)} rows are not, "
        f"such as {_shorten(strange[0])}"
    ]


def _reason_problem(table: Table, frame: pl.DataFrame) -> list[str]:
    """Check that what a gate rejects is rejected for a reason."""
    if not table.is_gate:
        return []
    silent = frame.filter((pl.col("status") == "rejected") & pl.col("reason").is_null())
    if silent.is_empty():
        return []
    return [f"column reason: {silent.height} rejected rows give no reason"]


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def insert_frame(con: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame) -> None:
    """Add the rows of a frame, by name of column."""
    if frame.height:
        con.register("incoming", _ArrowStream(frame))
        execute(con, f"INSERT INTO {SCHEMA}.{table.name} BY NAME SELECT * FROM incoming")
        con.unregister("incoming")


def insert_files(
    con: duckdb.DuckDBPyConnection, table: Table, folder: Path, slices: Sequence[Partition]
) -> None:
    """Add the rows of the Parquet files of a folder, by name of column.

    Raises:
        SchemaMismatch: two files hold the same key.
    """
    source = f"read_parquet({literal(f'{folder}/*.parquet')})"
    execute(con, f"INSERT INTO {SCHEMA}.{table.name} BY NAME SELECT * FROM {source}")
    # Each frame was checked on its own when it came.
    _check_keys(con, table, slices)


class _ArrowStream:
    """A frame as what DuckDB reads without pyarrow: an object with only the Arrow stream."""

    def __init__(self, frame: pl.DataFrame):
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def _check_keys(con: duckdb.DuckDBPyConnection, table: Table, slices: Sequence[Partition]) -> None:
    """Check the keys of slices whose rows came in several frames."""
    where, values = condition(slices if table.partitions else None)
    key = ", ".join(table.key)
    repeated = con.execute(
        f"SELECT {key} FROM {SCHEMA}.{table.name} WHERE {where} "
        f"GROUP BY {key} HAVING count(*) > 1 LIMIT 1",
        values,
    ).fetchall()
    if repeated:
        raise SchemaMismatch(
            f"The frames for table {table.name} do not fit, nothing was written:\n"
            f"  - key ({key}) must be unique: two frames hold {repeated[0]}"
        )
