"""The pipeline's database file: one process at a time, for one operation at a time."""

import atexit
import errno
import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse.errors import WarehouseError, WarehouseLocked
from autoif_assets.warehouse.lock import file_lock
from autoif_assets.warehouse.migrations import migrate
from autoif_assets.warehouse.schema import literal
from autoif_assets.warehouse.statements import execute
from autoif_assets.warehouse.undo import Undo

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # The oldest DuckDB that people open the file with; 2.0 writes newer formats by default.
    "storage_compatibility_version": "v1.5.0",
    # Nothing here needs an extension, and looking for one would wait for a network.
    "autoinstall_known_extensions": "false",
    # DuckDB takes 80 % of the machine otherwise; what does not fit goes to a folder beside.
    "memory_limit": "700MiB",
    # A commit brings the file itself up to date at once: closing it then has nothing to do.
    "checkpoint_threshold": "0B",
    # Reading sorts; keeping the order of what comes would cost memory.
    "preserve_insertion_order": "false",
    # By default half a million rows wait for each Parquet file.
    "partitioned_write_flush_threshold": "4096",
}
_ALIAS = "pipeline"
_POLL_S = 0.2


class Database:
    """A database file and the lock beside it.

    Args:
        path: The file; its folder is made when it is first opened.
        lock_timeout_s: Seconds to wait for other processes before giving up.
        log: Told in a sentence what is being waited for or upgraded.
        before_creating: Called under the lock before a file that is not there is made.
    """

    def __init__(
        self,
        path: Path,
        lock_timeout_s: float,
        log: Callable[[str], None],
        before_creating: Callable[[], None],
    ):
        self.path = path
        self._before_creating = before_creating
        self._lock_timeout_s = lock_timeout_s
        self._log = log

    def lock(self, name: str, purpose: str) -> AbstractContextManager[None]:
        """Return a lock of the folder; ``pipeline.lock`` is the one of the database."""
        return file_lock(self.path.parent / name, purpose, self._lock_timeout_s, self._log)

    @contextmanager
    def connection(self, purpose: str, writes: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the lock and the open, migrated database for one operation.

        No transaction may be open at the end, and at most one that ``writes`` may have been.
        """
        with self.reporting(purpose):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.lock("pipeline.lock", purpose):
                if not self.path.exists():
                    self._before_creating()
                undo, done = Undo(self.path), False
                undo.recover()
                con = _engine(os.getpid(), self.path.absolute()).cursor()
                try:
                    self._attach(con, purpose)
                    migrate(con, self.path, self._log, undo.save)
                    if writes:
                        undo.save(con)
                    yield con
                    done = True
                finally:
                    _detach(con)
                    undo.close(done)

    def _attach(self, con: duckdb.DuckDBPyConnection, purpose: str) -> None:
        """Open the file, waiting while a program that ignores our lock has it open."""
        start, told = time.monotonic(), False
        while True:
            try:
                execute(con, f"ATTACH {literal(str(self.path.absolute()))} AS {_ALIAS}")
                execute(con, f"USE {_ALIAS}")
                return
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise
                words = str(error).split("See also")[0].strip()
            waited = time.monotonic() - start
            if waited >= self._lock_timeout_s:
                raise WarehouseLocked(
                    f"Gave up {purpose} after {waited:.0f} s: another program has {self.path} "
                    f"open ({words}). Close it there; people and tools open warehouse.duckdb "
                    f"instead, which is never locked by a run."
                )
            if not told:
                self._log(f"Waiting to start {purpose}: {self.path} is open elsewhere ({words}).")
                told = True
            time.sleep(_POLL_S)

    @contextmanager
    def reporting(self, purpose: str, folder: Path | None = None) -> Iterator[None]:
        """Turn errors of the disk that holds ``folder`` into one sentence."""
        try:
            yield
        except (OSError, duckdb.Error, pl.exceptions.PolarsError) as error:
            message = _disk_trouble(error, folder or self.path.parent)
            if message is None:
                raise
            raise WarehouseError(
                f"Failed at {purpose}: {message} Nothing that was stored before is lost; the "
                f"database is as it was before this step."
            ) from error


@functools.lru_cache(maxsize=2)
def _engine(process: int, path: Path) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB without a file, to attach the file at ``path`` to.

    Starting one takes ten times as long as opening a file in it. Each process has its own: the
    threads of DuckDB do not survive a fork.
    """
    return duckdb.connect(config=_CONFIG | {"temp_directory": f"{path}.tmp"})


# Before Python ends; later DuckDB 2.0 complains about objects that are left.
atexit.register(_engine.cache_clear)


def _detach(con: duckdb.DuckDBPyConnection) -> None:
    """Close the file; where that fails, by giving up the DuckDB that has it open."""
    try:
        execute(con, "USE memory")
        execute(con, f"DETACH {_ALIAS}")
    except duckdb.Error:
        _engine.cache_clear()
    finally:
        con.close()


def _disk_trouble(error: Exception, folder: Path) -> str | None:
    words = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in words:
        free = shutil.disk_usage(folder).free / 1e6
        return (
            f"the disk of {folder} ran full ({free:.1f} MB are free now). Free some space "
            f"and run the step again."
        )
    if number in (errno.EEXIST, errno.ENOTDIR):
        return f"{folder} must be a folder, but a file is in the way."
    if number in (errno.EACCES, errno.EROFS, errno.EPERM) or any(
        text in words for text in ("Permission denied", "Read-only file system")
    ):
        return f"{folder} is not writable for this user ({words})."
    return None
