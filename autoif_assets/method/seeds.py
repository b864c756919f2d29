"""Which seed instructions and user queries are used, and why the others are not."""

import polars as pl

from autoif_assets.method.ids import content_id, normalise
from autoif_assets.method.text import duplicates, length_of, near_duplicates, trimmed


def select_queries(candidates: pl.DataFrame, min_chars: int, max_chars: int) -> pl.DataFrame:
    """Judge every candidate query.

    Args:
        candidates: One row per record: ``source: str, line: Int64, text: str|null,
            context: str|null, reason: str|null``; ``reason`` is set where the reader found no
            text to take.
        min_chars: A query is longer than this many characters, of which each Chinese, Japanese
            and Korean one counts as two.
        max_chars: A query is shorter than this many characters, counted alike.

    Returns:
        All rows in their order with the columns of table ``seed_queries``. Line breaks inside a
        query, and the indentation of its first line, stay; Unicode form, line ends and surrounding
        white space are normalised. The context is as it is read; of the same text with another one
        it makes another query. Reasons: the reader's, ``empty``, ``too_short``, ``too_long``,
        ``duplicate``, ``near_duplicate`` (of an earlier accepted row).
    """
    frame = candidates.with_columns(query=_tidy("text"))
    length = length_of(pl.col("query"))
    frame = frame.with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(length == 0).then(pl.lit("empty")),
            pl.when(length <= min_chars).then(pl.lit("too_short")),
            pl.when(length >= max_chars).then(pl.lit("too_long")),
        )
    )
    return _decide(frame, "query", frame["context"]).select(
        "query_id", "query", "context", "source", "line", "status", "reason"
    )


def select_instructions(candidates: pl.DataFrame) -> pl.DataFrame:
    """Judge every candidate seed instruction.

    Args:
        candidates: One row per record: ``source: str, line: Int64, text: str|null,
            category: str|null, verifier: str|null, cases: str|null, reason: str|null``;
            ``reason`` is set where the reader found no text to take.

    Returns:
        All rows in their order with the columns of table ``seed_instructions``; white space is
        normalised. Reasons: the reader's, ``empty``, ``duplicate``, ``near_duplicate``.
    """
    tidy = _tidy("text").str.strip_chars().str.replace_all(r"\s+", " ")
    frame = candidates.with_columns(
        instruction=tidy,
        category=pl.when(_tidy("category") != "").then(_tidy("category")),
        reason=pl.coalesce("reason", pl.when(tidy == "").then(pl.lit("empty"))),
    )
    return _decide(frame, "instruction").select(
        *("instruction_id", "instruction", "category", "verifier", "cases"),
        *("source", "line", "status", "reason"),
    )


def _tidy(column: str) -> pl.Expr:
    text = pl.col(column).fill_null("").str.normalize("NFC").str.replace_all("\r\n?", "\n")
    return trimmed(text)


def _decide(frame: pl.DataFrame, column: str, beside: pl.Series | None = None) -> pl.DataFrame:
    """Mark repeats among the rows without a reason; add ``<column>_id`` and ``status``.

    Args:
        frame: The rows.
        column: Where their text is.
        beside: What else they are told apart by, where it is not null.
    """
    text = frame.select(pl.when(pl.col("reason").is_null()).then(pl.col(column))).to_series()
    others = [None] * frame.height if beside is None else beside.to_list()
    ids = [
        content_id(column, normalise(value), *filter(None, [other]))
        for value, other in zip(frame[column], others, strict=True)
    ]
    frame = frame.with_columns(
        pl.Series(f"{column}_id", ids, dtype=pl.String),
        reason=pl.coalesce(
            "reason",
            pl.when(duplicates(text, beside).is_not_null()).then(pl.lit("duplicate")),
            pl.when(near_duplicates(text, beside).is_not_null()).then(pl.lit("near_duplicate")),
        ),
    )
    rejected = pl.col("reason").is_not_null()
    status = pl.when(rejected).then(pl.lit("rejected")).otherwise(pl.lit("accepted"))
    return frame.with_columns(status=status)
