"""A lock between processes that the kernel releases when its holder dies."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoif_assets.warehouse.errors import WarehouseError, WarehouseLocked

_POLL_S = 0.001
_LATER_POLL_S = 0.01
_QUIET_S = 1.0
_NOTE_BYTES = 1000


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
            time.sleep(_POLL_S if waited < _QUIET_S else _LATER_POLL_S)
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
