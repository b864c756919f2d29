"""Training data from judged responses and test cases: SFT, KTO and preference pairs [3.4]."""

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.ids import id_series
from autoif_assets.method.lengths import constrains_length
from autoif_assets.method.pairs import PAIR_COLUMNS, draw_pairs, failed_verifiers
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.selection import ifd_rules, likelihood_rank


def sft_examples(
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
    judged: pl.DataFrame,
    likelihoods: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    """Join every response that passed and scored well to its prompt.

    Args:
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``prompt``.
        responses: ``response_id``, ``response`` of all accepted responses.
        judged: What ``resampling.verdicts_with_scores`` says of them.
        likelihoods: ``response_id``, ``kept``, ``ifd`` of the batch's ``response_likelihoods``;
            all of them, for the quantiles.
        recipe: The numbers of the selection by IFD.

    Returns:
        ``sft_examples`` without ``batch``. Reasons: those of `ifd_rules`.
    """
    positives = judged.filter("is_positive").join(
        likelihoods.select("response_id", "ifd"),
        on="response_id",
        how="left",
        maintain_order="left",
    )
    rows = _with_texts(positives, filtered_queries, augmented_queries, responses)
    return decide(rows, ifd_rules(likelihoods, recipe)).select(
        id_series("sft", rows["response_id"]).alias("example_id"),
        "prompt_id",
        "response_id",
        "instruction_id",
        "query_id",
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
    judged: pl.DataFrame,
) -> pl.DataFrame:
    """Label responses for KTO: those that may be chosen as good, those that may be rejected as bad.

    Prompts and responses are those that pairs are made of, so a prompt has a good response, and
    what has no clear verdict has no label. Unlike pairs there may be any number of a prompt.

    Args:
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``prompt``.
        responses: ``response_id``, ``response`` of all accepted responses.
        judged: What ``resampling.verdicts_with_scores`` says of them.

    Returns:
        ``kto_examples`` without ``batch``.
    """
    labelled = judged.filter(pl.col("is_positive") | pl.col("is_negative"))
    rows = _with_texts(labelled, filtered_queries, augmented_queries, responses)
    return rows.select(
        id_series("kto", rows["response_id"]).alias("example_id"),
        "prompt_id",
        "response_id",
        "instruction_id",
        "query_id",
        "prompt",
        pl.col("response").alias("completion"),
        pl.col("is_positive").alias("label"),
        "pass_rate",
        "score",
        "origin",
    )


def instruction_pairs(
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    recipe: Recipe,
    batch: str,
    *,
    even_lengths: bool = True,
) -> pl.DataFrame:
    """Pair test cases of an instruction: one most functions pass, one none passes.

    Args:
        instructions: ``instruction_id``, ``instruction``, ``category`` of the accepted
            ``verified_instructions``.
        verifiers: Accepted ``verifiers``; only their outcomes count.
        cases: Accepted ``verifier_cases`` with ``outcomes``.
        recipe: ``chosen_pass_rate`` and how many are drawn on each side.
        batch: Key of the batch; the draw derives from it.
        even_lengths: As of ``draw_pairs``.

    Returns:
        ``instruction_preference_pairs`` without ``batch``.
    """
    tallies = _case_tallies(cases, verifiers)
    verdicts = pl.col("passed") + pl.col("failed")
    # As for responses: half or more of the verifiers silent is no evidence in either direction.
    candidates = (
        tallies.filter(verdicts * 2 > pl.col("functions"))
        .join(_lengths(instructions), on="instruction_id", how="left", maintain_order="left")
        .select(
            "instruction_id",
            "text",
            "failed_verifiers",
            "constrains_length",
            candidate_id="case_id",
            pass_rate=pl.col("passed") / verdicts,
            score=pl.lit(None, dtype=pl.Float64),
            origin=pl.lit("test_case"),
            is_negative=pl.col("passed") == 0,
            is_positive=pl.lit(True),
        )
    )
    return (
        draw_pairs(candidates, "instruction_id", recipe, batch, even_lengths=even_lengths)
        .join(
            instructions.select("instruction_id", prompt="instruction"),
            on="instruction_id",
            maintain_order="left",
        )
        .select("pair_id", "instruction_id", "prompt", *PAIR_COLUMNS)
    )


def _case_tallies(cases: pl.DataFrame, verifiers: pl.DataFrame) -> pl.DataFrame:
    """Count what the surviving verifiers said of each case that holds any text."""
    failed = pl.col("outcome") == "fail"
    return (
        cases.select("case_id", "instruction_id", text="input", outcome="outcomes")
        .explode("outcome")
        .unnest("outcome")
        .join(verifiers.select("verifier_id"), on="verifier_id", how="semi")
        .group_by("case_id", "instruction_id", "text", maintain_order=True)
        .agg(
            passed=(pl.col("outcome") == "pass").sum(),
            failed=failed.sum(),
            failed_verifiers=pl.col("verifier_id").filter(failed).sort(),
            functions=pl.len(),
        )
        .filter(pl.col("text").str.strip_chars() != "")
    )


def query_pairs(
    instructions: pl.DataFrame,
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
    judged: pl.DataFrame,
    likelihoods: pl.DataFrame,
    recipe: Recipe,
    batch: str,
    *,
    even_lengths: bool = True,
) -> pl.DataFrame:
    """Pair responses to a prompt: one that passed and scored well, one that passes no verifier.

    A response that obeys the instruction and ignores the query must not be preferred, so chosen
    ones have a good score.

    Args:
        instructions: ``instruction_id``, ``instruction``, ``category``.
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``prompt``.
        responses: ``response_id``, ``response`` of all accepted responses.
        judged: What ``resampling.verdicts_with_scores`` says of them, with ``outcomes``.
        likelihoods: ``response_id``, ``mean_logprob``.
        recipe: ``chosen_pass_rate``, ``pair_order`` and how many are drawn on each side.
        batch: Key of the batch; the draw derives from it.
        even_lengths: As of ``draw_pairs``.

    Returns:
        ``query_preference_pairs`` without ``batch``.
    """
    wanted = judged.filter(pl.col("is_positive") | pl.col("is_negative"))
    rows = _with_texts(wanted, filtered_queries, augmented_queries, responses)
    candidates = rows.join(
        _lengths(instructions), on="instruction_id", how="left", maintain_order="left"
    ).select(
        *("prompt_id", "instruction_id", "pass_rate", "score", "origin", "constrains_length"),
        *("is_negative", "is_positive"),
        candidate_id="response_id",
        text="response",
        failed_verifiers=failed_verifiers(),
    )
    if recipe.pair_order == "likelihood":
        candidates = likelihood_rank(candidates, likelihoods)
    pairs = draw_pairs(candidates, "prompt_id", recipe, batch, even_lengths=even_lengths)
    return _with_prompts(pairs, filtered_queries, augmented_queries).select(
        "pair_id", "prompt_id", "instruction_id", "query_id", "prompt", *PAIR_COLUMNS
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
    ).join(_lengths(instructions), on="instruction_id", how="left", maintain_order="left")
    pairs = draw_pairs(candidates, "prompt_id", recipe, batch)
    return pairs.select("prompt_id", "pair_id", *PAIR_COLUMNS)


def _lengths(instructions: pl.DataFrame) -> pl.DataFrame:
    return instructions.select(
        "instruction_id",
        constrains_length=constrains_length(pl.col("instruction"), pl.col("category")),
    )


def _with_texts(
    judged: pl.DataFrame,
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
) -> pl.DataFrame:
    """Add the text of the response and what ``_with_prompts`` adds; other prompts' rows go."""
    rows = judged.join(filtered_queries, on="prompt_id", how="semi", maintain_order="left").join(
        responses.select("response_id", "response"), on="response_id", maintain_order="left"
    )
    return _with_prompts(rows, filtered_queries, augmented_queries)


def _with_prompts(
    rows: pl.DataFrame, filtered_queries: pl.DataFrame, augmented_queries: pl.DataFrame
) -> pl.DataFrame:
    """Add ``instruction_id``, ``query_id`` and ``prompt``; rows of other prompts go."""
    return rows.join(
        filtered_queries.select("prompt_id", "instruction_id", "query_id"),
        on="prompt_id",
        maintain_order="left",
    ).join(augmented_queries.select("prompt_id", "prompt"), on="prompt_id", maintain_order="left")
