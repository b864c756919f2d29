"""The journal: every finished model call, on disk before its result is used.

One append-only JSONL file per asset, batch and run: ``<asset>/<batch>/<run_id>.jsonl``. A line is
one HTTP request that ended: with completions, or with a refusal. A call that took several (the
server gave fewer completions than asked for, or a killed run left some missing) has several
lines; each says which samples it holds.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote_from_bytes, unquote

from autoif_assets.endpoint.calls import Choice
from autoif_assets.endpoint.errors import EndpointError

_SAFE = re.compile(r"[A-Za-z0-9_-]*")
_NAME_LENGTH = 180  # below the 255 bytes a file name may have


@dataclass
class Held:
    """What a journal holds of one call.

    Attributes:
        choices: Completions by sample.
        error: Why the server refused the call for good, if it did.
    """

    choices: dict[int, Choice] = field(default_factory=dict)
    error: str | None = None


class Journal:
    """The journals of one asset and batch, open for this run to read and append to.

    Texts stay on disk: only the places of the lines are held in memory.

    Attributes:
        path: This run's file; it exists once a call has finished.
        torn: Lines that could not be read, as a killed process leaves them; they are ignored.
    """

    def __init__(
        self, folder: Path, asset: str, batch: str, run_id: str, *, refresh: bool = False
    ) -> None:
        """Index the journals of ``asset`` and ``batch`` under ``folder``.

        Args:
            folder: Folder of all journals; made when the first call finishes.
            asset: Asset that asks.
            batch: Partition key; any characters.
            run_id: Names this run's file. A run that is retried goes on in its own file.
            refresh: Ask anew for what earlier runs have; their lines are kept.

        Raises:
            EndpointError: A journal cannot be read.
        """
        self.path = _folder(folder, asset, batch) / f"{encode_name(run_id)[:_NAME_LENGTH]}.jsonl"
        self.torn = 0
        self._lines: defaultdict[str, list[tuple[Path, int]]] = defaultdict(list)
        self._file: int | None = None
        for path in journal_files(folder, asset, batch):
            for offset, line in _lines(path):
                record = _parse(line)
                if record is None:
                    self.torn += 1
                elif not refresh or path == self.path:
                    self._lines[record["call_id"]].append((path, offset))

    def held(self, call_id: str) -> Held:
        """Read what is there of a call; of a sample asked for twice, the later completion."""
        return _merge(self._read(call_id))

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line and hand it to the operating system, so that kill -9 cannot lose it.

        Raises:
            EndpointError: The disk is full or the file cannot be written.
        """
        data = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            if self._file is None:
                self._file = self._open()
            offset = os.lseek(self._file, 0, os.SEEK_END)
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise EndpointError(
                f"The journal {self.path} cannot be written: {error.strerror}. Nothing more is "
                "asked of the model, since completions could be lost. Make room or fix the "
                "folder's permissions, then run again: what is journaled is not asked again."
            ) from error
        self._lines[record["call_id"]].append((self.path, offset))

    def close(self) -> None:
        """Close this run's file; the journal can still be read."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        # A line torn by a killed attempt of this very run must not swallow the next one.
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
        return file

    def _read(self, call_id: str) -> list[dict[str, Any]]:
        records = []
        for path, offset in self._lines.get(call_id, ()):
            with path.open("rb") as file:
                file.seek(offset)
                record = _parse(file.readline())
            if record is not None:
                records.append(record)
        return records


def read_journals(folder: Path, asset: str, batch: str) -> Iterator[dict[str, Any]]:
    """Yield every readable line of an asset and batch, run by run."""
    for path in journal_files(folder, asset, batch):
        for _, line in _lines(path):
            if (record := _parse(line)) is not None:
                yield record


def journal_files(folder: Path, asset: str, batch: str) -> list[Path]:
    """List the journals of an asset and batch, in order of name."""
    return sorted(_folder(folder, asset, batch).glob("*.jsonl"))


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
        encoded[start : start + _NAME_LENGTH] for start in range(0, len(encoded), _NAME_LENGTH)
    )


def decode_name(encoded: str) -> str:
    """Turn what `encode_name` made back into the text."""
    return unquote(encoded.replace("/", ""), errors="surrogatepass")


def merge(records: list[dict[str, Any]]) -> tuple[dict[int, dict[str, Any]], str | None]:
    """Put the lines of one call together.

    Returns:
        The raw completions by sample, the later one where a sample came twice, and the refusal
        if the last word on the call was one that is final.
    """
    raw: dict[int, dict[str, Any]] = {}
    error = None
    for record in sorted(records, key=lambda record: record["finished"]):
        raw.update(zip(record["samples"], record["choices"], strict=True))
        error = record["error"] if record["final"] else None
    return dict(sorted(raw.items())), error


def _merge(records: list[dict[str, Any]]) -> Held:
    raw, error = merge(records)
    return Held({sample: Choice.from_raw(choice) for sample, choice in raw.items()}, error)


def _folder(folder: Path, asset: str, batch: str) -> Path:
    return folder / encode_name(asset) / encode_name(batch)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank with its offset in bytes."""
    try:
        with path.open("rb") as file:
            offset = 0
            for line in file:
                if line.strip():
                    yield offset, line
                offset += len(line)
    except OSError as error:
        raise EndpointError(f"The journal {path} cannot be read: {error.strerror}.") from error


def _parse(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where it is torn."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or "finished" not in record or "call_id" not in record:
        return None
    return record
