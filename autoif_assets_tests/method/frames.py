"""Small frames the method's tests share."""

import polars as pl

from autoif_assets.method.parsing import COMPLETION_SCHEMA
from autoif_assets.method.verifiers import OUTCOME_SCHEMA


def completions(*rows: dict[str, object], **keys: pl.DataType | type[pl.DataType]) -> pl.DataFrame:
    """Completion frame: whole answers of call "c" unless a row says otherwise."""
    whole = {"call_id": "c", "sample": 0, "reasoning": None, "finish_reason": "stop", "error": None}
    return pl.DataFrame([{**whole, **row} for row in rows], schema={**keys, **COMPLETION_SCHEMA})


def outcomes(table: dict[str, dict[str, str]]) -> pl.DataFrame:
    """Outcome frame from {verifier: {input: outcome}}."""
    rows = [
        (verifier, given, outcome, None)
        for verifier, by_input in table.items()
        for given, outcome in by_input.items()
    ]
    return pl.DataFrame(rows, schema=dict(OUTCOME_SCHEMA), orient="row")


def reasons(frame: pl.DataFrame, key: str) -> dict[str, str | None]:
    """Map each row's key to its reason (None: accepted)."""
    assert frame.filter((pl.col("status") == "accepted") != pl.col("reason").is_null()).is_empty()
    return dict(frame.select(key, "reason").iter_rows())
