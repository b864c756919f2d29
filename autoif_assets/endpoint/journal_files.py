"""Journals as files: their names, lines and lock, and removing and merging them when asked to."""

import fcntl
import json
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote

from autoif_assets.endpoint.errors import EndpointError
from autoif_assets.method.readable import count, shown_text

_SAFE = re.compile(r"[A-Za-z0-9_-]*")
# No run's file has this name: `encode_name` writes "~" as %7E.
COMPACTED = "~compacted.jsonl"
# What of the journals beside it the storage that machines share has, too.
HELD = "~held.json"
_TEXTS = ("call_id", "model", "base_url", "prompt")
_COUNTS = ("prompt_tokens", "cached_tokens", "completion_tokens")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}\+00:00")
_MOST_SECONDS = 1e9
NAME_LENGTH = 180  # below the 255 bytes a file name may have


def journal_folder(folder: Path, asset: str, batch: str) -> Path:
    """Return the folder of one asset's and batch's journals."""
    return folder / encode_name(asset) / encode_name(batch)


def journal_files(folder: Path, asset: str, batch: str) -> list[Path]:
    """List the journals of an asset and batch, in order of name."""
    return sorted(journal_folder(folder, asset, batch).glob("*.jsonl"))


def read_journals(folder: Path, asset: str, batch: str) -> Iterator[dict[str, Any]]:
    """Yield every readable line of an asset and batch, run by run."""
    for line in read_lines(journal_files(folder, asset, batch)):
        if line.record is not None:
            yield line.record


@dataclass(frozen=True)
class Line:
    """A line of a journal that is not blank.

    Attributes:
        path: Its file.
        offset: Where it begins, in bytes.
        number: Which line of the file it is, from 1.
        record: What it says; None where it is torn or damaged.
        torn: Whether it is no JSON, as a killed process leaves it.
    """

    path: Path
    offset: int
    number: int
    record: dict[str, Any] | None
    torn: bool = False

    def __str__(self) -> str:
        return f"{self.path.name}:{self.number}"


def read_lines(paths: Sequence[Path]) -> Iterator[Line]:
    """Yield each line that is not blank.

    A line that is in two files, as a killed compaction leaves it, comes once.
    """
    twice = len(paths) > 1 and any(path.name == COMPACTED for path in paths)
    seen: set[int] = set()
    for path in paths:
        for number, offset, line in _lines(path):
            try:
                decoded = json.loads(line)
            except (ValueError, RecursionError):
                yield Line(path, offset, number, None, torn=True)
                continue
            record = whole(decoded)
            if twice and record is not None:
                # To the microsecond: no two answers to one call end at the same one.
                mark = hash((record["call_id"], record["finished"], *record["samples"]))
                if mark in seen:
                    continue
                seen.add(mark)
            yield Line(path, offset, number, record)


def parse(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where it is torn or damaged."""
    try:
        return whole(json.loads(line))
    except (ValueError, RecursionError):
        return None


def whole(record: Any) -> dict[str, Any] | None:
    """Return a line's record, made fit for tables; None where anything is missing or is no such.

    Counts that no server can mean, as journals of earlier versions may hold them, are unknown.
    """
    try:
        _check(record)
        usage = {name: count(record["usage"][name]) for name in _COUNTS}
        choices = [
            {
                "text": shown_text(choice["text"]),
                "reasoning": None if (t := choice.get("reasoning")) is None else shown_text(t),
                "finish_reason": None
                if (r := choice.get("finish_reason")) is None
                else shown_text(r),
                **({"logprobs": shown_text(p)} if (p := choice.get("logprobs")) else {}),
            }
            for choice in record["choices"]
        ]
        texts = {name: shown_text(record[name]) for name in _TEXTS}
        error = None if record["error"] is None else shown_text(record["error"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    # What is unknown of the usage is unknown of what it cost.
    known = all(usage[name] == record["usage"][name] for name in _COUNTS)
    tokens, cost = (record["tokens"], record["cost"]) if known else (0, 0.0)
    counted = {"tokens": tokens, "cost": cost, "usage": usage}
    return {**record, **texts, **counted, "choices": choices, "error": error}


def _check(record: Any) -> None:
    """Make sure that a record holds what is read of it.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is of another type.
        ValueError: Something is out of bounds.
    """
    for name in ("started", "finished"):
        if _MOMENT.fullmatch(record[name]) is None:
            raise ValueError
        datetime.fromisoformat(record[name])
    samples, choices = record["samples"], record["choices"]
    if not (isinstance(samples, list) and isinstance(choices, list)):
        raise TypeError
    if len(samples) != len(choices) or not all(count(s, 10**6) is not None for s in samples):
        raise ValueError
    if not isinstance(record["parameters"], dict) or not isinstance(record["final"], bool):
        raise TypeError
    json.dumps(record["parameters"], ensure_ascii=False).encode()
    if count(record["attempts"]) is None or count(record.get("order", 0)) is None:
        raise ValueError
    for name in ("queue_wait_s", "latency_s"):
        if not 0 <= record[name] < _MOST_SECONDS:
            raise ValueError
    if not (0 <= record["cost"] < math.inf and 0 <= record["tokens"] < math.inf):
        raise ValueError


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


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    try:
        with path.open("rb") as file:
            offset = 0
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, offset, line
                offset += len(line)
    except OSError as error:
        raise EndpointError(f"The journal {path} cannot be read: {error.strerror}.") from error


@dataclass(frozen=True)
class Pruned:
    """A journal that was removed, or in a dry run would be.

    Attributes:
        asset: Asset that asked.
        batch: Partition key.
        path: The file.
        size: Its bytes.
        idle_s: Seconds since its last write.
    """

    asset: str
    batch: str
    path: Path
    size: int
    idle_s: float


@dataclass(frozen=True)
class Compacted:
    """The journals of an asset and batch that became one.

    Attributes:
        asset: Asset that asked.
        batch: Partition key.
        path: The one file.
        files: How many there were before.
        size_before: Their bytes.
        size: Bytes of the one.
    """

    asset: str
    batch: str
    path: Path
    files: int
    size_before: int
    size: int


def prune_journals(
    folder: Path,
    older_than_s: float,
    dry_run: bool = False,
    *,
    asset: str | None = None,
    batch: str | None = None,
) -> list[Pruned]:
    """Remove journals that were last written longer ago than ``older_than_s``.

    What they hold would be asked and paid for again by a rerun of their batch, so see first that
    it is in ``llm_calls``. A journal that a run has open, for reading or writing, is left alone.

    Args:
        folder: Folder of all journals.
        older_than_s: Seconds since the last write.
        dry_run: Remove nothing.
        asset: Only this asset's.
        batch: Only this batch's.

    Raises:
        EndpointError: A file cannot be removed.
    """
    pruned = []
    for name, key, place in _places(folder, asset, batch):
        with alone(place) as free:
            for path in sorted(place.glob("*.jsonl")) if free else ():
                status = path.stat()
                idle_s = time.time() - status.st_mtime
                if idle_s <= older_than_s:
                    continue
                if not dry_run:
                    try:
                        path.unlink()
                    except OSError as error:
                        raise EndpointError(
                            f"The journal {path} cannot be removed: {error.strerror}."
                        ) from error
                    # Fetched again where it is wanted, if other machines have it.
                    (place / HELD).unlink(missing_ok=True)
                pruned.append(Pruned(name, key, path, status.st_size, idle_s))
    return pruned


def compact_journals(
    folder: Path, asset: str | None = None, batch: str | None = None
) -> list[Compacted]:
    """Merge the journals of each asset and batch into one file, every whole line of them.

    The one file is complete on disk before the others go; lines that a kill in between leaves
    twice count once. Journals that a run has open are left alone. For `spent_by_run` a compacted
    run has spent nothing.

    Raises:
        EndpointError: A file cannot be read or written.
    """
    compacted = []
    for name, key, place in _places(folder, asset, batch):
        with alone(place) as free:
            paths = sorted(place.glob("*.jsonl")) if free else []
            if len(paths) < 2:
                continue
            before = sum(path.stat().st_size for path in paths)
            whole = place / COMPACTED
            try:
                size = _merge_files(paths, whole)
            except OSError as error:
                raise EndpointError(
                    f"The journals in {place} cannot be compacted: {error.strerror}. They are as "
                    "they were."
                ) from error
            compacted.append(Compacted(name, key, whole, len(paths), before, size))
    return compacted


def _merge_files(paths: list[Path], whole: Path) -> int:
    draft = whole.with_suffix(".draft")
    with draft.open("wb") as file:
        for line_read in read_lines(paths):
            if line_read.record is not None:
                line = json.dumps(line_read.record, ensure_ascii=False).encode("utf-8", "replace")
                file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    draft.replace(whole)
    for path in paths:
        if path != whole:
            path.unlink()
    return size


def _places(folder: Path, asset: str | None, batch: str | None) -> Iterator[tuple[str, str, Path]]:
    """Yield asset, batch and folder of the journals there are, for these two if they are given."""
    for place in sorted({path.parent for path in folder.rglob("*.jsonl")}):
        first, *rest = place.relative_to(folder).parts
        if asset is not None and first != encode_name(asset):
            continue
        if batch is not None and "/".join(rest) != encode_name(batch):
            continue
        yield decode_name(first), decode_name("/".join(rest)), place
