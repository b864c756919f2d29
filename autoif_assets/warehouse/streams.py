"""Tables too big for memory: frames in turn, by way of Parquet files beside the database."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from autoif_assets.warehouse.columns import as_declared

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


def frames_of(
    path: Path, rows: int, together: str | None, schema: pl.Schema
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a Parquet file in frames of about ``rows`` rows.

    Args:
        path: The file.
        rows: A frame has at least so many, save for the last.
        together: Column by which the file is sorted; its equal values stay in one frame.
        schema: Types to give the columns.
    """
    rest: pl.DataFrame | None = None
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows):
            frame = pl.DataFrame(batch).select(as_declared(schema))
            if rest is not None:
                frame = pl.concat([rest, frame])
            if together is None:
                yield frame
                continue
            # The last value may go on in the next batch.
            is_last = frame[together] == frame[together][-1]
            rest = frame.filter(is_last)
            if rest.height < frame.height:
                yield frame.filter(~is_last)
    if rest is not None:
        yield rest
