"""What to read of a table as a query, and tables too big for memory in parts."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse.schema import SCHEMA, Partition, Table, condition, polars_schema
from autoif_assets.warehouse.sql import execute, literal
from autoif_assets.warehouse.tables import TABLES

_SPOOL_PREFIX = ".stream-"


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


def selected_schema(table: Table, columns: Sequence[str] | None) -> pl.Schema:
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


@contextmanager
def spool(folder: Path, creating: AbstractContextManager[None]) -> Iterator[Path]:
    """Make a folder for files that are in transit, and remove it at the end.

    Folders that killed processes left behind are removed, too: a living one holds a lock on
    its folder.

    Args:
        folder: Where to make it.
        creating: Held while old folders are looked at and the new one is made.
    """
    with creating:
        for old in folder.glob(f"{_SPOOL_PREFIX}*"):
            _remove_if_abandoned(old)
        path = Path(tempfile.mkdtemp(prefix=_SPOOL_PREFIX, dir=folder))
        fd = os.open(path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(fd)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return  # its process has just ended and removed it
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(fd)


def bounds(
    con: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object], on: str, parts: int
) -> list[object]:
    """Return the values of column ``on`` at which the rows of a query are cut into equal parts."""
    shares = [part / parts for part in range(1, parts)]
    if not shares:
        return []
    query = f'SELECT quantile_disc("{on}", {shares}) FROM ({sql})'
    found = con.execute(query, list(values)).fetchall()[0][0]
    # Equal cuts are one: what equal values belong to is never split.
    return sorted(set(found or ()))


def write_parts(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    values: Sequence[object],
    on: str,
    cuts: Sequence[object],
    folder: Path,
) -> None:
    """Write the rows of a query to Parquet files, one folder for each range of ``on``.

    Args:
        con: The open database.
        sql: The query.
        values: Its parameters.
        on: Column that decides which part a row goes to.
        cuts: Last value of each part but the last, ascending.
        folder: Where the folders go.
    """
    cases = " ".join(f'WHEN "{on}" <= ? THEN {part}' for part in range(len(cuts)))
    part = f"CASE {cases} ELSE {len(cuts)} END" if cuts else "0"
    # They are read once, and soon: quick to write counts for more than small.
    execute(
        con,
        f"COPY (SELECT *, {part} AS part FROM ({sql})) TO {literal(str(folder))} "
        f"(FORMAT parquet, COMPRESSION lz4, PARTITION_BY part, OVERWRITE_OR_IGNORE)",
        [*cuts, *values],
    )


def read_part(folder: Path, part: int, schema: pl.Schema) -> pl.DataFrame:
    """Return one part that ``write_parts`` wrote, in no order, and remove its files."""
    files = folder / f"part={part}"
    if not files.exists():
        return schema.to_frame()
    frame = pl.read_parquet(files / "*.parquet", hive_partitioning=False)
    shutil.rmtree(files)
    return frame
