"""The pipeline's database file: one process at a time, for one operation at a time."""

import atexit
import errno
import fcntl
import functools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import duckdb
import polars as pl

from autoif_assets.warehouse.errors import WarehouseError, WarehouseLocked
from autoif_assets.warehouse.migrations import migrate
from autoif_assets.warehouse.sql import execute, literal

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
# What DuckDB says of a file that was cut, overwritten or never was a database.
_DAMAGE = re.compile(
    r"not a valid DuckDB database|Could not read enough bytes|corrupt|checksum"
    r"|failed to deserialize",
    re.IGNORECASE,
)
_ALIAS = "pipeline"
_OPEN_POLL_S = 0.2

# Most operations take milliseconds, so that the next in line asks often at first.
_LOCK_POLL_S = 0.001
_LOCK_POLL_LATER_S = 0.01
_QUIET_S = 1.0  # waiting is told from then on
_CLOSING_S = 10.0  # a checkpoint takes less
_DESCRIPTORS = Path("/proc/self/fd")
_NOTE_BYTES = 1000

HEADERS = 3 * 4096
"""Bytes of DuckDB's main header and its two alternating database headers."""

_BLOCK = 1 << 18  # bytes of a block of the file
_NUMBER = 8  # bytes of a block's number in the undo file


class Connections(Protocol):
    """What a warehouse asks of where its tables are."""

    def lock(self, name: str, purpose: str) -> AbstractContextManager[None]:
        """Return a lock of this machine's folder."""

    def connection(
        self, purpose: str, writes: bool = False
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Hold the open, migrated database for one operation."""

    def reporting(self, purpose: str, folder: Path | None = None) -> AbstractContextManager[None]:
        """Turn errors that a person can mend into sentences."""


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
                # Before DuckDB sees the file: what a killed process left may not open.
                undo.recover()
                con = _engine(os.getpid(), self.path.absolute()).cursor()
                try:
                    self._attach(con, purpose)
                    # Under the lock, so that nobody ever reads tables of another version.
                    migrate(con, self.path, self._log, undo.save)
                    if writes:
                        undo.save(con)
                    yield con
                    done = True
                finally:
                    _detach(con)
                    undo.close(done)
                    # Only then, for that was a descriptor of the file, too.
                    _wait_until_closed(self.path)

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
            time.sleep(_OPEN_POLL_S)

    @contextmanager
    def reporting(self, purpose: str, folder: Path | None = None) -> Iterator[None]:
        """Turn errors of the disk that holds ``folder``, and of damaged files, into sentences."""
        try:
            yield
        except (OSError, duckdb.Error, pl.exceptions.PolarsError) as error:
            message = disk_trouble(error, folder or self.path.parent)
            if message is None and _DAMAGE.search(str(error)):
                raise WarehouseError(
                    f"Failed at {purpose}: a file of the database cannot be read "
                    f"({str(error).partition(chr(10))[0]}). If {self.path} is the one, move it "
                    "to another folder and make it again from the published copy: autoif restore."
                ) from error
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


def _wait_until_closed(path: Path) -> None:
    """Return once no descriptor of this process is one of the file, or after a while.

    DuckDB closes a file when the last of its threads lets go of it, which may be after DETACH; and
    what was not written into the file until then is written when it is closed. Whoever has the lock
    next would copy a file that changes meanwhile.
    """
    end = time.monotonic() + _CLOSING_S
    while _is_open(path) and time.monotonic() < end:
        time.sleep(_LOCK_POLL_S)


def _is_open(path: Path) -> bool:
    try:
        found, descriptors = path.stat(), list(_DESCRIPTORS.iterdir())
    except OSError:
        return False  # no file, or a system that does not tell
    for descriptor in descriptors:
        with suppress(OSError):  # closed meanwhile, such as the one of the listing
            if os.path.samestat(descriptor.stat(), found):
                return True
    return False


def disk_trouble(error: Exception, folder: Path) -> str | None:
    """Say what is wrong with the disk that holds ``folder``; None where it is something else."""
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


@contextmanager
def file_lock(
    path: Path, purpose: str, timeout_s: float, log: Callable[[str], None]
) -> Iterator[None]:
    """Hold an exclusive ``flock`` on ``path``, waiting for other processes and threads.

    The file stays; only the kernel's lock on it counts, so a file left by a killed process
    blocks nobody. What it contains is for people: the process id and purpose of the last
    holder.

    Raises:
        WarehouseLocked: it was not free within ``timeout_s`` seconds.
        WarehouseError: the lock file cannot be created there.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise WarehouseError(
            f"Cannot write to the data folder {path.parent} ({error.strerror}): the warehouse "
            f"needs to create and change files there. Readers can open the published copy "
            f"warehouse.duckdb instead; it needs no write access with duckdb -readonly."
        ) from error
    try:
        _wait(fd, path, purpose, timeout_s, log)
        note = f"process {os.getpid()}: {purpose}".encode("utf-8", "replace")[:_NOTE_BYTES]
        # The note is a courtesy; a full disk must not fail the lock.
        with suppress(OSError):
            os.pwrite(fd, note + b"\n", 0)
        try:
            yield
        finally:
            # Explicitly, since a child forked meanwhile holds a duplicate of the descriptor.
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def _wait(fd: int, path: Path, purpose: str, timeout_s: float, log: Callable[[str], None]) -> None:
    start, next_word = time.monotonic(), _QUIET_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            waited = time.monotonic() - start
        if waited < min(timeout_s, next_word):
            time.sleep(_LOCK_POLL_S if waited < _QUIET_S else _LOCK_POLL_LATER_S)
            continue
        holder = _holder(fd)
        if waited >= timeout_s:
            raise WarehouseLocked(
                f"Gave up {purpose} after {waited:.0f} s: {path.parent} is in use by {holder}. "
                f"If that process hangs, end it; the lock goes with it. The waiting time is the "
                f"warehouse's lock_timeout_s."
            )
        if waited >= next_word:
            log(f"Waiting to start {purpose}: {path.parent} is in use by {holder}.")
            next_word *= 4


def _holder(fd: int) -> str:
    """Return the note of the process that has the lock, without what is left of longer ones."""
    note = os.pread(fd, _NOTE_BYTES, 0).split(b"\n")[0]
    return note.decode("utf-8", "replace") or "an unnamed process"


class Undo:
    """The blocks of a database that a killed or failed checkpoint can leave half written.

    DuckDB writes rows into free blocks, but its metadata over the blocks in which the last
    checkpoint's metadata lies. SIGKILL or a full disk in the middle of such a block leaves a file
    that cannot be opened. So these blocks, a few of 256 KB, are put aside in a file beside the
    database before a transaction that writes, and put back where its checkpoint did not get as far
    as the header that ends it.

    Args:
        database: The file; nobody else may use it meanwhile.
    """

    def __init__(self, database: Path):
        self._database = database
        self._path = database.with_name(f"{database.name}.undo")
        self._fd = -1

    def recover(self) -> None:
        """Put back what a checkpoint that did not end has overwritten, before the file is opened.

        Harmless where it overwrote nothing.
        """
        try:
            saved = self._path.read_bytes()
        except FileNotFoundError:
            return
        with suppress(FileNotFoundError), self._database.open("r+b") as file:
            if file.read(HEADERS) == saved[:HEADERS]:
                for start in range(HEADERS, len(saved), _NUMBER + _BLOCK):
                    number = int.from_bytes(saved[start : start + _NUMBER], "little")
                    file.seek(HEADERS + number * _BLOCK)
                    file.write(saved[start + _NUMBER : start + _NUMBER + _BLOCK])
                file.flush()
                os.fsync(file.fileno())
        self._path.unlink()

    def save(self, con: duckdb.DuckDBPyConnection) -> None:
        """Put the metadata's blocks aside, before a transaction that writes.

        Not flushed to disk: it is for killed processes, not for power cuts. Where the disk is full
        the transaction will fail, too, and tell.
        """
        found = con.execute("SELECT DISTINCT block_id FROM pragma_metadata_info()").fetchall()
        if self._fd < 0:
            # Closing any descriptor of the file would drop the lock that DuckDB has on it.
            self._fd = os.open(self._database, os.O_RDONLY | os.O_CLOEXEC)
        parts = [os.pread(self._fd, HEADERS, 0)]
        for (number,) in found:
            block = os.pread(self._fd, _BLOCK, HEADERS + number * _BLOCK)
            if len(block) == _BLOCK:  # else it was never written
                parts += [number.to_bytes(_NUMBER, "little"), block]
        partial = self._path.with_name(f"{self._path.name}.partial")
        try:
            partial.write_bytes(b"".join(parts))
            partial.replace(self._path)
        except OSError:
            partial.unlink(missing_ok=True)

    def close(self, done: bool) -> None:
        """Let the file go after DuckDB has closed it, and what was put aside where all is well."""
        if self._fd >= 0:
            os.close(self._fd)
        if done:
            self._path.unlink(missing_ok=True)
