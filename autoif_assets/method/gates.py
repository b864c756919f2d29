"""Gates: a table that filters holds all its candidates with a status and a reason."""

import polars as pl

ACCEPTED = "accepted"
REJECTED = "rejected"


def decide(frame: pl.DataFrame, rules: dict[str, pl.Expr]) -> pl.DataFrame:
    """Add ``status`` and ``reason``: the first rule that holds rejects the row.

    Args:
        frame: Candidates.
        rules: Reason to Boolean expression, in order of precedence; null counts as False.
    """
    reason = pl.coalesce(
        [
            *(pl.when(rule.fill_null(False)).then(pl.lit(name)) for name, rule in rules.items()),
            pl.lit(None, dtype=pl.String),
        ]
    )
    return frame.with_columns(reason=reason).with_columns(status=decided())


def decided() -> pl.Expr:
    """Return the ``status`` that follows from ``reason``."""
    return pl.when(pl.col("reason").is_null()).then(pl.lit(ACCEPTED)).otherwise(pl.lit(REJECTED))


def accepted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the accepted rows without ``status`` and ``reason``."""
    return frame.filter(pl.col("status") == ACCEPTED).drop("status", "reason")
