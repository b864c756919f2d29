"""Tables too big for memory: frames in turn, by way of Parquet files beside the database."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse.columns import literal
from autoif_assets.warehouse.database import execute

_PREFIX = ".stream-"


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
        for old in folder.glob(f"{_PREFIX}*"):
            _remove_if_abandoned(old)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        fd = os.open(path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(fd)


def _remove_if_abandoned(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(fd)


def deal(
    con: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object], part: str, folder: Path
) -> None:
    """Write the rows of a query to Parquet files, one folder for each value of ``part``.

    Args:
        con: The open database.
        sql: The query.
        values: Its parameters.
        part: SQL of the number of the part that a row goes to.
        folder: Where the folders go.
    """
    # By default half a million rows wait for each file.
    execute(con, "SET partitioned_write_flush_threshold = 4096")
    execute(
        con,
        f"COPY (SELECT *, {part} AS part FROM ({sql})) TO {literal(str(folder))} "
        f"(FORMAT parquet, COMPRESSION lz4, PARTITION_BY part, OVERWRITE_OR_IGNORE)",
        values,
    )


def dealt(folder: Path) -> Iterator[pl.DataFrame]:
    """Yield the parts that ``deal`` wrote, one frame each, and remove what was read."""
    for part in sorted(folder.glob("part=*")):
        yield pl.read_parquet(part / "*.parquet", hive_partitioning=False)
        shutil.rmtree(part)
