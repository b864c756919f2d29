"""Exports in the storage that machines share: made on one, read on any.

The files of ``exports/<name>/`` are replaced one by one, each at once. Beside them the list
``exports/.<name>.json`` says what they are by their hashes, and is written last: who reads by it
never takes files of two exports for one.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from autoif_assets.datasets.atomic import replaced_folder

_FOLDER = "exports"
_TRIES, _PAUSE_S = 30, 2.0


class Objects(Protocol):
    """A storage of whole files by key; each method raises OSError where it does not answer."""

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes, or those of a file."""

    def get(self, key: str) -> Iterator[bytes]:
        """Yield what a key has; FileNotFoundError where it has nothing."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys that begin with ``folder/``."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, as far as they are there."""


def share_dataset(objects: Objects, exports: Path, name: str) -> None:
    """Put an export of this machine where all machines find it.

    Args:
        objects: The storage.
        exports: Folder of this machine's exports.
        name: Folder of the export in it.

    Raises:
        OSError: The storage cannot be written; run the export again.
    """
    folder = exports / name
    files = {
        path.relative_to(folder).as_posix(): _hash(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    before = _listed(objects, name)
    for path, digest in files.items():
        if before.get(path) != digest:
            objects.put(f"{_FOLDER}/{name}/{path}", folder / path)
    listed = json.dumps(files).encode()
    objects.put(_list_key(name), listed)
    gone = set(before) - set(files)
    objects.delete(f"{_FOLDER}/{name}/{path}" for path in sorted(gone))
    _own_list(exports, name).write_bytes(listed)


def fetch_dataset(objects: Objects, exports: Path, name: str) -> None:
    """Bring this machine's folder of an export up to what the storage has, if it has one.

    Args:
        objects: The storage.
        exports: Folder of this machine's exports.
        name: Folder of the export in it.

    Raises:
        ValueError: The folder holds files that no export wrote.
        OSError: The storage does not answer, or the export is being replaced for long.
    """
    own = _own_list(exports, name)
    mine = json.loads(own.read_bytes()) if own.is_file() else {}
    for _ in range(_TRIES):
        files = _listed(objects, name)
        if not files or (files == mine and (exports / name).is_dir()):
            return
        ours = {*files, *mine}.__contains__
        with suppress(_Replaced, FileNotFoundError):
            with replaced_folder(exports / name, ours) as new:
                for path, digest in files.items():
                    _fetch(objects, f"{_FOLDER}/{name}/{path}", new / path, digest)
            own.write_text(json.dumps(files), "utf-8")
            return
        time.sleep(_PAUSE_S)
    raise OSError(f"The export {name} is being replaced by another machine; try again later.")


class _Replaced(Exception):
    """A file is not that of the list, which was read before."""


def _fetch(objects: Objects, key: str, path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(objects.get(key))
    if _hash(path) != digest:
        raise _Replaced


def _listed(objects: Objects, name: str) -> dict[str, str]:
    try:
        return dict(json.loads(b"".join(objects.get(_list_key(name)))))
    except FileNotFoundError:
        return {}


def _list_key(name: str) -> str:
    folder, _, last = name.rpartition("/")
    return "/".join(filter(None, [_FOLDER, folder, f".{last}.json"]))


def _own_list(exports: Path, name: str) -> Path:
    path = exports / name
    return path.with_name(f".{path.name}.json")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
