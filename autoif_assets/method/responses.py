"""Responses, what the verifiers say of them, and their quality score [3.3]."""

import polars as pl

from autoif_assets.method.completions import unusable, usable
from autoif_assets.method.conversations import as_transcript
from autoif_assets.method.gates import ACCEPTED, decide
from autoif_assets.method.ids import id_series
from autoif_assets.method.judgements import parse_score
from autoif_assets.method.prompts import RESPONSE, SCORE, Prompt, in_language
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.text import trimmed
from autoif_assets.method.verifiers import OUTCOME_STRUCT

_LANGUAGE = "Write in {}, unless the instruction asks for another language."


def response_prompts(augmented_queries: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return the calls that ask for responses, one an augmented query.

    Args:
        augmented_queries: ``prompt_id``, ``instruction_id``, ``instruction``, ``query``,
            ``context``.
        recipe: ``language`` and ``prompts``.

    Returns:
        ``prompt_id``, ``instruction_id``, ``context``, ``prompt``.
    """
    return answer_prompts(RESPONSE, augmented_queries, recipe)


def answer_prompts(prompt: Prompt, augmented_queries: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return the calls that ask for an answer by some prompt, as `response_prompts` does."""
    language = in_language(recipe.language, _LANGUAGE)
    prompts = prompt.of(recipe.prompts).render_rows(augmented_queries, language=language)
    return augmented_queries.select("prompt_id", "instruction_id", "context", prompts)


def parse_responses(completions: pl.DataFrame, known: pl.Series | None = None) -> pl.DataFrame:
    """Turn completions into ``responses`` without ``batch``.

    Reasons: those of an unusable completion and ``duplicate`` (the same text for the same
    prompt is one response, not two votes).

    Args:
        completions: ``prompt_id``, ``instruction_id`` beside ``COMPLETION_SCHEMA``.
        known: Ids of responses that came before these.
    """
    text = trimmed(pl.col("raw"))
    frame = completions.with_columns(
        response=pl.when(text != "").then(text),
        detail=pl.col("error"),
        _usable=usable(completions),
    )
    frame = frame.with_columns(
        response_id=id_series("response", frame["prompt_id"], frame["response"])
    )
    first = pl.when(pl.col("_usable")).then(pl.col("response_id")).is_first_distinct()
    repeated = pl.lit(False) if known is None else pl.col("response_id").is_in(known.implode())
    return decide(frame, {**unusable(), "duplicate": ~first | repeated}).select(
        "prompt_id",
        "instruction_id",
        "sample",
        "response_id",
        "response",
        "reasoning",
        "finish_reason",
        "call_id",
        "status",
        "reason",
        "detail",
    )


def verify_responses(
    responses: pl.DataFrame, outcomes: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Count verdicts and keep the responses that pass enough verifiers.

    Only ``pass`` and ``fail`` are verdicts. Where half of the verifiers or more give none, the
    rest is too thin to train on, in either direction.

    Args:
        responses: Accepted ``responses``.
        outcomes: ``OUTCOME_SCHEMA`` with the response id as ``input_id``.
        recipe: ``response_pass_rate``.

    Returns:
        ``response_verdicts`` without ``batch``. Reasons: ``no_verifier``, ``no_verdict``,
        ``few_verdicts``, ``low_pass_rate``.
    """
    tallies = outcomes.group_by("input_id").agg(
        verifiers=pl.len(),
        passed=(pl.col("outcome") == "pass").sum(),
        failed=(pl.col("outcome") == "fail").sum(),
        outcomes=pl.struct("verifier_id", "outcome").sort_by("verifier_id"),
    )
    verdicts = pl.col("passed") + pl.col("failed")
    joined = (
        responses.select("response_id", "prompt_id", "instruction_id")
        .join(
            tallies, left_on="response_id", right_on="input_id", how="left", maintain_order="left"
        )
        .with_columns(
            pl.col("verifiers", "passed", "failed").fill_null(0).cast(pl.Int64),
            outcomes=pl.col("outcomes").fill_null(pl.lit([], dtype=OUTCOME_STRUCT)),
        )
        .with_columns(pass_rate=pl.when(verdicts > 0).then(pl.col("passed") / verdicts))
    )
    return decide(
        joined,
        {
            "no_verifier": pl.col("verifiers") == 0,
            "no_verdict": verdicts == 0,
            "few_verdicts": verdicts * 2 <= pl.col("verifiers"),
            "low_pass_rate": ~recipe.bound("response_pass_rate").accepts(pl.col("pass_rate")),
        },
    )


def score_prompts(
    responses: pl.DataFrame, augmented_queries: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Return ``response_id``, ``prompt_id``, ``instruction_id``, ``prompt``.

    A judge is shown a conversation in the place of the query that ends it: asked by the same
    messages, it would go on with them.

    Args:
        responses: ``response_id``, ``prompt_id``, ``response`` of the responses that passed.
        augmented_queries: All ``augmented_queries`` of these prompts.
        recipe: ``prompts``.
    """
    rows = responses.join(
        augmented_queries.select("prompt_id", "instruction_id", "instruction", "query", "context"),
        on="prompt_id",
        maintain_order="left",
    )
    prompts = SCORE.of(recipe.prompts).render_rows(as_transcript(rows))
    return rows.select("response_id", "prompt_id", "instruction_id", prompts)


def to_score(responses: pl.DataFrame, verdicts: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return the ``responses`` whose quality is to be known, with ``failing``.

    Args:
        responses: Accepted ``responses``.
        verdicts: ``response_id``, ``passed``, ``status``, ``reason`` of their verdicts.
        recipe: ``score_failing``: whether those that pass no verifier are scored, too.
    """
    wanted = verdicts.select(
        "response_id",
        _accepted=pl.col("status") == ACCEPTED,
        failing=has_failed() & recipe.score_failing,
    ).filter(pl.col("_accepted") | pl.col("failing"))
    return responses.join(
        wanted.drop("_accepted"), on="response_id", how="inner", maintain_order="left"
    )


def parse_scores(
    completions: pl.DataFrame, recipe: Recipe, failing: pl.Series | None = None
) -> pl.DataFrame:
    """Turn completions into ``response_scores`` without ``batch``.

    Reasons: those of an unusable completion, ``unparsed``, ``failing`` (whatever its score, the
    response passes no verifier), ``low_score``.

    Args:
        completions: ``response_id``, ``prompt_id``, ``instruction_id`` beside
            ``COMPLETION_SCHEMA``.
        recipe: ``min_score``.
        failing: Ids of the responses that are scored though they pass no verifier.
    """
    fails = pl.lit(False) if failing is None else pl.col("response_id").is_in(failing.implode())
    scores = [
        parse_score(raw) if ok else None
        for raw, ok in zip(completions["raw"], usable(completions), strict=True)
    ]
    return decide(
        completions.with_columns(pl.Series("score", scores, dtype=pl.Float64)),
        {
            **unusable(),
            "unparsed": pl.col("score").is_null(),
            "failing": fails,
            "low_score": ~recipe.bound("min_score").accepts(pl.col("score")),
        },
    ).select(
        "response_id",
        "prompt_id",
        "instruction_id",
        "score",
        "raw",
        "finish_reason",
        "call_id",
        "status",
        "reason",
    )


def has_failed() -> pl.Expr:
    """Whether a row of ``response_verdicts`` may be a negative: enough verdicts, no pass.

    A crashed or timed-out verifier gives no verdict and never makes a response a negative.
    """
    return ((pl.col("reason") == "low_pass_rate") & (pl.col("passed") == 0)).fill_null(False)


def has_evidence() -> pl.Expr:
    """Whether a row of response verdicts counts: it passed, or failed with enough verdicts."""
    return ((pl.col("status") == "accepted") | (pl.col("reason") == "low_pass_rate")).fill_null(
        False
    )
