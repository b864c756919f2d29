"""Files beside the tables in a lake's storage: written whole by key, to S3 or a shared folder."""

import functools
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoif_assets.warehouse.lake_connection import LakePlace, storage_keys

BESIDE = ("journals", "exports", "reports")
"""The folders that hold no tables; a schema of these names would be one of them."""

# A storage that is away is noticed in seconds; who asks tries again.
_CONNECT_S, _ANSWER_S = 5.0, 60.0
_PART_BYTES = 8 << 20


class Objects:
    """What is kept under ``AUTOIF_LAKE_DATA`` beside the tables, by key.

    A key is a path of several names. Whoever reads it finds all of what was last put there, or
    nothing. Every method raises OSError where the storage does not answer or refuses.

    Args:
        place: The lake.
    """

    def __init__(self, place: LakePlace):
        self._place = place

    def __str__(self) -> str:
        return self._place.data

    def where(self, key: str) -> str:
        """Return the address of a key, for people."""
        return self._place.folder + key

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes, or those of a file, in the place of what the key had."""
        files, root = self._opened()
        target = root + key
        if files.type_name == "s3":
            self._write(files, target, data)
            return
        # Hidden until it is whole: other machines list the folder meanwhile.
        draft = Path(target).with_name(f".{uuid.uuid4().hex}.draft")
        try:
            draft.parent.mkdir(parents=True, exist_ok=True)
            self._write(files, str(draft), data)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def get(self, key: str) -> Iterator[bytes]:
        """Yield what a key has, in parts.

        Raises:
            FileNotFoundError: It has nothing.
        """
        files, root = self._opened()
        with files.open_input_stream(root + key) as stream:
            while part := stream.read(_PART_BYTES):
                yield part

    def keys(self, folder: str) -> list[str]:
        """Return the keys that begin with ``folder/``, in order."""
        from pyarrow import fs

        files, root = self._opened()
        wanted = fs.FileSelector(root + folder, recursive=True, allow_not_found=True)
        found = (one for one in files.get_file_info(wanted) if one.type == fs.FileType.File)
        return sorted(
            one.path.removeprefix(root) for one in found if not one.base_name.startswith(".")
        )

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders that are in a folder."""
        from pyarrow import fs

        files, root = self._opened()
        wanted = fs.FileSelector(root + folder, allow_not_found=True)
        found = files.get_file_info(wanted)
        return sorted(one.base_name for one in found if one.type == fs.FileType.Directory)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; those that are gone already are no error."""
        files, root = self._opened()
        for key in keys:
            with suppress(FileNotFoundError):
                files.delete_file(root + key)

    @staticmethod
    def _write(files: Any, target: str, data: bytes | Path) -> None:
        with files.open_output_stream(target) as stream:
            if isinstance(data, bytes):
                stream.write(data)
                return
            with data.open("rb") as file:
                while part := file.read(_PART_BYTES):
                    stream.write(part)

    def _opened(self) -> tuple[Any, str]:
        """Return the file system of this process, and what all keys begin with there."""
        if self._place.data.startswith("s3://"):
            keys = tuple(sorted(storage_keys(self._place).items()))
            return _s3(os.getpid(), keys), self._place.folder.removeprefix("s3://")
        from pyarrow import fs

        return fs.LocalFileSystem(), self._place.folder


@functools.lru_cache(maxsize=1)
def _s3(process: int, keys: tuple[tuple[str, str], ...]) -> Any:
    """Return S3 as the environment describes it; a forked process gets one of its own."""
    from pyarrow import fs

    given = dict(keys)
    scheme, _, endpoint = given.get("endpoint", "").rpartition("://")
    return fs.S3FileSystem(
        access_key=given["key_id"],
        secret_key=given["secret"],
        session_token=given.get("session_token"),
        region=given["region"],
        endpoint_override=endpoint or None,
        scheme=scheme or "https",
        connect_timeout=_CONNECT_S,
        request_timeout=_ANSWER_S,
        # What is small is one request then, and nothing is left of one that was broken off.
        allow_delayed_open=True,
        background_writes=False,
    )
