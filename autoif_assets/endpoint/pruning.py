"""Removing and merging journals: only when asked to, never those of an open run."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoif_assets.endpoint.errors import EndpointError
from autoif_assets.endpoint.files import COMPACTED, alone, decode_name, encode_name, read_lines


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
        for _, _, record in read_lines(paths):
            if record is not None:
                line = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
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
