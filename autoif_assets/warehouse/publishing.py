"""Copying a closed database file so that its replacement is complete or not there."""

import errno
import fcntl
import os
import tempfile
import time
from pathlib import Path

from autoif_assets.warehouse.undo import HEADERS

_FICLONE = 0x40049409
"""Linux's ioctl to share all blocks of another file, on file systems with reflinks."""

_NO_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS}
_CHUNK = 1 << 26
_LONGEST_PAUSE_S = 300.0


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
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        with source.open("rb") as old, partial.open("wb") as new:
            modified_ns = os.fstat(old.fileno()).st_mtime_ns
            _copy(old.fileno(), new.fileno(), os.fstat(old.fileno()).st_size)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return Copy(partial, target, modified_ns)


def keep(target: Path) -> Path | None:
    """Give a published copy a second, numbered name, which stays when it is replaced.

    Returns:
        The new name; None where there is no copy or it has been given one.
    """
    if not target.exists():
        return None
    kept = [target.with_name(f"{target.stem}-old-{number}.duckdb") for number in range(1, 1000)]
    for path in kept:
        if not path.exists():
            try:
                os.link(target, path)
            except OSError:  # a file system without hard links: readers wait for the next copy
                target.rename(path)
            return path
        if path.samefile(target):
            return None
    raise FileExistsError(f"{target.parent} holds {len(kept)} old copies; remove some")


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


def _copy(source: int, target: int, size: int) -> None:
    if _clone(source, target):
        return
    done = 0
    while done < size:
        sent = os.sendfile(target, source, done, min(_CHUNK, size - done))
        if sent == 0:
            break
        done += sent
