"""The journal: every finished model call, on disk before its result is used.

One append-only JSONL file per asset, batch and run: ``<asset>/<batch>/<run_id>.jsonl``. A line is
one HTTP request that ended: with completions, or with a refusal. A call that took several (the
server gave fewer completions than asked for, or a killed run left some missing) has several
lines; each says which samples it holds.
"""

import itertools
import json
import os
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import polars as pl

from autoif_assets.endpoint.budget import Spent
from autoif_assets.endpoint.calls import Choice
from autoif_assets.endpoint.errors import EndpointError
from autoif_assets.endpoint.journal_files import (
    NAME_LENGTH,
    encode_name,
    in_use,
    journal_files,
    journal_folder,
    parse,
    read_lines,
)
from autoif_assets.endpoint.responses import content_named
from autoif_assets.endpoint.shared_journals import Sharing, open_uploads

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "batch": pl.String,
    "asset": pl.String,
    "call_id": pl.String,
    "model": pl.String,
    "base_url": pl.String,
    "prompt": pl.String,
    "request": pl.String,
    "completions": pl.List(pl.String),
    "finish_reasons": pl.List(pl.String),
    "prompt_tokens": pl.Int64,
    "cached_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
    "cost": pl.Float64,
    "attempts": pl.Int64,
    "queue_wait_s": pl.Float64,
    "latency_s": pl.Float64,
    "started_at": pl.Datetime("us", "UTC"),
    "finished_at": pl.Datetime("us", "UTC"),
    "error": pl.String,
}
_PLACES = {"call_id": pl.String, "file": pl.Int64, "offset": pl.Int64}


@dataclass
class JournaledCall:
    """What a journal holds of one call.

    Attributes:
        choices: Completions by sample.
        error: Why the server refused the call for good, if it did.
        content: What of the row's own content it objects to.
        rooms: Tokens for thoughts that the completions were to have beside the answer's.
    """

    choices: dict[int, Choice] = field(default_factory=dict)
    error: str | None = None
    content: str | None = None
    rooms: dict[int, int] = field(default_factory=dict)

    def drop_filtered(self) -> None:
        """Forget the completions that were not let through for what they say."""
        self.choices = {n: choice for n, choice in self.choices.items() if not choice.filtered}
        self.rooms = {n: room for n, room in self.rooms.items() if n in self.choices}

    def drop_cut(self, room: int) -> None:
        """Forget the completions that were cut off where they would now have more room.

        And those that the server itself broke off: these failed as calls without an answer do.
        """
        for sample, had in self.rooms.items():
            choice = self.choices[sample]
            if choice.broken_off or (choice.cut and had < room):
                del self.choices[sample]


class Journal:
    """The journals of one asset and batch, open for this run to read and append to.

    Texts stay on disk: only the places of the lines are held in memory.

    Attributes:
        path: This run's file; it exists once a call has finished.
        torn: Lines that could not be read, as a killed process leaves them; they are ignored.
        damaged: File and line of those that are JSON and hold not what they should; ignored, too.
    """

    def __init__(
        self,
        folder: Path,
        asset: str,
        batch: str,
        run_id: str,
        *,
        refresh: bool = False,
        ask_refused: bool = False,
        also: Sequence[str] = (),
        sharing: Sharing | None = None,
    ) -> None:
        """Index the journals of ``asset`` and ``batch`` under ``folder``.

        Args:
            folder: Folder of all journals; made when the first call finishes.
            asset: Asset that asks.
            batch: Partition key; any characters.
            run_id: Names this run's file. A run that is retried goes on in its own file.
            refresh: Ask anew for what earlier runs have; their lines are kept.
            ask_refused: Ask again what earlier runs were refused.
            also: Assets whose calls of this batch are not asked for again, either.
            sharing: Where other machines' journals are, and these go; None: nowhere.

        Raises:
            EndpointError: A journal cannot be read, or other machines' cannot be fetched.
        """
        self.path = journal_folder(folder, asset, batch) / _file_name(run_id)
        self._sharing = sharing
        self._uploads = None
        if sharing is not None:
            self._uploads = open_uploads(sharing, folder, (asset, *also), batch, self.path)
        self.torn = 0
        self.damaged: list[str] = []
        # Which of two answers is the newer is told by what was there when it came, not by a clock.
        self._order = 1
        self._ask_refused = ask_refused
        # Held while this object lives, so that nobody prunes or compacts what it has indexed.
        folders = [journal_folder(folder, name, batch) for name in (asset, *also)]
        self._locks = {place: self._lock(place) for place in folders if place.is_dir()}
        self._lines: defaultdict[str, list[tuple[Path, int]]] = defaultdict(list)
        self._file: int | None = None
        files = [file for name in (asset, *also) for file in journal_files(folder, name, batch)]
        for line in read_lines(files):
            if line.record is None:
                self.torn += line.torn
                self.damaged += [] if line.torn else [str(line)]
                continue
            self._order = max(self._order, line.record.get("order", 0) + 1)
            if not refresh or line.path == self.path:
                self._lines[line.record["call_id"]].append((line.path, line.offset))

    def call(self, call_id: str) -> JournaledCall:
        """Read what is there of a call; of a sample asked for twice, the later completion."""
        found = _merge(self._read(call_id))
        ours = any(path == self.path for path, _ in self._lines.get(call_id, ()))
        if self._ask_refused and not ours:
            found.error = found.content = None
            found.drop_filtered()
        return found

    def check(self) -> None:
        """See that a line could be written, before anything is paid for.

        Raises:
            EndpointError: It could not.
        """
        there = next(one for one in (self.path, *self.path.parents) if one.exists())
        mode = os.W_OK if there == self.path else os.W_OK | os.X_OK
        if there != self.path and not there.is_dir():
            raise self._unwritable(f"{there} is a file")
        if not os.access(there, mode):
            raise self._unwritable(f"no write access to {there}")

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line and hand it to the operating system, so that kill -9 cannot lose it.

        Raises:
            EndpointError: The disk is full or the file cannot be written.
        """
        ordered = {**record, "order": self._order}
        data = json.dumps(ordered, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            if self._file is None:
                self._file = self._open()
            offset = os.lseek(self._file, 0, os.SEEK_END)
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._unwritable(error.strerror) from error
        self._lines[record["call_id"]].append((self.path, offset))
        if self._uploads is not None:
            self._uploads.start()

    def _unwritable(self, why: str | None) -> EndpointError:
        return EndpointError(
            f"The journal {self.path} cannot be written: {why}. Nothing more is asked of the "
            "model, since completions could be lost. Make room or fix the folder's permissions, "
            "then run again: what is journaled is not asked again."
        )

    def close(self) -> None:
        """Close this run's file; until the journals are compacted, this one can still be read.

        Raises:
            EndpointError: Other machines are to have what it holds, and their storage is away.
        """
        if self._file is not None:
            os.close(self._file)
            self._file = None
        uploads, self._uploads = self._uploads, None
        try:
            if uploads is not None:
                uploads.finish()
        finally:
            for unlock in self._locks.values():
                unlock()
            self._locks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except EndpointError as not_uploaded:
            if error is None or self._sharing is None:
                raise
            # What ended the run is what a person is to read first.
            self._sharing.log(str(not_uploaded))

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.parent not in self._locks:
            self._locks[self.path.parent] = self._lock(self.path.parent)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        # A line torn by a killed attempt of this very run must not swallow the next one.
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
        return file

    def _lock(self, place: Path) -> "weakref.finalize[[int], Journal]":
        return weakref.finalize(self, os.close, in_use(place))

    def _read(self, call_id: str) -> list[dict[str, Any]]:
        records = []
        for path, offset in self._lines.get(call_id, ()):
            with path.open("rb") as file:
                file.seek(offset)
                record = parse(file.readline())
            if record is not None:
                records.append(record)
        return records


def spent_by_run(folder: Path, run_id: str) -> Spent:
    """Return what a run's journals say it has spent, over all assets and batches.

    Requests whose answer a killed process did not live to see are in no journal.

    Args:
        folder: Folder of all journals.
        run_id: The run.
    """
    total = Spent()
    for line in read_lines(sorted(folder.rglob(_file_name(run_id)))):
        if (record := line.record) is not None:
            total += Spent(record["attempts"], record["tokens"], record["cost"])
    return total


def merge(
    records: list[dict[str, Any]],
) -> tuple[dict[int, dict[str, Any]], tuple[str, str] | None]:
    """Put the lines of one call together.

    Returns:
        The raw completions by sample, the later one where a sample came twice, and the refusal
        if the last word on the call was one that is final: its words, and what they object to.
    """
    raw: dict[int, dict[str, Any]] = {}
    refusal = None
    for record in in_order(records):
        # Lines of before there was a room for thoughts have none.
        room = {"room": record.get("room", 0)}
        choices = [choice | room for choice in record["choices"]]
        raw.update(zip(record["samples"], choices, strict=True))
        refusal = _final(record)
    return dict(sorted(raw.items())), refusal


def in_order(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put lines in the order in which they came.

    Lines of one order are of one run and stand in its file as they came. Those of earlier
    versions have none: of these the clock is all that tells.
    """
    return sorted(records, key=lambda r: (r.get("order", 0), "" if "order" in r else r["finished"]))


def _final(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what ends a call for good: only where the server names the row's content.

    Earlier releases took every refusal for final, and did not write down what it was of.
    """
    error = record["error"]
    if error is None or not record["final"]:
        return None
    content = record.get("content") or content_named(error)
    return (error, content) if content else None


def _merge(records: list[dict[str, Any]]) -> JournaledCall:
    raw, refusal = merge(records)
    error, content = refusal or (None, None)
    return JournaledCall(
        {sample: Choice.from_raw(choice) for sample, choice in raw.items()},
        error,
        content,
        {sample: choice["room"] for sample, choice in raw.items()},
    )


def _file_name(run_id: str) -> str:
    return f"{encode_name(run_id)[:NAME_LENGTH]}.jsonl"


def llm_calls(folder: Path, asset: str, batch: str) -> pl.DataFrame:
    """Read the journals of an asset and batch, one row a call, in order of call_id.

    Tokens, cost and attempts are summed over all that was asked, answers since replaced by a
    refresh included: they were paid for.

    Returns:
        A frame with the columns of the table ``llm_calls``.

    Raises:
        EndpointError: A journal cannot be read.
    """
    return pl.concat(llm_calls_in_parts(folder, asset, batch))


def llm_calls_in_parts(
    folder: Path, asset: str, batch: str, calls: int = 2_000
) -> Iterator[pl.DataFrame]:
    """Yield what ``llm_calls`` returns in frames of ``calls`` rows; the first may be empty.

    For journals larger than memory: only the places of their lines are held.
    """
    paths = journal_files(folder, asset, batch)
    place = {path: number for number, path in enumerate(paths)}
    places = (
        (line.record["call_id"], place[line.path], line.offset)
        for line in read_lines(paths)
        if line.record is not None
    )
    index = pl.concat(
        pl.DataFrame(some, schema=_PLACES, orient="row")
        for some in itertools.chain([[]], _batched(places, 10_000))
    )
    lines_of = index.group_by("call_id").agg("file", "offset").sort("call_id")
    yield _frame([])
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in paths]
        for part in lines_of.iter_slices(calls):
            yield _frame(
                [
                    _row(
                        asset,
                        batch,
                        [_line(files[n], offset) for n, offset in zip(*at, strict=True)],
                    )
                    for _, *at in part.iter_rows()
                ]
            )


def _line(file: IO[bytes], offset: int) -> dict[str, Any]:
    file.seek(offset)
    record = parse(file.readline())
    # It was whole when it was indexed a moment ago, and nobody changes what a journal holds.
    assert record is not None, f"a line of {file.name} changed while it was read"
    return record


def _batched(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while some := list(itertools.islice(rows, size)):
        yield some


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows,
        schema=_SCHEMA | {"started_at": pl.String, "finished_at": pl.String},
        orient="row",
    )
    times = pl.col("started_at", "finished_at").str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC"
    )
    return frame.with_columns(times)


def _row(asset: str, batch: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    raw, _ = merge(records)
    records = in_order(records)
    first, last = records[0], records[-1]
    return {
        "batch": batch,
        "asset": asset,
        "call_id": last["call_id"],
        "model": last["model"],
        "base_url": last["base_url"],
        "prompt": last["prompt"],
        "request": json.dumps(last["parameters"], ensure_ascii=False),
        "completions": [choice["text"] for choice in raw.values()],
        "finish_reasons": [choice["finish_reason"] for choice in raw.values()],
        "prompt_tokens": _total(records, "prompt_tokens"),
        "cached_tokens": _total(records, "cached_tokens"),
        "completion_tokens": _total(records, "completion_tokens"),
        "cost": sum(record["cost"] for record in records),
        "attempts": sum(record["attempts"] for record in records),
        "queue_wait_s": first["queue_wait_s"],
        "latency_s": last["latency_s"],
        "started_at": first["started"],
        "finished_at": last["finished"],
        "error": last["error"],
    }


def _total(records: list[dict[str, Any]], name: str) -> int | None:
    counts = [record["usage"][name] for record in records if record["usage"][name] is not None]
    return sum(counts) if counts else None
