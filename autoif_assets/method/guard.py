"""One bad row never takes its batch along: what cannot be read is rejected, the rest is read."""

from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

import polars as pl

from autoif_assets.method.readable import shown_text

_P = ParamSpec("_P")
_T = TypeVar("_T")

UNREADABLE = "unreadable"
_FEW = 4  # are never too many, whatever their share
_WORDS = 300


class UnreadableRows(Exception):
    """More rows than a stage may lose could not be read; the message is for the user."""


def read_row_by_row(
    may_lose: float,
    parse: Callable[Concatenate[pl.DataFrame, _P], _T],
    completions: pl.DataFrame,
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _T:
    """Read completions by a function; a row on which it raises is rejected as ``unreadable``.

    The row keeps its ids and its text; its ``error`` says what was raised.

    Args:
        may_lose: Share of the rows that may be rejected so.
        parse: Takes a frame of ``COMPLETION_SCHEMA`` first, and rejects rows by `unusable`.
        completions: That frame.
        *args: What the function takes besides.
        **kwargs: What the function takes by name.

    Returns:
        What the function returns.

    Raises:
        UnreadableRows: More rows would be rejected so. Of so many the readers are at fault, or
            the model: nobody should train on what is left.
    """
    try:
        return parse(completions, *args, **kwargs)
    except Exception as error:
        reason = error

    def attempt(rows: pl.DataFrame) -> Exception | None:
        try:
            parse(rows, *args, **kwargs)
        except Exception as error:
            return error
        return None

    # A function that fails without rows, or on no row alone, fails for another reason.
    found = {} if attempt(completions.clear()) else _raising(completions, attempt, may_lose)
    if not found:
        raise reason
    marked = _marked(completions, found)
    if attempt(marked) is not None:
        bad = pl.int_range(pl.len()).is_in(list(found))
        marked = marked.with_columns(
            pl.when(~bad).then(name).alias(name) for name in ("raw", "reasoning")
        )
    return parse(marked, *args, **kwargs)


def _raising(
    rows: pl.DataFrame, attempt: Callable[[pl.DataFrame], Exception | None], may_lose: float
) -> dict[int, str]:
    """Return the places of the rows that raise, with what each of them raises."""
    allowed = max(may_lose * rows.height, _FEW)
    found: dict[int, str] = {}
    for place, error in _halves(rows, 0, attempt):
        words = " ".join(shown_text(str(error)).split())
        found[place] = f"{UNREADABLE}: {type(error).__name__}: {words}"[:_WORDS]
        if len(found) > allowed:
            raise UnreadableRows(
                f"Of {rows.height} answers more than {may_lose:.0%} cannot be read "
                f"({found[place]}). A stage may lack as many (AUTOIF_MAX_FAILED_SHARE). Look at "
                "the model's answers in llm_calls; what was paid for is journaled."
            ) from error
    return found


def _halves(
    rows: pl.DataFrame, first: int, attempt: Callable[[pl.DataFrame], Exception | None]
) -> Iterator[tuple[int, Exception]]:
    error = attempt(rows)
    if error is None or rows.is_empty():
        return
    if rows.height == 1:
        yield first, error
        return
    middle = rows.height // 2
    yield from _halves(rows[:middle], first, attempt)
    yield from _halves(rows[middle:], first + middle, attempt)


def _marked(completions: pl.DataFrame, found: dict[int, str]) -> pl.DataFrame:
    errors = pl.Series([found.get(place) for place in range(completions.height)], dtype=pl.String)
    return completions.with_columns(error=pl.coalesce(errors, "error"))
