"""The frame in which completions travel from the endpoint to the parsers."""

import polars as pl

# One row per completion beside the columns of the request; a refused call has one row whose
# `raw` is null and whose `error` holds the server's words.
COMPLETION_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "call_id": pl.String,
    "sample": pl.Int64,
    "raw": pl.String,
    "reasoning": pl.String,
    "finish_reason": pl.String,
    "error": pl.String,
}


def unusable() -> dict[str, pl.Expr]:
    """Return the rules that reject a completion before anyone parses it.

    A truncated completion is kept and flagged but never parsed as if it were whole.
    """
    return {
        "call_refused": pl.col("error").is_not_null(),
        "truncated": pl.col("finish_reason") == "length",
        "empty": pl.col("raw").fill_null("").str.strip_chars() == "",
    }


def usable(frame: pl.DataFrame) -> pl.Series:
    """Return which completions may be parsed."""
    return frame.select(~pl.any_horizontal(unusable().values())).to_series()
