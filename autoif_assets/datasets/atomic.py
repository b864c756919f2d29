"""Replacing a whole folder at once.

A dataset is several files that belong together (data, `dataset_info.json`, card), so replacing
them one by one would show a reader the files of two exports, and kill -9 would leave them so.
The new folder is therefore written beside the old one under a hidden name, flushed to disk, and
the two names are exchanged by one system call (`renameat2` with `RENAME_EXCHANGE`). A symlink
to a versioned folder would be atomic too, but people copy, mount and upload these folders, and
a folder that is a link surprises them.
"""

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def replaced_folder(folder: Path, is_ours: Callable[[str], bool]) -> Iterator[Path]:
    """Give an empty folder to write into; on leaving, it takes the place of ``folder``.

    Where the block raises or the process dies, ``folder`` is as it was. Two processes that
    write the same folder take turns. Files already open in a reader stay readable.

    Where the platform or the file system cannot exchange two names (not Linux, or some network
    file systems), the old folder is renamed away just before the new one is renamed in:
    between the two a reader finds no folder, never half of one.

    Args:
        folder: Made with its parents if absent; links are followed.
        is_ours: Whether a path relative to ``folder`` is one this export writes and may delete.

    Raises:
        ValueError: ``folder`` is a file, or holds a file that is not ours.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = (folder.with_name(f".{folder.name}.{end}") for end in ("new", "old"))
    # The kernel releases the lock of a killed process; the file stays, as removing it would
    # let two processes lock two files of one name.
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if old.exists() and not folder.exists():
            old.rename(folder)  # killed between the two renames of the fallback
        _refuse_foreign_files(folder, is_ours)
        _remove(new)
        new.mkdir()
        try:
            yield new
            _sync_folders(new)
            _swap(new, folder, old)
            _sync(folder.parent)
            _remove(old)
        finally:
            _remove(new)  # what was written so far or, after the exchange, the old export


def _refuse_foreign_files(folder: Path, is_ours: Callable[[str], bool]) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, but the export is a folder; choose another name.")
    for path in folder.rglob("*"):
        is_folder = path.is_dir() and not path.is_symlink()
        if not is_folder and not is_ours(path.relative_to(folder).as_posix()):
            raise ValueError(
                f"{folder} holds {path.relative_to(folder)}, which no export wrote, and an "
                "export replaces the whole folder; move that file away or choose another folder."
            )


def _swap(new: Path, folder: Path, old: Path) -> None:
    try:
        new.rename(folder)  # works if there is no folder yet, or an empty one
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _exchange(new, folder):
            _remove(old)
            folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                old.rename(folder)
                raise


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names atomically; False where that is not possible here."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    renameat2.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    names = os.fsencode(first), os.fsencode(second)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    error = ctypes.get_errno()
    if error in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(error, os.strerror(error), str(second))


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _sync(Path(folder))


def _sync(folder: Path) -> None:
    """Flush a folder's entries, so that a power cut does not lose the names of its files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
