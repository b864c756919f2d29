"""More responses where a prompt's own make no pair: near misses and further samples.

A prompt whose responses are all good has nothing to reject, one whose responses all fail has
nothing to choose. The first is asked for answers that break its instruction and nothing else (near
misses), the second for further samples. Both go through the verifiers and the judge as the first
responses did, and keep a flag that says where they came from.
"""

import polars as pl

from autoif_assets.method.gates import ACCEPTED, decide
from autoif_assets.method.ids import derived_seed
from autoif_assets.method.prompts import NEAR_MISS
from autoif_assets.method.queries import filter_queries
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.responses import (
    answer_prompts,
    has_evidence,
    has_failed,
    parse_responses,
    parse_scores,
    response_prompts,
    verify_responses,
)

SAMPLED, NEAR, FURTHER = "sampled", "near_miss", "further"


def verdicts_with_scores(
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
    further_verdicts: pl.DataFrame | None = None,
    further_scores: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Put what is known of all responses side by side, and say what each may serve as.

    Args:
        verdicts: All ``response_verdicts``: ``response_id``, ``prompt_id``, ``passed``,
            ``status``, ``reason``, and what else is wanted of them.
        scores: All ``response_scores``: ``response_id``, ``score``, ``status``.
        further_verdicts: All ``further_verdicts``: the same columns and ``origin``.
        further_scores: All ``further_scores``: as ``scores``.

    Returns:
        The columns of ``verdicts`` without ``status`` and ``reason``, ``origin``, ``score`` (null
        where there is none), ``is_judged`` (it was to follow the instruction and has enough
        verdicts to say whether it does), ``passes`` (it was to and does),
        ``is_positive`` (that, and its score is good) and ``is_negative`` (enough verdicts and none
        of them a pass; a near miss needs a good score, too).
    """
    rows = verdicts.with_columns(origin=pl.lit(SAMPLED))
    if further_verdicts is not None:
        rows = pl.concat([rows, further_verdicts.select(rows.columns)])
    if further_scores is not None:
        scores = pl.concat([scores, further_scores.select(scores.columns)])
    good = scores.select("response_id", "score", _good=pl.col("status") == ACCEPTED)
    is_near, is_wanted = pl.col("origin") == NEAR, pl.col("status") == ACCEPTED
    is_good = pl.col("_good").fill_null(False)
    return (
        rows.join(good, on="response_id", how="left", maintain_order="left")
        .with_columns(
            is_judged=has_evidence() & ~is_near,
            passes=is_wanted & ~is_near,
            is_positive=is_wanted & ~is_near & is_good,
            is_negative=pl.when(is_near).then(is_wanted & is_good).otherwise(has_failed()),
        )
        .drop("status", "reason", "_good")
    )


def near_miss_prompts(
    augmented_queries: pl.DataFrame, assessed: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Return the calls that ask for near misses: of prompts with good responses and no failing.

    Args:
        augmented_queries: ``prompt_id``, ``instruction_id``, ``query_id``, ``instruction``,
            ``query``, ``context``.
        assessed: ``verdicts_with_scores`` of the first samples.
        recipe: ``near_misses_per_prompt``; with 0 nothing is asked. Nor is for prompts that
            ``difficulty`` drops, which more responses to reject would not bring back. Also
            ``language`` and ``prompts``.

    Returns:
        ``prompt_id``, ``instruction_id``, ``context``, ``prompt``.
    """
    starved = filter_queries(augmented_queries, assessed, recipe).filter(
        (pl.col("status") == ACCEPTED)
        & (pl.col("failing") == 0)
        & (recipe.near_misses_per_prompt > 0)
    )
    rows = augmented_queries.join(starved, on="prompt_id", how="semi", maintain_order="left")
    return answer_prompts(NEAR_MISS, rows, recipe)


def further_prompts(
    augmented_queries: pl.DataFrame, assessed: pl.DataFrame, recipe: Recipe, batch: str
) -> pl.DataFrame:
    """Return the calls that ask for further samples: of prompts where some fail and none passes.

    Args:
        augmented_queries: As for ``near_miss_prompts``.
        assessed: ``verdicts_with_scores`` of the first samples.
        recipe: ``further_responses_per_prompt``; with 0 nothing is asked. Also what
            ``response_prompts`` needs.
        batch: Key of the batch. The seeds derive from it, and are not those of the first samples:
            a server would answer the same again.

    Returns:
        ``prompt_id``, ``instruction_id``, ``context``, ``prompt``, ``seed``.
    """
    starved = filter_queries(augmented_queries, assessed, recipe).filter(
        (pl.col("passing") == 0)
        & (pl.col("failing") > 0)
        & (recipe.further_responses_per_prompt > 0)
    )
    rows = response_prompts(
        augmented_queries.join(starved, on="prompt_id", how="semi", maintain_order="left"), recipe
    )
    seeds = [
        derived_seed(batch, str(recipe.seed), FURTHER, prompt_id) for prompt_id in rows["prompt_id"]
    ]
    return rows.with_columns(pl.Series("seed", seeds, dtype=pl.Int64))


def parse_further(completions: pl.DataFrame, origin: str, known: pl.Series) -> pl.DataFrame:
    """Turn completions into ``further_responses`` without ``batch``; reasons as of ``responses``.

    Args:
        completions: As of ``parse_responses``.
        origin: ``NEAR`` for those of ``near_miss_prompts``, ``FURTHER`` of ``further_prompts``.
        known: Ids of the prompts' first responses; the same text again is a ``duplicate``.
    """
    return parse_responses(completions, known).with_columns(origin=pl.lit(origin))


def verify_further(responses: pl.DataFrame, outcomes: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Count verdicts and keep the responses that are what they were asked to be.

    Args:
        responses: Accepted ``further_responses``.
        outcomes: ``OUTCOME_SCHEMA`` with the response id as ``input_id``.
        recipe: ``response_pass_rate``.

    Returns:
        ``further_verdicts`` without ``batch``. Reasons as of ``response_verdicts``; a near miss is
        accepted if it passes no verifier, and rejected as ``not_missed`` if it passes any.
    """
    verdicts = verify_responses(responses, outcomes, recipe).join(
        responses.select("response_id", "origin"), on="response_id", maintain_order="left"
    )
    is_near = pl.col("origin") == NEAR
    # What verdicts were too few to say stays unsaid, whatever was asked for.
    silent = pl.when(pl.col("reason") != "low_pass_rate").then(pl.col("reason"))
    misses = decide(
        verdicts.filter(is_near).with_columns(_silent=silent),
        {
            **{
                name: pl.col("_silent") == name
                for name in ("no_verifier", "no_verdict", "few_verdicts")
            },
            "not_missed": pl.col("passed") > 0,
        },
    ).drop("_silent")
    return pl.concat([misses.select(verdicts.columns), verdicts.filter(~is_near)])


def parse_further_scores(
    completions: pl.DataFrame,
    verdicts: pl.DataFrame,
    recipe: Recipe,
    failing: pl.Series | None = None,
) -> pl.DataFrame:
    """Turn completions into ``further_scores`` without ``batch``; reasons as of ``parse_scores``.

    Args:
        completions: As of ``parse_scores``.
        verdicts: ``response_id``, ``origin`` of ``further_verdicts``.
        recipe: ``min_score``.
        failing: As of ``parse_scores``.
    """
    return parse_scores(completions, recipe, failing).join(
        verdicts.select("response_id", "origin"), on="response_id", maintain_order="left"
    )
