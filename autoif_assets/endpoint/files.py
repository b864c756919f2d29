"""Journals as files: their names, their lines and the lock that says they are in use."""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote

from autoif_assets.endpoint.errors import EndpointError

_SAFE = re.compile(r"[A-Za-z0-9_-]*")
# No run's file has this name: `encode_name` writes "~" as %7E.
COMPACTED = "~compacted.jsonl"
NAME_LENGTH = 180  # below the 255 bytes a file name may have


def journal_folder(folder: Path, asset: str, batch: str) -> Path:
    """Return the folder of one asset's and batch's journals."""
    return folder / encode_name(asset) / encode_name(batch)


def journal_files(folder: Path, asset: str, batch: str) -> list[Path]:
    """List the journals of an asset and batch, in order of name."""
    return sorted(journal_folder(folder, asset, batch).glob("*.jsonl"))


def read_journals(folder: Path, asset: str, batch: str) -> Iterator[dict[str, Any]]:
    """Yield every readable line of an asset and batch, run by run."""
    for _, _, record in read_lines(journal_files(folder, asset, batch)):
        if record is not None:
            yield record


def read_lines(paths: Sequence[Path]) -> Iterator[tuple[Path, int, dict[str, Any] | None]]:
    """Yield each line that is not blank with its file and offset in bytes; None where it is torn.

    A line that is in two files, as a killed compaction leaves it, comes once.
    """
    twice = len(paths) > 1 and any(path.name == COMPACTED for path in paths)
    seen: set[int] = set()
    for path in paths:
        for offset, line in _lines(path):
            record = parse(line)
            if twice and record is not None:
                # To the microsecond: no two answers to one call end at the same one.
                mark = hash((record["call_id"], record["finished"], *record["samples"]))
                if mark in seen:
                    continue
                seen.add(mark)
            yield path, offset, record


def parse(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where it is torn."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or "finished" not in record or "call_id" not in record:
        return None
    return record


def in_use(place: Path) -> int:
    """Say that the journals in a folder are in use until the returned descriptor is closed."""
    file = os.open(place, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


@contextmanager
def alone(place: Path) -> Iterator[bool]:
    """Keep others from using the journals in a folder; yield False if somebody does."""
    file = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


def encode_name(name: str) -> str:
    """Turn any text into a file name that `decode_name` turns back.

    Letters, digits, ``_`` and ``-`` stay; the rest becomes ``%XX``, dots included, so that no
    name is special. Where the result is too long for one name it is a path of several.

    Raises:
        ValueError: The name is empty.
    """
    if not name:
        raise ValueError("A journal needs an asset, a batch and a run id that are not empty.")
    encoded = "".join(
        char
        if _SAFE.fullmatch(char)
        else quote_from_bytes(char.encode("utf-8", "surrogatepass"), safe="").replace(".", "%2E")
        for char in name
    ).replace("~", "%7E")
    return "/".join(
        encoded[start : start + NAME_LENGTH] for start in range(0, len(encoded), NAME_LENGTH)
    )


def decode_name(encoded: str) -> str:
    """Turn what `encode_name` made back into the text."""
    return unquote(encoded.replace("/", ""), errors="surrogatepass")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            offset = 0
            for line in file:
                if line.strip():
                    yield offset, line
                offset += len(line)
    except OSError as error:
        raise EndpointError(f"The journal {path} cannot be read: {error.strerror}.") from error
