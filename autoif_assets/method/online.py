"""The online loop's pure part: pairs of a policy's own responses, and its scorecard [3.4]."""

import numpy as np
import polars as pl

from autoif_assets.method.completions import NO_SAMPLE
from autoif_assets.method.gates import ACCEPTED, decide, decided
from autoif_assets.method.holdout import Sides
from autoif_assets.method.ids import derived_seed
from autoif_assets.method.lengths import constrains_length
from autoif_assets.method.pairs import (
    PAIR_COLUMNS,
    draw_pairs,
    failed_verifiers,
    length_constraints,
    tell_apart,
)
from autoif_assets.method.queries import pass_at_k
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.resampling import SAMPLED
from autoif_assets.method.responses import (
    has_evidence,
    has_failed,
    parse_responses,
    verify_responses,
)

SCORE_COLUMNS = (
    *("category", "instructions", "prompts", "samples", "k"),
    *("pass_at_1", "pass_at_1_low", "pass_at_1_high"),
    *("pass_at_k", "pass_at_k_low", "pass_at_k_high"),
)
OVERALL = "all"

# Augmented queries do not carry the category of their instruction.
_NO_CATEGORY = pl.lit(None, dtype=pl.String)


def policy_responses(completions: pl.DataFrame, sides: Sides) -> pl.DataFrame:
    """Turn a policy's completions into ``policy_responses`` without ``batch`` and ``policy``.

    Args:
        completions: As of ``parse_responses``.
        sides: Where their prompts are.
    """
    responses = parse_responses(completions)
    return responses.with_columns(sides.of(responses))


def policy_verdicts(
    responses: pl.DataFrame, outcomes: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Count verdicts as ``verify_responses`` does; each keeps the side of its response.

    Args:
        responses: Accepted ``policy_responses``.
        outcomes: ``OUTCOME_SCHEMA`` with the response id as ``input_id``.
        recipe: ``response_pass_rate``.

    Returns:
        ``policy_verdicts`` without ``batch`` and ``policy``; reasons as of ``response_verdicts``.
    """
    sides = responses.select("response_id", "split")
    return verify_responses(responses, outcomes, recipe).join(
        sides, on="response_id", maintain_order="left"
    )


def online_pairs(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    filtered_queries: pl.DataFrame,
    examples: pl.DataFrame,
    recipe: Recipe,
    batch: str,
) -> pl.DataFrame:
    """Pair a policy's own responses: chosen pass more than half, rejected pass none.

    The rule is that of the offline query level without its quality score, which the paper does
    not ask for online. If the recipe says so, the policy's responses are also paired with the
    ones to train on (``spin_pairs``), and prompts need a contrast (``contrast_queries``).

    Args:
        prompts: ``prompt_id``, ``instruction_id``, ``query_id``, ``instruction``, ``context``,
            ``prompt``.
        responses: Accepted ``policy_responses``.
        verdicts: All ``policy_verdicts``; only those of split ``train`` count.
        filtered_queries: As of ``contrast_queries``.
        examples: As of ``spin_pairs``.
        recipe: ``chosen_pass_rate``, how many are drawn on each side, ``near_identical``,
            ``spin_pairs``, ``contrast_min_gap``.
        batch: What the draw derives from beside the recipe's seed: batch and policy.

    Returns:
        ``online_preference_pairs`` without ``batch`` and ``policy``; reasons as of
        ``tell_apart`` and ``contrast_queries``.
    """
    # The held-out instructions are those that the scorecard is for: nothing is learnt from them.
    trained = verdicts.filter(pl.col("split") == "train")
    candidates = _candidates(trained, responses, prompts)
    drawn = draw_pairs(candidates, "prompt_id", recipe, batch)
    if recipe.spin_pairs:
        own = candidates.select(
            "prompt_id", "instruction_id", response_id="candidate_id", response="text"
        )
        spin = spin_pairs(_instructions(prompts), examples, own, recipe, batch)
        # A policy may have answered word for word what is to be trained on.
        spin = spin.join(drawn, on="pair_id", how="anti", maintain_order="left")
        drawn = pl.concat([drawn, spin.select(drawn.columns)])
    pairs = tell_apart(
        drawn.join(prompts, on="prompt_id", maintain_order="left").select(
            *("pair_id", "prompt_id", "instruction_id", "query_id", "context", "prompt"),
            *PAIR_COLUMNS,
        ),
        recipe,
    )
    if recipe.contrast_min_gap is None:
        return pairs
    contrast = contrast_queries(filtered_queries, trained, recipe.contrast_min_gap)
    return _with_contrast(pairs, contrast)


def _candidates(
    verdicts: pl.DataFrame, responses: pl.DataFrame, prompts: pl.DataFrame
) -> pl.DataFrame:
    """Return a policy's responses as `draw_pairs` wants them."""
    return (
        verdicts.with_columns(is_negative=has_failed())
        .join(responses.select("response_id", text="response"), on="response_id")
        .join(prompts, on="prompt_id", maintain_order="left")
        .select(
            *("prompt_id", "instruction_id", "text", "pass_rate", "is_negative"),
            candidate_id="response_id",
            is_positive=pl.col("status") == ACCEPTED,
            score=pl.lit(None, dtype=pl.Float64),
            origin=pl.lit(SAMPLED),
            failed_verifiers=failed_verifiers(),
            constrains_length=constrains_length(pl.col("instruction"), _NO_CATEGORY),
        )
    )


def _instructions(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return the instructions of prompts as `spin_pairs` wants them."""
    return prompts.select("instruction_id", "instruction", category=_NO_CATEGORY).unique(
        "instruction_id", maintain_order=True
    )


def _with_contrast(pairs: pl.DataFrame, contrast: pl.DataFrame) -> pl.DataFrame:
    """Reject pairs of prompts without a contrast, unless they are rejected already."""
    return (
        pairs.join(
            contrast.select("prompt_id", _contrast="reason"),
            on="prompt_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(reason=pl.coalesce("reason", "_contrast"))
        .with_columns(status=decided())
        .drop("_contrast")
    )


def spin_pairs(
    instructions: pl.DataFrame,
    examples: pl.DataFrame,
    policy_responses: pl.DataFrame,
    recipe: Recipe,
    batch: str,
) -> pl.DataFrame:
    """Prefer the response to train on to what the policy itself answers (SPIN, arXiv 2401.01335).

    No verdict is needed on the policy's response; one that equals a training response of its
    prompt is no negative.

    Args:
        instructions: ``instruction_id``, ``instruction``, ``category``.
        examples: Accepted ``sft_examples``: ``prompt_id``, ``instruction_id``, ``response_id``,
            ``response``, ``pass_rate``, ``score``.
        policy_responses: Accepted ``policy_responses`` of one policy: ``prompt_id``,
            ``instruction_id``, ``response_id``, ``response``.
        recipe: ``chosen_pass_rate`` and how many are drawn on each side.
        batch: Key of the batch; the draw derives from it.

    Returns:
        ``prompt_id``, ``pair_id`` and ``PAIR_COLUMNS``; ``origin`` is ``spin``, and what would
        need a verdict on ``rejected`` is null, or empty.
    """
    nothing = pl.lit(None, dtype=pl.Float64)
    own = policy_responses.join(
        examples, on="response_id", how="anti", maintain_order="left"
    ).with_columns(pass_rate=nothing, score=nothing)
    candidates = pl.concat(
        side.select(
            *("prompt_id", "instruction_id", "pass_rate", "score"),
            candidate_id="response_id",
            text="response",
            failed_verifiers=pl.lit([], dtype=pl.List(pl.String)),
            origin=pl.lit("spin"),
            is_positive=pl.lit(not negative),
            is_negative=pl.lit(negative),
        )
        for side, negative in ((examples, False), (own, True))
    ).join(length_constraints(instructions), on="instruction_id", how="left", maintain_order="left")
    # The policy's responses are no failures: their lengths measure nothing.
    candidates = candidates.with_columns(pl.col("constrains_length").fill_null(False))
    pairs = draw_pairs(candidates, "prompt_id", recipe, batch)
    return pairs.select("prompt_id", "pair_id", *PAIR_COLUMNS)


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


def scorecard(
    responses: pl.DataFrame, verdicts: pl.DataFrame, categories: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Estimate how often a policy follows held-out instructions, overall and by category.

    A truncated or empty completion is a sample that fails, and a repeated text counts as often
    as it was sampled. A refused call is no sample, nor is a completion that its server broke
    off or held back, and neither is a response without a verdict: it speaks for the verifiers.
    pass@k is the unbiased estimator of Chen et al. (2021, arXiv 2107.03374), over prompts with
    k samples or more, with k the samples asked for. Prompts weigh alike. Intervals are 95 %
    percentile bootstraps that draw whole instructions, as prompts of one instruction are not
    independent.

    Args:
        responses: ``policy_responses`` of the split ``eval``.
        verdicts: ``policy_verdicts`` of these.
        categories: ``instruction_id``, ``category``.
        recipe: ``policy_responses_per_prompt``, ``bootstrap_samples``, ``seed``.

    Returns:
        ``policy_scorecard`` without ``batch`` and ``policy``: the row ``all`` first; none where
        nothing was sampled. Values are null where no prompt has enough samples.
    """
    k = recipe.policy_responses_per_prompt
    scored = _scored(responses, verdicts, k).join(
        categories.select("instruction_id", pl.col("category").fill_null("none")),
        on="instruction_id",
        how="left",
        maintain_order="left",
    )
    groups = [(OVERALL, scored)] + [
        (str(name), scored.filter(pl.col("category") == name))
        for name in sorted(scored["category"].drop_nulls().unique())
    ]
    rows = []
    for name, group in groups:
        if group.is_empty():
            continue
        seed = derived_seed("bootstrap", str(recipe.seed), name)
        rows.append(
            (
                *(name, group["instruction_id"].n_unique(), group.height),
                *(int(group["samples"].sum()), k),
                *_mean_with_interval(group, "pass_at_1", recipe.bootstrap_samples, seed),
                *_mean_with_interval(group, "pass_at_k", recipe.bootstrap_samples, seed),
            )
        )
    schema = {
        name: pl.String
        if name == "category"
        else pl.Float64
        if name.startswith("pass_at")
        else pl.Int64
        for name in SCORE_COLUMNS
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _scored(responses: pl.DataFrame, verdicts: pl.DataFrame, k: int) -> pl.DataFrame:
    """Return ``prompt_id``, ``instruction_id``, ``samples``, ``pass_at_1``, ``pass_at_k``."""
    silent = pl.col("verdict").is_in(["no_verifier", "no_verdict", "few_verdicts"])
    counts = (
        responses.filter(~pl.col("reason").fill_null("").is_in(NO_SAMPLE))
        .join(
            verdicts.select("response_id", passed="status", verdict="reason"),
            on="response_id",
            how="left",
        )
        # A truncated text may happen to equal a whole one that was judged.
        .with_columns(
            is_whole=pl.col("reason").is_null() | (pl.col("reason") == "duplicate"),
        )
        .filter(~(pl.col("is_whole") & silent.fill_null(False)))
        .group_by("prompt_id", "instruction_id")
        .agg(
            samples=pl.len().cast(pl.Int64),
            correct=(pl.col("is_whole") & (pl.col("passed") == ACCEPTED).fill_null(False))
            .sum()
            .cast(pl.Int64),
        )
        .sort("prompt_id")
    )
    any_correct = [
        pass_at_k(samples, correct, k)
        for samples, correct in counts.select("samples", "correct").iter_rows()
    ]
    return counts.with_columns(
        pl.Series("pass_at_k", any_correct, dtype=pl.Float64),
        pass_at_1=pl.col("correct") / pl.col("samples"),
    )


def _mean_with_interval(
    prompts: pl.DataFrame, column: str, draws: int, seed: int
) -> tuple[float | None, float | None, float | None]:
    """Return the mean over prompts and the bounds of its bootstrap over instructions."""
    clusters = (
        prompts.drop_nulls(column)
        .group_by("instruction_id")
        .agg(total=pl.col(column).sum(), prompts=pl.len())
        .sort("instruction_id")
    )
    if clusters.is_empty():
        return None, None, None
    totals, sizes = clusters["total"].to_numpy(), clusters["prompts"].to_numpy()
    drawn = np.random.default_rng(seed).integers(0, len(totals), (draws, len(totals)))
    means = totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(totals.sum() / sizes.sum()), float(low), float(high)
