"""The published tables as Parquet files, one for each batch."""

import hashlib
import re
import shutil
from pathlib import Path

import duckdb

from autoif_assets.warehouse.columns import literal
from autoif_assets.warehouse.tables import SCHEMA, TABLES, Table

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def export_parquet(database: Path, folder: Path) -> dict[str, int]:
    """Write every table of a published database to ``folder/TABLE/BATCH.parquet``.

    The batch is also a column, so ``read_parquet('folder/responses/*.parquet')`` is the table.
    A table's folder is replaced as a whole once all its files are written; a table without rows
    has one file without rows.

    Args:
        database: The published copy; it is only read.
        folder: Made if it is not there. Other files in it stay.

    Returns:
        Number of rows by table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(database, read_only=True)
    try:
        return {table.name: _export(con, table, folder) for table in TABLES.values()}
    finally:
        con.close()


def _export(con: duckdb.DuckDBPyConnection, table: Table, folder: Path) -> int:
    partial, old = folder / f".{table.name}.partial", folder / f".{table.name}.old"
    for path in (partial, old):
        shutil.rmtree(path, ignore_errors=True)
    partial.mkdir()
    rows = sum(
        _copy(con, table, where, partial / f"{name}.parquet")
        for name, where in _files(con, table).items()
    )
    target = folder / table.name
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return rows


def _files(con: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    """Return the condition for the rows of each file by its name."""
    if "batch" not in table.partitions:
        return {table.name: "true"}
    batches = con.execute(f"SELECT DISTINCT batch FROM {SCHEMA}.{table.name}").fetchall()
    files = {_file_name(batch): f"batch = {literal(batch)}" for (batch,) in batches}
    return files or {"empty": "false"}


def _file_name(batch: str) -> str:
    """Return a short file name for any batch key; unlike keys have unlike names."""
    readable = _UNSAFE.sub("_", batch)[:80]
    if readable == batch and not batch.startswith("."):
        return batch
    return f"{readable}-{hashlib.blake2b(batch.encode(), digest_size=8).hexdigest()}"


def _copy(con: duckdb.DuckDBPyConnection, table: Table, where: str, path: Path) -> int:
    sql = f"SELECT * FROM {SCHEMA}.{table.name} WHERE {where} ORDER BY {', '.join(table.key)}"
    options = "FORMAT parquet, COMPRESSION zstd"
    copied = con.execute(f"COPY ({sql}) TO {literal(str(path))} ({options})").fetchall()
    return int(copied[0][0])
