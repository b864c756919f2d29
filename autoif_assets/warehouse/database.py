"""The pipeline's database file: one process at a time, for one operation at a time."""

import errno
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb

from autoif_assets.warehouse.errors import WarehouseError, WarehouseLocked
from autoif_assets.warehouse.lock import file_lock
from autoif_assets.warehouse.migrations import migrate

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # The oldest DuckDB that people open the file with; 2.0 writes newer formats by default.
    "storage_compatibility_version": "v1.5.0",
    # Nothing here needs an extension, and looking for one would wait for a network.
    "autoinstall_known_extensions": "false",
    # DuckDB takes 80 % of the machine otherwise; what does not fit goes to a folder beside.
    "memory_limit": "700MiB",
}
_POLL_S = 0.2


class Database:
    """A database file and the lock beside it.

    Args:
        path: The file; its folder is made when it is first opened.
        lock_timeout_s: Seconds to wait for other processes before giving up.
        log: Told in a sentence what is being waited for or upgraded.
    """

    def __init__(self, path: Path, lock_timeout_s: float, log: Callable[[str], None]):
        self.path = path
        self._lock_timeout_s = lock_timeout_s
        self._log = log

    def lock(self, name: str, purpose: str) -> AbstractContextManager[None]:
        """Return a lock of the folder; ``pipeline.lock`` is the one of the database."""
        return file_lock(self.path.parent / name, purpose, self._lock_timeout_s, self._log)

    @contextmanager
    def connection(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the lock and the open, migrated database for one operation."""
        with self.reporting(purpose):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.lock("pipeline.lock", purpose):
                con = self._connect(purpose)
                try:
                    migrate(con, self.path, self._log)
                    yield con
                finally:
                    con.close()

    def _connect(self, purpose: str) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting while a program that ignores our lock has it open."""
        start, told = time.monotonic(), False
        while True:
            try:
                return duckdb.connect(self.path, config=_CONFIG)
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
        except (OSError, duckdb.Error) as error:
            message = _disk_trouble(error, folder or self.path.parent)
            if message is None:
                raise
            raise WarehouseError(
                f"Failed at {purpose}: {message} Nothing that was stored before is lost; the "
                f"database is as it was before this step."
            ) from error


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit at the end; an error closes the connection further out, which rolls back."""
    con.begin()
    yield
    con.commit()


def execute(con: duckdb.DuckDBPyConnection, sql: str, params: Sequence[object] = ()) -> None:
    """Execute a statement to its end; DuckDB 2.0 wants a result fetched before the next."""
    con.execute(sql, list(params)).fetchall()


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
