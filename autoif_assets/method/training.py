"""Training data of single responses: SFT and KTO examples [3.4]; `pairs` makes that of two."""

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.ids import id_series
from autoif_assets.method.likelihoods import ifd_rules
from autoif_assets.method.recipe import Recipe


def sft_examples(
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
    assessed: pl.DataFrame,
    likelihoods: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    """Join every response that passed and scored well to its prompt.

    Args:
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``context``, ``prompt``.
        responses: ``response_id``, ``response`` of all accepted responses.
        assessed: What ``resampling.verdicts_with_scores`` says of them.
        likelihoods: ``response_id``, ``kept``, ``ifd`` of the batch's ``response_likelihoods``;
            all of them, for the quantiles.
        recipe: ``sft_max_chars``, ``ifd_min_quantile``, ``ifd_max_quantile`` and ``ifd_below``.

    Returns:
        ``sft_examples`` without ``batch``. Reasons: ``too_long`` and those of `ifd_rules`.
    """
    positives = assessed.filter("is_positive").join(
        likelihoods.select("response_id", "ifd"),
        on="response_id",
        how="left",
        maintain_order="left",
    )
    rows = with_texts(positives, filtered_queries, augmented_queries, responses)
    rules = ifd_rules(likelihoods, recipe)
    if recipe.sft_max_chars is not None:
        rules = {"too_long": pl.col("response").str.len_chars() > recipe.sft_max_chars} | rules
    return decide(rows, rules).select(
        id_series("sft", rows["response_id"]).alias("example_id"),
        "prompt_id",
        "response_id",
        "instruction_id",
        "query_id",
        "context",
        "prompt",
        "response",
        "pass_rate",
        "score",
        "ifd",
        "status",
        "reason",
    )


def kto_examples(
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
    assessed: pl.DataFrame,
) -> pl.DataFrame:
    """Label responses for KTO: those that may be chosen as good, those that may be rejected as bad.

    Prompts and responses are those that pairs are made of, so a prompt has a good response, and
    what has no clear verdict has no label. Unlike pairs there may be any number of a prompt.

    Args:
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``context``, ``prompt``.
        responses: ``response_id``, ``response`` of all accepted responses.
        assessed: What ``resampling.verdicts_with_scores`` says of them.

    Returns:
        ``kto_examples`` without ``batch``.
    """
    labelled = assessed.filter(pl.col("is_positive") | pl.col("is_negative"))
    rows = with_texts(labelled, filtered_queries, augmented_queries, responses)
    return rows.select(
        id_series("kto", rows["response_id"]).alias("example_id"),
        "prompt_id",
        "response_id",
        "instruction_id",
        "query_id",
        "context",
        "prompt",
        pl.col("response").alias("completion"),
        pl.col("is_positive").alias("label"),
        "pass_rate",
        "score",
        "origin",
    )


def with_texts(
    assessed: pl.DataFrame,
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
) -> pl.DataFrame:
    """Add the text of the response and what ``with_prompts`` adds; other prompts' rows go."""
    rows = assessed.join(filtered_queries, on="prompt_id", how="semi", maintain_order="left").join(
        responses.select("response_id", "response"), on="response_id", maintain_order="left"
    )
    return with_prompts(rows, filtered_queries, augmented_queries)


def with_prompts(
    rows: pl.DataFrame, filtered_queries: pl.DataFrame, augmented_queries: pl.DataFrame
) -> pl.DataFrame:
    """Add ``instruction_id``, ``query_id``, ``context`` and ``prompt``; rows of others go."""
    return rows.join(
        filtered_queries.select("prompt_id", "instruction_id", "query_id"),
        on="prompt_id",
        maintain_order="left",
    ).join(
        augmented_queries.select("prompt_id", "context", "prompt"),
        on="prompt_id",
        maintain_order="left",
    )
