"""Selections over the tables that the paper does not make; each is off by default.

Sources: pass@k and its estimator, Chen et al. (arXiv 2107.03374); IFD, Li et al. (2308.12032);
contrast of a stronger and a weaker model, Xu et al. (2310.02263); SPIN, Chen et al. (2401.01335).
"""

import math

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.recipe import Recipe


def pass_at_k(samples: int, correct: int, k: int) -> float | None:
    """Estimate the chance that at least one of k samples is correct, without bias.

    It is ``1 - C(n - c, k) / C(n, k)`` for c of n samples that are correct (arXiv 2107.03374);
    with k = 1 the share of them.

    Returns:
        None for fewer than k samples.
    """
    return 1 - math.comb(samples - correct, k) / math.comb(samples, k) if samples >= k else None


def difficulty(passing: pl.Series, judged: pl.Series, k: int) -> pl.Series:
    """Return the ``pass_at_k`` of prompts; where fewer than k were judged, k is their number.

    Returns:
        One number a row; null where none was judged.
    """
    values = [
        pass_at_k(n, c, min(k, n)) if n else None for c, n in zip(passing, judged, strict=True)
    ]
    return pl.Series("pass_at_k", values, dtype=pl.Float64)


def difficulty_rules(recipe: Recipe) -> dict[str, pl.Expr]:
    """Return the rules that reject prompts by ``pass_at_k``: ``too_hard`` and ``too_easy``."""
    rate = pl.col("pass_at_k")
    match recipe.difficulty:
        case "drop_0_and_1":
            return {"too_hard": rate <= 0, "too_easy": rate >= 1}
        case "band":
            return {
                "too_hard": rate < recipe.difficulty_min,
                "too_easy": rate > recipe.difficulty_max,
            }
        case _:
            return {}


def ifd_rules(likelihoods: pl.DataFrame, recipe: Recipe) -> dict[str, pl.Expr]:
    """Return the rules that reject SFT examples by their ``ifd``.

    Quantiles are those of the batch's candidates, over all instructions, so that the parts an
    asset works in do not matter.

    Args:
        likelihoods: ``kept``, ``ifd`` of all ``response_likelihoods`` of the batch.
        recipe: ``ifd_min_quantile``, ``ifd_max_quantile`` and ``ifd_below``.

    Returns:
        Rules over a column ``ifd``: ``no_ifd``, ``ifd_not_below`` (the prompt misleads the model
        more than it helps), ``low_ifd``, ``high_ifd``; none where nothing is selected.
    """
    if not selects_by_ifd(recipe):
        return {}
    candidates = likelihoods.filter("kept")["ifd"].drop_nulls()
    if recipe.ifd_below is not None:
        candidates = candidates.filter(candidates < recipe.ifd_below)
    low = candidates.quantile(recipe.ifd_min_quantile, "linear")
    high = candidates.quantile(recipe.ifd_max_quantile, "linear")
    ifd = pl.col("ifd")
    return {
        "no_ifd": ifd.is_null(),
        "ifd_not_below": ifd >= pl.lit(recipe.ifd_below, dtype=pl.Float64),
        "low_ifd": ifd < pl.lit(low, dtype=pl.Float64),
        "high_ifd": ifd > pl.lit(high, dtype=pl.Float64),
    }


def selects_by_ifd(recipe: Recipe) -> bool:
    """Whether the recipe keeps SFT examples by their IFD."""
    bounds = (recipe.ifd_min_quantile, recipe.ifd_max_quantile, recipe.ifd_below)
    return bounds != (0, 1, None)


def contrast_queries(
    filtered_queries: pl.DataFrame, policy_verdicts: pl.DataFrame, min_gap: float
) -> pl.DataFrame:
    """Keep prompts at which the supervision model succeeds much more often than the policy.

    The pairs of such prompts hold what the one can do and the other cannot (arXiv 2310.02263).

    Args:
        filtered_queries: ``prompt_id``, ``passing``, ``judged`` of one batch.
        policy_verdicts: ``prompt_id``, ``status``, ``reason`` of one policy in that batch.
        min_gap: Least difference of the pass rates.

    Returns:
        ``prompt_id``, ``supervision_pass_rate``, ``policy_pass_rate``, ``gap``, ``status``,
        ``reason``. Reasons: ``no_policy_verdict``, ``small_gap``.
    """
    policy = policy_verdicts.group_by("prompt_id").agg(
        _passing=(pl.col("status") == "accepted").sum(), _judged=has_evidence().sum()
    )
    frame = (
        filtered_queries.select(
            "prompt_id",
            supervision_pass_rate=pl.when(pl.col("judged") > 0).then(
                pl.col("passing") / pl.col("judged")
            ),
        )
        .join(policy, on="prompt_id", how="left", maintain_order="left")
        .with_columns(
            policy_pass_rate=pl.when(pl.col("_judged") > 0).then(
                pl.col("_passing") / pl.col("_judged")
            )
        )
        .with_columns(gap=pl.col("supervision_pass_rate") - pl.col("policy_pass_rate"))
        .drop("_passing", "_judged")
    )
    return decide(
        frame,
        {
            "no_policy_verdict": pl.col("gap").is_null(),
            # Rates are ratios of small counts; 0.8 - 0.3 must not fall short of 0.5.
            "small_gap": pl.col("gap") < min_gap - 1e-9,
        },
    )


def has_evidence() -> pl.Expr:
    """Whether a row of response verdicts counts: it passed, or failed with enough verdicts."""
    return ((pl.col("status") == "accepted") | (pl.col("reason") == "low_pass_rate")).fill_null(
        False
    )


def likelihood_rank(candidates: pl.DataFrame, likelihoods: pl.DataFrame) -> pl.DataFrame:
    """Add ``rank`` to candidates of pairs: 1 is the most likely response of its prompt.

    On both sides the most likely are to come first: of those that pass the ones the model stands
    by, of those that fail the ones it is most prone to.

    Args:
        candidates: ``prompt_id``, ``candidate_id``.
        likelihoods: ``response_id``, ``mean_logprob``.
    """
    return (
        candidates.join(
            likelihoods.select(candidate_id="response_id", _mean="mean_logprob"),
            on="candidate_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(rank=pl.col("_mean").rank("min", descending=True).over("prompt_id"))
        .drop("_mean")
    )
