"""What checks of finished data compute: yields beside those of other batches, verdicts anew."""

import polars as pl

from autoif_assets.method.recipe import Threshold

# Other batches that it takes to know what is usual.
EARLIER_BATCHES = 5
# Batches that hardly differ would make every small difference unusual.
_MIN_DEVIATION = 0.05


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


def contradicted(texts: pl.DataFrame, outcomes: pl.DataFrame, bound: Threshold) -> pl.DataFrame:
    """Return the texts whose verdicts are not what their side of the data promises.

    Args:
        texts: ``input_id``, and ``passes``: whether the text should pass by ``bound`` or should
            pass no verifier at all.
        outcomes: ``OUTCOME_SCHEMA`` of executing the instruction's verifiers again.
        bound: The share of verdicts that must be ``pass``.

    Returns:
        ``input_id``, ``passes``, ``passed``, ``failed``. A text without a verdict does not pass.
    """
    passed, verdicts = pl.col("passed"), pl.col("passed") + pl.col("failed")
    tallies = outcomes.group_by("input_id").agg(
        passed=(pl.col("outcome") == "pass").sum().cast(pl.Int64),
        failed=(pl.col("outcome") == "fail").sum().cast(pl.Int64),
    )
    does_pass = bound.accepts(pl.when(verdicts > 0).then(passed / verdicts)).fill_null(False)
    return (
        texts.select("input_id", "passes")
        .join(tallies, on="input_id", how="left", maintain_order="left")
        .with_columns(pl.col("passed", "failed").fill_null(0))
        .filter(pl.when("passes").then(~does_pass).otherwise(passed > 0))
    )
