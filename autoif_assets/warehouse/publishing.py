"""Copies for readers: of the closed database file, and of its tables as Parquet files."""

import errno
import fcntl
import hashlib
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import duckdb

from autoif_assets.warehouse.database import HEADERS
from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.schema import SCHEMA, Table
from autoif_assets.warehouse.sql import literal
from autoif_assets.warehouse.tables import TABLES

_FICLONE = 0x40049409
"""Linux's ioctl to share all blocks of another file, on file systems with reflinks."""

_NO_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS}
_CHUNK = 1 << 26
_LONGEST_PAUSE_S = 300.0
_COPIES = 5  # tried of a file that changes meanwhile
_OPENING_S = 10.0  # for which a copy that is replaced meanwhile is tried
_OPENING_PAUSE_S = 0.05

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Copy:
    """A finished but not yet visible copy."""

    def __init__(self, partial: Path, target: Path, modified_ns: int):
        self._partial = partial
        self._target = target
        self._modified_ns = modified_ns

    def commit(self) -> int:
        """Flush the copy to disk, put it in its place atomically and return its size in bytes.

        A log file that someone's writes left beside the old copy goes with it: replayed onto
        the new one it would corrupt it.
        """
        try:
            with self._partial.open("rb") as file:
                os.fsync(file.fileno())
            # Says which state of the database this is a copy of; see is_current.
            os.utime(self._partial, ns=(self._modified_ns, self._modified_ns))
            self._target.with_name(self._target.name + ".wal").unlink(missing_ok=True)
            self._partial.replace(self._target)
        except OSError:
            self._partial.unlink(missing_ok=True)
            raise
        folder = os.open(self._target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._target.stat().st_size


def copy_database(source: Path, target: Path) -> Copy:
    """Copy a database that no process has open to a hidden file beside ``target``.

    Call it under the write lock, and ``commit`` on the result after it. On file systems with
    reflinks the copy takes no time or space whatever its size.

    Raises:
        WarehouseError: the file changed each time while it was copied.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        for _ in range(_COPIES):
            with source.open("rb") as old, partial.open("wb") as new:
                before = os.fstat(old.fileno())
                whole = _copy_bytes(old.fileno(), new.fileno(), before.st_size)
                after = os.fstat(old.fileno())
            # Half of a file is not for readers, whoever wrote into it in spite of the lock.
            if whole and (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
                return Copy(partial, target, before.st_mtime_ns)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    partial.unlink()
    raise WarehouseError(
        f"{source} changed while it was copied for readers: another program writes into it. "
        f"End that program; {target} is as it was before."
    )


def is_current(source: Path, target: Path) -> bool:
    """Whether ``target`` is a copy of ``source`` as it is now.

    Size and time of change are equal then, and so are the first blocks of the file, where DuckDB
    counts its checkpoints: clocks are coarse on some disks, and wrong on some machines. Call it
    under the write lock, since it opens the database as a plain file.
    """
    try:
        old, new = source.stat(), target.stat()
        if (old.st_size, old.st_mtime_ns) != (new.st_size, new.st_mtime_ns):
            return False
        with source.open("rb") as one, target.open("rb") as other:
            return one.read(HEADERS) == other.read(HEADERS)
    except FileNotFoundError:
        return False


def open_published(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a published copy to read it, whole and of one publication.

    DuckDB opens a file three times by its name: for its kind, for its headers and for its blocks.
    Where a publication falls in between, it looks in one copy for what the headers of another
    name. So a file that is another one afterwards is opened again.

    Raises:
        duckdb.Error: It is not there or cannot be opened.
        WarehouseError: It was replaced each time.
    """
    end = time.monotonic() + _OPENING_S
    while time.monotonic() < end:
        before = _identity(path)
        try:
            con = duckdb.connect(str(path), read_only=True)
        except duckdb.Error:
            if _identity(path) == before:
                raise
        else:
            if _identity(path) == before:
                return con
            con.close()
        # Not in step with whoever publishes.
        time.sleep(random.uniform(0, _OPENING_PAUSE_S))
    raise WarehouseError(f"{path} was replaced each time it was opened. Try again.")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    # The number of a file that is gone is given to a new one: its times are not.
    return found.st_ino, found.st_ctime_ns


def pause_s(published: Path, every_s_per_gb: float) -> float:
    """Return how long to wait so that copies follow each other no faster than asked for.

    Nothing where there is no copy yet or copying is free.
    """
    try:
        copied = published.stat()
    except FileNotFoundError:
        return 0.0
    every = min(every_s_per_gb * copied.st_size / 1e9, _LONGEST_PAUSE_S)
    # A clock that was set back must not make the pause longer.
    pause = min(copied.st_ctime + every - time.time(), every)
    return 0.0 if pause <= 0 or _has_reflinks(published.parent) else pause


def _has_reflinks(folder: Path) -> bool:
    with (
        tempfile.TemporaryFile(dir=folder) as one,
        tempfile.TemporaryFile(dir=folder) as other,
    ):
        one.write(bytes(4096))
        one.flush()
        return _clone(one.fileno(), other.fileno())


def _clone(source: int, target: int) -> bool:
    """Let ``target`` share the blocks of ``source``; False where the file system cannot."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _copy_bytes(source: int, target: int, size: int) -> bool:
    """Copy and return whether there were as many bytes."""
    if _clone(source, target):
        return True
    # In the kernel, so that gigabytes do not pass through this process.
    done = 0
    while done < size:
        sent = os.sendfile(target, source, done, min(_CHUNK, size - done))
        if sent == 0:
            return False
        done += sent
    return True


def export_tables(
    con: duckdb.DuckDBPyConnection, folder: Path, batches: Collection[str] | None = None
) -> dict[str, int]:
    """Write the tables of an open database to ``folder/TABLE/BATCH.parquet``.

    The batch is also a column, so ``read_parquet('folder/responses/*.parquet')`` is the table.
    A table's folder is replaced as a whole once all its files are written; a table without rows
    has one file without rows. Where ``batches`` are given their files are replaced one by one
    and those of other batches stay.

    Args:
        con: The database; it is only read.
        folder: Made if it is not there. Other files in it stay.
        batches: Only these; tables that have no batch are written all the same.

    Returns:
        Number of rows written by table.

    Raises:
        WarehouseError: no table has a row of one of ``batches``; nothing was written.
    """
    if batches is not None:
        _check_batches(con, batches)
    folder.mkdir(parents=True, exist_ok=True)
    return {table.name: _export_table(con, table, folder, batches) for table in TABLES.values()}


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


def _export_table(
    con: duckdb.DuckDBPyConnection, table: Table, folder: Path, batches: Collection[str] | None
) -> int:
    # Readers see the old files until all new ones are there; a killed export leaves hidden folders.
    partial, old = folder / f".{table.name}.partial", folder / f".{table.name}.old"
    for path in (partial, old):
        shutil.rmtree(path, ignore_errors=True)
    partial.mkdir()
    rows = sum(
        _write_parquet(con, table, where, partial / f"{name}.parquet")
        for name, where in _files_of(con, table, batches).items()
    )
    target = folder / table.name
    # The files of batches that were not asked for stay, so the folder cannot be swapped.
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


def _files_of(
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
    # Hidden files would be missed by readers that take all files of a folder.
    if readable == batch and not batch.startswith("."):
        return batch
    return f"{readable}-{hashlib.blake2b(batch.encode(), digest_size=8).hexdigest()}"


def _write_parquet(con: duckdb.DuckDBPyConnection, table: Table, where: str, path: Path) -> int:
    # In declared order; migrations add columns at the end of the table.
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    sql = f"SELECT {columns} FROM {SCHEMA}.{table.name} WHERE {where}"
    sql += f" ORDER BY {', '.join(table.key)}"
    options = "FORMAT parquet, COMPRESSION zstd"
    copied = con.execute(f"COPY ({sql}) TO {literal(str(path))} ({options})").fetchall()
    return int(copied[0][0])
