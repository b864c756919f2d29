"""Training data: SFT examples and preference pairs [3.4]."""

from collections.abc import Sequence

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.ids import content_id, id_series
from autoif_assets.method.profile import Profile
from autoif_assets.method.responses import has_failed

_PAIR_COLUMNS = (
    "chosen",
    "rejected",
    "chosen_id",
    "rejected_id",
    "chosen_pass_rate",
    "rejected_pass_rate",
)


def sft_examples(
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
) -> pl.DataFrame:
    """Join every response that passed and scored well to its prompt.

    Args:
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``prompt``.
        responses: Accepted ``responses``.
        verdicts: Accepted ``response_verdicts``.
        scores: Accepted ``response_scores``.

    Returns:
        ``sft_examples`` without ``batch``.
    """
    joined = (
        scores.select("response_id", "prompt_id", "score")
        .join(verdicts.select("response_id", "pass_rate"), on="response_id", maintain_order="left")
        .join(responses.select("response_id", "response"), on="response_id", maintain_order="left")
    )
    joined = _with_prompts(joined, filtered_queries, augmented_queries)
    return joined.select(
        id_series("sft", joined["response_id"]).alias("example_id"),
        "prompt_id",
        "response_id",
        "instruction_id",
        "query_id",
        "prompt",
        "response",
        "pass_rate",
        "score",
    )


def instruction_pairs(
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    profile: Profile,
    batch: str,
) -> pl.DataFrame:
    """Pair test cases of an instruction: one most functions pass, one none passes.

    Args:
        instructions: Accepted ``verified_instructions``.
        verifiers: Accepted ``verifiers``; only their outcomes count.
        cases: Accepted ``verifier_cases`` with ``outcomes``.
        profile: ``chosen_pass_rate`` and how many are drawn on each side.
        batch: Key of the batch; the draw derives from it.

    Returns:
        ``instruction_preference_pairs`` without ``batch``.
    """
    tallies = (
        cases.select("case_id", "instruction_id", text="input", outcome="outcomes")
        .explode("outcome")
        .unnest("outcome")
        .join(verifiers.select("verifier_id"), on="verifier_id", how="semi")
        .group_by("case_id", "instruction_id", "text", maintain_order=True)
        .agg(
            passed=(pl.col("outcome") == "pass").sum(),
            failed=(pl.col("outcome") == "fail").sum(),
            functions=pl.len(),
        )
        .filter(pl.col("text").str.strip_chars() != "")
    )
    verdicts = pl.col("passed") + pl.col("failed")
    # As for responses: half or more of the verifiers silent is no evidence in either direction.
    candidates = tallies.filter(verdicts * 2 > pl.col("functions")).select(
        "instruction_id",
        candidate_id="case_id",
        text="text",
        pass_rate=pl.col("passed") / verdicts,
        is_negative=pl.col("passed") == 0,
        is_positive=pl.lit(True),
    )
    return (
        draw_pairs(candidates, "instruction_id", profile, batch)
        .join(
            instructions.select("instruction_id", prompt="instruction"),
            on="instruction_id",
            maintain_order="left",
        )
        .select("pair_id", "instruction_id", "prompt", *_PAIR_COLUMNS)
    )


def query_pairs(
    filtered_queries: pl.DataFrame,
    augmented_queries: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
    profile: Profile,
    batch: str,
) -> pl.DataFrame:
    """Pair responses to a prompt: one that passed and scored well, one that passes no verifier.

    Args:
        filtered_queries: Accepted ``filtered_queries``.
        augmented_queries: ``prompt_id``, ``prompt``.
        responses: Accepted ``responses``.
        verdicts: All ``response_verdicts``.
        scores: Accepted ``response_scores``; chosen responses come from here, since a response
            that obeys the instruction and ignores the query must not be preferred.
        profile: ``chosen_pass_rate`` and how many are drawn on each side.
        batch: Key of the batch; the draw derives from it.

    Returns:
        ``query_preference_pairs`` without ``batch``.
    """
    candidates = (
        verdicts.with_columns(is_negative=has_failed())
        .join(filtered_queries.select("prompt_id"), on="prompt_id", how="semi")
        .join(responses.select("response_id", text="response"), on="response_id")
        .select(
            "prompt_id",
            "text",
            "pass_rate",
            "is_negative",
            candidate_id="response_id",
            is_positive=pl.col("response_id").is_in(scores["response_id"].implode()),
        )
    )
    pairs = draw_pairs(candidates, "prompt_id", profile, batch)
    return _with_prompts(pairs, filtered_queries, augmented_queries).select(
        "pair_id", "prompt_id", "instruction_id", "query_id", "prompt", *_PAIR_COLUMNS
    )


def _with_prompts(
    rows: pl.DataFrame, filtered_queries: pl.DataFrame, augmented_queries: pl.DataFrame
) -> pl.DataFrame:
    """Add ``instruction_id``, ``query_id`` and ``prompt``; rows of other prompts go."""
    return rows.join(
        filtered_queries.select("prompt_id", "instruction_id", "query_id"),
        on="prompt_id",
        maintain_order="left",
    ).join(augmented_queries.select("prompt_id", "prompt"), on="prompt_id", maintain_order="left")


def draw_pairs(candidates: pl.DataFrame, group: str, profile: Profile, batch: str) -> pl.DataFrame:
    """Draw up to ``chosen_per_prompt`` x ``rejected_per_prompt`` pairs of each group.

    Args:
        candidates: ``group``, ``candidate_id``, ``text``, ``pass_rate``, ``is_positive`` (may
            be chosen if its pass rate suffices), ``is_negative`` (may be rejected).
        group: Name of the column within which pairs are made.
        profile: The bounds and counts.
        batch: Key of the batch. Candidates are drawn in the order of a hash of batch, recipe
            seed and id: random, reproducible, and independent of the order of the rows.

    Returns:
        ``group``, ``pair_id``, ``chosen``, ``rejected``, their ids and pass rates.
    """
    order = pl.Series(
        [content_id("draw", batch, str(profile.seed), key) for key in candidates["candidate_id"]],
        dtype=pl.String,
    )
    drawn = candidates.with_columns(_order=order).sort(group, "_order")
    is_chosen = pl.col("is_positive") & profile.bound("chosen_pass_rate").accepts(
        pl.col("pass_rate")
    )

    def side(name: str, rule: pl.Expr, count: int) -> pl.DataFrame:
        return (
            drawn.filter(rule)
            .group_by(group, maintain_order=True)
            .head(count)
            .select(
                group,
                pl.col("text").alias(name),
                pl.col("candidate_id").alias(f"{name}_id"),
                pl.col("pass_rate").alias(f"{name}_pass_rate"),
            )
        )

    chosen = side("chosen", is_chosen & ~pl.col("is_negative"), profile.chosen_per_prompt)
    rejected = side("rejected", pl.col("is_negative"), profile.rejected_per_prompt)
    pairs = chosen.join(rejected, on=group, maintain_order="left_right")
    return pairs.with_columns(pair_id=id_series("pair", pairs["chosen_id"], pairs["rejected_id"]))


def gather_pairs(levels: Sequence[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """Put the pairs of all levels into one table.

    Args:
        levels: ``("instruction", frame)`` and ``("query", frame)``.

    Returns:
        ``preference_pairs`` without ``batch``. Reasons: ``identical`` (both texts are the same
        but for white space), ``empty`` (a side has no text).
    """
    frames = [
        frame.with_columns(
            level=pl.lit(level),
            prompt_id=pl.col("prompt_id")
            if "prompt_id" in frame.columns
            else pl.lit(None, dtype=pl.String),
        ).select("pair_id", "level", "prompt_id", "instruction_id", "prompt", *_PAIR_COLUMNS)
        for level, frame in levels
    ]

    def folded(name: str) -> pl.Expr:
        return pl.col(name).str.replace_all(r"\s+", " ").str.strip_chars()

    return decide(
        pl.concat(frames),
        {
            "empty": (folded("chosen") == "") | (folded("rejected") == ""),
            "identical": folded("chosen") == folded("rejected"),
        },
    )
