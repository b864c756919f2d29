"""Journals as rows of the table ``llm_calls``."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl

from autoif_assets.endpoint.journal import merge, read_journals

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
    "attempts": pl.Int64,
    "latency_s": pl.Float64,
    "started_at": pl.Datetime("us", "UTC"),
    "finished_at": pl.Datetime("us", "UTC"),
    "error": pl.String,
}


def llm_calls(folder: Path, asset: str, batch: str) -> pl.DataFrame:
    """Read the journals of an asset and batch, one row a call, in order of call_id.

    Tokens and attempts are summed over all that was asked, answers since replaced by a refresh
    included: they were paid for.

    Returns:
        A frame with the columns of the table ``llm_calls``.

    Raises:
        EndpointError: A journal cannot be read.
    """
    calls: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in read_journals(folder, asset, batch):
        calls[record["call_id"]].append(record)
    rows = [_row(asset, batch, calls[call]) for call in sorted(calls)]
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
        "attempts": sum(record["attempts"] for record in records),
        "latency_s": last["latency_s"],
        "started_at": min(record["started"] for record in records),
        "finished_at": last["finished"],
        "error": last["error"],
    }


def _total(records: list[dict[str, Any]], name: str) -> int | None:
    counts = [record["usage"][name] for record in records if record["usage"][name] is not None]
    return sum(counts) if counts else None
