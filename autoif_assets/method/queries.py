"""Augmented queries: user queries joined to instructions, and which of them are kept [3.3].

The paper keeps every prompt with a response worth training on. A selection by difficulty, off by
default, goes by pass@k and its estimator of Chen et al. (arXiv 2107.03374).
"""

import math
import random

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.holdout import is_eval_query, is_held_out
from autoif_assets.method.ids import content_id, derived_seed
from autoif_assets.method.joining import join_prompt
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verdict_vectors import same_verdicts


def augment_queries(
    instructions: pl.DataFrame,
    queries: pl.DataFrame,
    matrix: pl.DataFrame,
    recipe: Recipe,
    batch: str,
) -> pl.DataFrame:
    """Join each verified instruction to ``queries_per_instruction`` sampled user queries.

    Where the recipe divides queries, held-out instructions draw from the held-out ones, and all
    others from the rest.

    Args:
        instructions: Accepted ``verified_instructions``.
        queries: ``query_id``, ``query``, ``context`` of the accepted ``seed_queries``.
        matrix: ``instruction_id``, ``verdicts``, ``known`` of ``verdict_matrix``.
        recipe: ``queries_per_instruction``, ``seed``, ``split_queries`` and ``eval_share``.
        batch: Key of the batch; the sample derives from it and from the instruction.

    Returns:
        ``augmented_queries`` without ``batch``, sorted by instruction so that neighbours share
        a prompt's prefix. Fewer rows where there are fewer queries to draw than asked for.
    """
    same = same_verdicts(matrix.with_columns(batch=pl.lit(batch)))
    held_out = is_held_out(instructions, recipe, same)
    count = recipe.queries_per_instruction
    return _drawn(instructions, held_out, queries, recipe, batch, count)


def probe_queries(
    instructions: pl.DataFrame, queries: pl.DataFrame, recipe: Recipe, batch: str
) -> pl.DataFrame:
    """Join each instruction to the query that it would be joined to first, were it verified.

    Args:
        instructions: ``instruction_id``, ``instruction``.
        queries: As of ``augment_queries``.
        recipe: ``seed``, ``split_queries`` and ``eval_share``.
        batch: As there.

    Returns:
        As ``augment_queries``; no number of queries there changes it.
    """
    # Whether verdicts tie an instruction to another is not known before it is tried.
    return _drawn(instructions, is_held_out(instructions, recipe), queries, recipe, batch, 1)


def _drawn(
    instructions: pl.DataFrame,
    held_out: pl.Series,
    queries: pl.DataFrame,
    recipe: Recipe,
    batch: str,
    most: int,
) -> pl.DataFrame:
    pools = _pools(queries, recipe)
    wanted = instructions.select("instruction_id", "instruction", held_out=held_out)
    rows = []
    for instruction_id, instruction, is_out in wanted.sort("instruction_id").iter_rows():
        pool = pools[is_out]
        count = min(most, len(pool))
        draw = random.Random(derived_seed(batch, str(recipe.seed), "queries", instruction_id))
        for query_id, query, context in draw.sample(pool, count):
            prompt_id = content_id("prompt", instruction_id, query_id)
            prompt = join_prompt(query, instruction)
            rows.append((prompt_id, instruction_id, query_id, instruction, query, context, prompt))
    columns = (
        *("prompt_id", "instruction_id", "query_id"),
        *("instruction", "query", "context", "prompt"),
    )
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def _pools(queries: pl.DataFrame, recipe: Recipe) -> dict[bool, list[tuple[str, str, str | None]]]:
    """Return whether an instruction is held out → the queries that it draws from, in order."""
    pool = queries.sort("query_id").select("query_id", "query", "context").rows()
    if not recipe.split_queries or recipe.eval_share == 0:
        return {False: pool, True: pool}
    divided: dict[bool, list[tuple[str, str, str | None]]] = {False: [], True: []}
    for row in pool:
        divided[is_eval_query(row[0], recipe.seed)].append(row)
    # Of a handful of queries one side may have none; the exports still part what was shared.
    return {side: found or pool for side, found in divided.items()}


def filter_queries(
    augmented_queries: pl.DataFrame, assessed: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Keep the augmented queries that have a response worth training on.

    Args:
        augmented_queries: All ``augmented_queries``.
        assessed: Their responses as ``resampling.verdicts_with_scores`` tells of them.
        recipe: ``difficulty``, ``difficulty_k``, ``difficulty_min`` and ``difficulty_max``.

    Returns:
        ``filtered_queries`` without ``batch``. Reasons: ``no_response``,
        ``no_passing_response``, ``no_good_response`` (passing ones score too low), and of the
        selection by difficulty ``too_hard`` and ``too_easy``.
    """
    counts = assessed.group_by("prompt_id").agg(
        responses=pl.len(),
        judged=pl.col("is_judged").sum(),
        passing=pl.col("passes").sum(),
        failing=pl.col("is_negative").sum(),
        kept=pl.col("is_positive").sum(),
    )
    joined = (
        augmented_queries.select("prompt_id", "instruction_id", "query_id")
        .join(counts, on="prompt_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("responses", "judged", "passing", "failing", "kept").fill_null(0).cast(pl.Int64)
        )
    )
    return decide(
        joined.with_columns(difficulty(joined["passing"], joined["judged"], recipe.difficulty_k)),
        {
            "no_response": pl.col("responses") == 0,
            "no_passing_response": pl.col("passing") == 0,
            "no_good_response": pl.col("kept") == 0,
            **difficulty_rules(recipe),
        },
    )


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


def difficulty(passing: pl.Series, judged: pl.Series, k: int) -> pl.Series:
    """Return the ``pass_at_k`` of prompts; where fewer than k were judged, k is their number.

    Returns:
        One number a row; null where none was judged.
    """
    values = [
        pass_at_k(n, c, min(k, n)) if n else None for c, n in zip(passing, judged, strict=True)
    ]
    return pl.Series("pass_at_k", values, dtype=pl.Float64)


def pass_at_k(samples: int, correct: int, k: int) -> float | None:
    """Estimate the chance that at least one of k samples is correct, without bias.

    It is ``1 - C(n - c, k) / C(n, k)`` for c of n samples that are correct (arXiv 2107.03374);
    with k = 1 the share of them.

    Returns:
        None for fewer than k samples.
    """
    return 1 - math.comb(samples - correct, k) / math.comb(samples, k) if samples >= k else None
