"""Gates: a table that filters holds all its candidates with a status and a reason.

The share that a gate accepts is its yield, and is compared with that of other batches.
"""

import polars as pl

ACCEPTED = "accepted"
REJECTED = "rejected"

# Other batches that it takes to know what is usual.
EARLIER_BATCHES = 5
# Batches that hardly differ would make every small difference unusual.
_MIN_DEVIATION = 0.05


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


def yields(counts: pl.DataFrame) -> pl.DataFrame:
    """Compare the share of accepted rows of each batch with those of all others.

    Args:
        counts: ``batch``, ``rows``, ``accepted``; one row a batch.

    Returns:
        ``batch``, ``share`` and the bounds ``low`` and ``high`` it is expected in: the others'
        mean plus and minus three standard deviations, at least 0.05; ``usual`` says whether it
        is. The last three are null with fewer than five others. Batches without rows are left
        out.
    """
    share, others = pl.col("share"), pl.len() - 1
    mean = (share.sum() - share) / others
    squares = ((share**2).sum() - share**2) / others
    spread = (3 * (squares - mean**2).clip(lower_bound=0).sqrt()).clip(lower_bound=_MIN_DEVIATION)

    def known(bound: pl.Expr) -> pl.Expr:
        return pl.when(others >= EARLIER_BATCHES).then(bound)

    return (
        counts.filter(pl.col("rows") > 0)
        .select("batch", share=pl.col("accepted") / pl.col("rows"))
        .with_columns(low=known(mean - spread), high=known(mean + spread))
        # A rounding error of the sums must not make equal shares unusual.
        .with_columns(usual=share.is_between(pl.col("low") - 1e-9, pl.col("high") + 1e-9))
    )
