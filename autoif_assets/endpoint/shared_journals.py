"""Journals that machines share: uploaded in segments while a run lasts, fetched by the next one.

What this machine's journals hold of an asset and batch, and the storage does not, is put under
``journals/<asset>/<batch>/<run>.<token>.<number>.jsonl`` every few seconds. At the end of a run
its segments, and those that killed runs have left, become one object without a number. Another
machine appends the lines that it lacks to a journal of its own before it looks for answers.

The file ``~held.json`` beside the journals says which objects' lines they hold, and how much of
each journal is in the storage. It may be missing or old: then lines are fetched or uploaded that
need not be, and those that are there twice are left out when they are fetched.
"""

import fcntl
import itertools
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from autoif_assets.endpoint.errors import EndpointError
from autoif_assets.endpoint.journal_files import (
    HELD,
    decode_name,
    encode_name,
    in_use,
    journal_folder,
    parse,
    read_lines,
)

_FOLDER = "journals"
_FETCHED = "~fetched.jsonl"
_SEGMENT = re.compile(r"\.\d{6}\.jsonl")
_SEGMENT_BYTES = 16 << 20
# A machine that is lost costs at most 5 s of answers: a wait, and an upload.
_EVERY_S = 2.0
_LAST_TRIES_S = 30.0
_TRIES = 5


class Objects(Protocol):
    """A storage of whole files by key; each method raises OSError where it does not answer."""

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes, or those of a file."""

    def get(self, key: str) -> Iterator[bytes]:
        """Yield what a key has; FileNotFoundError where it has nothing."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys that begin with ``folder/``."""

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders that are in a folder."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, as far as they are there."""


@dataclass(frozen=True)
class Sharing:
    """How a run shares its journals.

    Attributes:
        objects: The storage.
        log: Told in a sentence when it goes away, and when it is back.
        every_s: Seconds between two uploads.
        last_tries_s: Seconds for which the end of a run waits for a storage that is away.
    """

    objects: Objects
    log: Callable[[str], None]
    every_s: float = _EVERY_S
    last_tries_s: float = _LAST_TRIES_S


@dataclass
class _Held:
    objects: list[str] = field(default_factory=list)
    uploaded: dict[str, int] = field(default_factory=dict)


class Uploads:
    """The journals of an asset and batch on their way to the storage, while a run is open.

    Args:
        sharing: Where they go.
        path: The journal of this run; the names of its objects begin like its own.
        key: Folder of the asset and batch in the storage.
        there: The keys that are in it.
    """

    def __init__(self, sharing: Sharing, path: Path, key: str, there: Sequence[str]):
        self._sharing, self._objects, self._log = sharing, sharing.objects, sharing.log
        self._place, self._key = path.parent, key
        self._name = f"{path.stem}.{uuid.uuid4().hex[:12]}"
        self._whole = f"{key}/{self._name}.jsonl"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        # Of our segments: their keys, and what of which file they hold.
        self._segments: list[str] = []
        self._sent: list[tuple[Path, int, int]] = []
        self._left = [one for one in there if _SEGMENT.search(one)]

    def start(self) -> None:
        """Upload every few seconds from now on, beside the run."""
        if self._thread is None:
            # A daemon: what is left when a run ends is uploaded by `finish`.
            self._thread = threading.Thread(target=self._run, name="journals", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Upload the rest, and make one object of the segments.

        Raises:
            EndpointError: The rest could not be uploaded. It is in this machine's journals, and
                goes to the storage with the next run of the batch here.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        end, pause = time.monotonic() + self._sharing.last_tries_s, 0.2
        while True:
            try:
                self._upload(last=True)
                break
            except OSError as error:
                if time.monotonic() + pause > end:
                    raise EndpointError(
                        f"Answers in {self._place} could not be uploaded to {self._key} in the "
                        f"lake's storage ({error}). They are paid for and safe on this machine: "
                        "run the batch again here when the storage is back."
                    ) from error
            time.sleep(pause)
            pause *= 2
        try:
            self._merge()
        except OSError as error:
            # All is in the storage; the next run of the batch merges it.
            self._log(f"The segments of {self._key} stay as they are for now: {error}.")

    def _run(self) -> None:
        away = False
        while not self._stop.wait(self._sharing.every_s):
            try:
                self._upload()
            except OSError as error:
                if not away:
                    self._log(
                        f"Journals cannot be uploaded ({error}). Asking goes on; answers are in "
                        f"{self._place}, and the upload is tried again."
                    )
                away = True
            else:
                if away:
                    self._log("Journals are uploaded again.")
                away = False

    def _upload(self, last: bool = False) -> None:
        """Put what is new into segments; what is one object in all needs no number."""
        if not self._place.is_dir():
            return
        with _held(self._place) as held:
            new = _not_uploaded(self._place, held)
            first = list(itertools.islice(new, 2))
            whole = last and len(first) == 1 and not (self._segments or self._left)
            for path, start, data in itertools.chain(first, new):
                key = f"{self._key}/{self._name}.{len(self._segments):06d}.jsonl"
                key = self._whole if whole else key
                self._objects.put(key, data)
                self._segments += [] if whole else [key]
                self._sent.append((path, start, start + len(data)))
                held.objects.append(key)
                held.uploaded[_file_key(path)] = start + len(data)

    def _merge(self) -> None:
        if not (self._segments or self._left):
            return
        whole = self._place / f"~{self._name}.draft"
        try:
            with whole.open("wb") as file:
                for one in self._left:
                    # Another run of the batch may have merged it.
                    with suppress(FileNotFoundError):
                        file.writelines(self._objects.get(one))
                for path, start, end in self._sent:
                    with path.open("rb") as journal:
                        journal.seek(start)
                        while start < end:
                            part = journal.read(min(_SEGMENT_BYTES, end - start))
                            file.write(part)
                            start += len(part)
            self._objects.put(self._whole, whole)
        finally:
            whole.unlink(missing_ok=True)
        with _held(self._place) as held:
            held.objects.append(self._whole)
        self._objects.delete([*self._segments, *self._left])


def open_uploads(
    sharing: Sharing, folder: Path, assets: Sequence[str], batch: str, path: Path
) -> Uploads:
    """Fetch what the storage has of some assets, and prepare to upload the first one's journals.

    Args:
        sharing: Where they are, and go.
        folder: Folder of all journals.
        assets: The asset that asks, and those whose answers it takes.
        batch: Partition key.
        path: The journal of this run.

    Raises:
        EndpointError: The storage does not answer, or this machine's journals cannot be written.
    """
    there = [fetch_journals(sharing.objects, folder, asset, batch) for asset in assets]
    return Uploads(sharing, path, _key(assets[0], batch), there[0])


def fetch_journals(objects: Objects, folder: Path, asset: str, batch: str) -> list[str]:
    """Bring the lines that other machines have of an asset and batch into this one's journals.

    Returns:
        The keys that the storage has of them.

    Raises:
        EndpointError: The storage does not answer, or this machine's journals cannot be written.
    """
    key, place = _key(asset, batch), journal_folder(folder, asset, batch)
    try:
        there = _keys(objects, key)
        if not there:
            return []
        place.mkdir(parents=True, exist_ok=True)
        used = in_use(place)
        try:
            with _held(place) as held:
                return _fetch(objects, key, place, held, there)
        finally:
            os.close(used)
    except OSError as error:
        raise EndpointError(
            f"The journals of {asset} {batch} in the lake's storage cannot be fetched ({error}). "
            "Nothing is asked, for other machines may have paid for it; run again when the "
            "storage answers."
        ) from error


def fetch_batch(objects: Objects, folder: Path, batch: str) -> None:
    """Fetch the journals of all assets of a batch; see `fetch_journals`."""
    for asset, _ in _of_batch(objects, batch):
        fetch_journals(objects, folder, asset, batch)


def remove_shared(objects: Objects, batch: str) -> int:
    """Remove the journals of a batch from the storage, and return how many there were.

    Raises:
        EndpointError: The storage does not answer.
    """
    try:
        found = [key for _, keys in _of_batch(objects, batch) for key in keys]
        objects.delete(found)
    except OSError as error:
        raise EndpointError(
            f"The journals of {batch} in the lake's storage cannot be removed ({error}). "
            "Remove them again when it answers."
        ) from error
    return len(found)


def _of_batch(objects: Objects, batch: str) -> list[tuple[str, list[str]]]:
    assets = [decode_name(one) for one in objects.folders(_FOLDER)]
    return [(asset, keys) for asset in assets if (keys := _keys(objects, _key(asset, batch)))]


def _key(asset: str, batch: str) -> str:
    return f"{_FOLDER}/{encode_name(asset)}/{encode_name(batch)}"


def _keys(objects: Objects, key: str) -> list[str]:
    # The folder of a long name may hold that of a longer one.
    return [one for one in objects.keys(key) if "/" not in one.removeprefix(f"{key}/")]


def _fetch(objects: Objects, key: str, place: Path, held: _Held, there: list[str]) -> list[str]:
    for tried in range(1, _TRIES + 1):
        held.objects = [one for one in held.objects if one in there]
        new = [one for one in there if one not in held.objects]
        if not new:
            break
        lines = read_lines(sorted(place.glob("*.jsonl")))
        known = {_mark(line.record) for line in lines if line.record is not None}
        try:
            with (place / _FETCHED).open("ab") as file:
                for one in new:
                    _append(file.fileno(), _lines(objects.get(one)), known)
                    held.objects.append(one)
        except FileNotFoundError:
            # Segments that were merged meanwhile are in another object.
            if tried == _TRIES:
                raise
            there = _keys(objects, key)
        else:
            break
    return there


def _append(file: int, lines: Iterator[bytes], known: set[int]) -> None:
    # Each begins a line: one that was torn by a kill must not swallow it.
    data = bytearray()
    for line in lines:
        record = parse(line)
        if record is None or (mark := _mark(record)) in known:
            continue
        known.add(mark)
        data += b"\n" + line
        if len(data) > _SEGMENT_BYTES:
            _write(file, data)
    if data:
        _write(file, data + b"\n")


def _write(file: int, data: bytearray) -> None:
    while data:
        del data[: os.write(file, data)]


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    yield rest


def _mark(record: dict[str, object]) -> int:
    # To the microsecond: no two answers to one call end at the same one.
    return hash((record["call_id"], record["finished"], *record["samples"]))  # type: ignore[misc]


def _not_uploaded(place: Path, held: _Held) -> Iterator[tuple[Path, int, bytes]]:
    """Yield what of this machine's own journals is new to the storage, in whole lines."""
    for path in sorted(place.glob("*.jsonl")):
        if path.name == _FETCHED:
            continue
        start = held.uploaded.get(_file_key(path), 0)
        with path.open("rb") as file:
            file.seek(start)
            while data := file.read(_SEGMENT_BYTES):
                if (end := data.rfind(b"\n") + 1) == 0:
                    # One line longer than a segment, or the torn line of a killed run.
                    data += file.readline()
                    end = len(data) if data.endswith(b"\n") else 0
                if end == 0:
                    break
                yield path, start, data[:end]
                start += end
                file.seek(start)


def _file_key(path: Path) -> str:
    # A journal that was compacted is another file of its name.
    return f"{path.name}:{path.stat().st_ino}"


@contextmanager
def _held(place: Path) -> Iterator[_Held]:
    """Hold what is known of the journals in a folder, and keep what was found out, always."""
    path = place / HELD
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            held = _Held(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            held = _Held()
        try:
            yield held
        finally:
            draft = path.with_suffix(".draft")
            draft.write_text(json.dumps(vars(held)), "utf-8")
            draft.replace(path)
