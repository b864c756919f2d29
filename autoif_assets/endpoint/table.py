"""Journals as rows of the table ``llm_calls``."""

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import polars as pl

from autoif_assets.endpoint.files import journal_files, read_lines
from autoif_assets.endpoint.journal import merge

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
        (record["call_id"], place[path], offset)
        for path, offset, record in read_lines(paths)
        if record is not None
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
    record: dict[str, Any] = json.loads(file.readline())
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
    first = min(records, key=lambda record: record["started"])
    last = max(records, key=lambda record: record["finished"])
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
