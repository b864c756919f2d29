"""The published tables as Parquet files, one for each batch."""

import hashlib
import re
import shutil
from collections.abc import Collection
from pathlib import Path

import duckdb

from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.schema import SCHEMA, Table, literal
from autoif_assets.warehouse.tables import TABLES

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def export_parquet(
    database: Path, folder: Path, batches: Collection[str] | None = None
) -> dict[str, int]:
    """Write the tables of a published database to ``folder/TABLE/BATCH.parquet``.

    The batch is also a column, so ``read_parquet('folder/responses/*.parquet')`` is the table.
    A table's folder is replaced as a whole once all its files are written; a table without rows
    has one file without rows. Where ``batches`` are given their files are replaced one by one
    and those of other batches stay.

    Args:
        database: The published copy; it is only read.
        folder: Made if it is not there. Other files in it stay.
        batches: Only these; tables that have no batch are written all the same.

    Returns:
        Number of rows written by table.

    Raises:
        WarehouseError: no table has a row of one of ``batches``; nothing was written.
    """
    con = duckdb.connect(database, read_only=True)
    try:
        if batches is not None:
            _check_batches(con, batches)
        folder.mkdir(parents=True, exist_ok=True)
        return {table.name: _export(con, table, folder, batches) for table in TABLES.values()}
    finally:
        con.close()


def _check_batches(con: duckdb.DuckDBPyConnection, batches: Collection[str]) -> None:
    sql = " UNION ".join(
        f"SELECT batch FROM {SCHEMA}.{table.name}"
        for table in TABLES.values()
        if "batch" in table.partitions
    )
    there = {batch for (batch,) in con.execute(sql).fetchall()}
    if strange := sorted(set(batches) - there):
        raise WarehouseError(
            f"There is no batch {', '.join(map(repr, strange))} to export; there are "
            f"{', '.join(map(repr, sorted(there))) or 'none'}."
        )


def _export(
    con: duckdb.DuckDBPyConnection, table: Table, folder: Path, batches: Collection[str] | None
) -> int:
    partial, old = folder / f".{table.name}.partial", folder / f".{table.name}.old"
    for path in (partial, old):
        shutil.rmtree(path, ignore_errors=True)
    partial.mkdir()
    rows = sum(
        _copy(con, table, where, partial / f"{name}.parquet")
        for name, where in _files(con, table, batches).items()
    )
    target = folder / table.name
    if batches is not None and target.exists():
        for file in partial.iterdir():
            file.replace(target / file.name)
        partial.rmdir()
        return rows
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return rows


def _files(
    con: duckdb.DuckDBPyConnection, table: Table, batches: Collection[str] | None
) -> dict[str, str]:
    """Return the condition for the rows of each file by its name."""
    if "batch" not in table.partitions:
        return {table.name: "true"}
    if batches is None:
        found = con.execute(f"SELECT DISTINCT batch FROM {SCHEMA}.{table.name}").fetchall()
        batches = [batch for (batch,) in found]
    files = {_file_name(batch): f"batch = {literal(batch)}" for batch in batches}
    return files or {"empty": "false"}


def _file_name(batch: str) -> str:
    """Return a short file name for any batch key; unlike keys have unlike names."""
    readable = _UNSAFE.sub("_", batch)[:80]
    if readable == batch and not batch.startswith("."):
        return batch
    return f"{readable}-{hashlib.blake2b(batch.encode(), digest_size=8).hexdigest()}"


def _copy(con: duckdb.DuckDBPyConnection, table: Table, where: str, path: Path) -> int:
    # In declared order; migrations add columns at the end of the table.
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    sql = f"SELECT {columns} FROM {SCHEMA}.{table.name} WHERE {where}"
    sql += f" ORDER BY {', '.join(table.key)}"
    options = "FORMAT parquet, COMPRESSION zstd"
    copied = con.execute(f"COPY ({sql}) TO {literal(str(path))} ({options})").fetchall()
    return int(copied[0][0])
