"""Self-instruct: new instructions from the seeds [3.2, App. C]."""

import math
import random
from collections.abc import Sequence

import polars as pl

from autoif_assets.method.categories import short_categories
from autoif_assets.method.completions import (
    CONTROL,
    TRUNCATED,
    control_reason,
    unusable,
)
from autoif_assets.method.gates import ACCEPTED, REJECTED, decide
from autoif_assets.method.ids import content_id, derived_seed, id_series, normalise
from autoif_assets.method.lists import parse_instruction_lines
from autoif_assets.method.prompts import SELF_INSTRUCT, in_language
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.text import near_duplicates

MAX_INSTRUCTION_CHARS = 500

# Completions that are read though they are unusable as a whole: one instruction of many is.
_BY_LINE = (TRUNCATED, *CONTROL)

_CANDIDATE_SCHEMA = {
    "instruction": pl.String,
    "category": pl.String,
    "origin": pl.String,
    "call_id": pl.String,
    "sample": pl.Int64,
    "rejection": pl.String,
}


def categories_wanted(
    seeds: pl.DataFrame, elsewhere: pl.DataFrame, recipe: Recipe, batch: str
) -> list[str] | None:
    """Return the categories that new instructions are to be of; null where all are welcome.

    Args:
        seeds: Accepted ``seed_instructions``.
        elsewhere: ``instruction``, ``category`` of the accepted instructions of other batches.
        recipe: ``coverage``, ``seeds_per_batch`` and ``seed``.
        batch: Key of the batch; the seeds that it carries count.
    """
    if recipe.coverage == "free":
        return None
    carried = _seeds_of_batch(seeds, _ids_of(elsewhere), recipe, batch)
    return short_categories(seeds, pl.concat([elsewhere["category"], carried["category"]]))


def self_instruct_prompts(
    seeds: pl.DataFrame, recipe: Recipe, batch: str, categories: Sequence[str] = ()
) -> pl.DataFrame:
    """Return the prompts that ask for ``instructions_per_batch`` new instructions.

    Args:
        seeds: Accepted ``seed_instructions``.
        recipe: ``instructions_per_batch``, ``instructions_per_call``,
            ``seed_examples_per_call``, ``seed``, ``language`` and ``prompts``.
        batch: Key of the batch; which seeds a prompt shows derives from it.
        categories: From ``categories_wanted``.

    Returns:
        Columns ``prompt`` and ``seed``, one row a call.
    """
    wanted = recipe.instructions_per_batch
    calls = math.ceil(wanted / recipe.instructions_per_call)
    texts = sorted(seeds["instruction"])
    prompt = SELF_INSTRUCT.of(recipe.prompts)
    language = in_language(recipe.language, "Write them in {}.")
    listed = ", ".join(categories)
    scarce = f" At least half of them are of these kinds, which are scarce: {listed}."
    same = {"language": language, "wanted": scarce if categories else ""}
    rows = []
    for call in range(calls):
        seed = derived_seed(batch, str(recipe.seed), "self_instruct", str(call))
        shown = random.Random(seed).sample(texts, min(len(texts), recipe.seed_examples_per_call))
        count = min(recipe.instructions_per_call, wanted - call * recipe.instructions_per_call)
        examples = "\n".join(f"- {text}" for text in shown)
        rows.append((prompt.render(count=count, examples=examples, **same), seed))
    return pl.DataFrame(rows, schema={"prompt": pl.String, "seed": pl.Int64}, orient="row")


def augment_instructions(
    completions: pl.DataFrame,
    seeds: pl.DataFrame,
    elsewhere: pl.DataFrame,
    recipe: Recipe,
    batch: str,
) -> pl.DataFrame:
    """Gather a batch's instructions: seeds no other batch carries, then the parsed rewrites.

    Comparing with the accepted instructions of all other batches keeps an instruction in one
    batch only, and a rerun of either batch keeps it where it is.

    Args:
        completions: Completion frame of the self-instruct calls.
        seeds: Accepted ``seed_instructions``.
        elsewhere: ``instruction`` of the accepted instructions of all other batches.
        recipe: ``seeds_per_batch``, ``instructions_per_batch`` and ``seed``.
        batch: Key of the batch.

    Returns:
        ``augmented_instructions`` without ``batch``. Reasons: those of an unusable completion,
        ``too_long``, ``duplicate`` (of an earlier candidate), ``duplicate_of_seed``,
        ``duplicate_of_batch`` (of another batch), ``near_duplicate``, ``over_limit`` (the model
        wrote more than was asked for).
    """
    elsewhere_ids = _ids_of(elsewhere)
    fresh_seeds = _seeds_of_batch(seeds, elsewhere_ids, recipe, batch)
    rewrites = _parse(completions)
    candidates = pl.concat([fresh_seeds, rewrites])
    texts = pl.Series([normalise(text) for text in candidates["instruction"]], dtype=pl.String)
    candidates = candidates.with_columns(
        instruction=texts,
        instruction_id=id_series("instruction", texts),
        position=pl.int_range(pl.len(), dtype=pl.Int64),
    )
    # Every seed is known, also those that this batch leaves to others, then other batches, then
    # the candidates themselves: a candidate repeats the earliest text it resembles.
    known = pl.concat([seeds["instruction"], elsewhere["instruction"]])
    repeats = near_duplicates(pl.concat([known, candidates["instruction"]]))[len(known) :]
    is_seed = pl.col("origin") == "seed"
    repeat = pl.col("_repeats")
    ids = pl.col("instruction_id")
    gated = decide(
        candidates.with_columns(_repeats=repeats),
        {
            **{reason: pl.col("rejection") == reason for reason in (*unusable(), "no_instruction")},
            "too_long": pl.col("instruction").str.len_chars() > MAX_INSTRUCTION_CHARS,
            "duplicate": ~is_seed & ~ids.is_first_distinct(),
            "duplicate_of_seed": ~is_seed & ids.is_in(seeds["instruction_id"].implode()),
            "duplicate_of_batch": ~is_seed & ids.is_in(sorted(elsewhere_ids)),
            "near_duplicate": ~is_seed & repeat.is_not_null(),
        },
    )
    return _within_limit(gated, recipe.instructions_per_batch).select(
        "instruction_id",
        "instruction",
        "category",
        "origin",
        "call_id",
        "sample",
        "position",
        "status",
        "reason",
    )


def _ids_of(instructions: pl.DataFrame) -> set[str]:
    return {content_id("instruction", normalise(text)) for text in instructions["instruction"]}


def _within_limit(candidates: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Reject accepted rewrites beyond the first ``limit``."""
    # A model that writes more lines than asked for would make the batch cost more than was chosen.
    is_rewrite = (pl.col("origin") != "seed") & (pl.col("status") == ACCEPTED)
    over = is_rewrite & (is_rewrite.cum_sum() > limit)
    return candidates.with_columns(
        status=pl.when(over).then(pl.lit(REJECTED)).otherwise("status"),
        reason=pl.when(over).then(pl.lit("over_limit")).otherwise("reason"),
    )


def _seeds_of_batch(
    seeds: pl.DataFrame, elsewhere_ids: set[str], recipe: Recipe, batch: str
) -> pl.DataFrame:
    free = seeds.filter(~pl.col("instruction_id").is_in(sorted(elsewhere_ids)))
    if recipe.seeds_per_batch is not None and free.height > recipe.seeds_per_batch:
        # By rank, not by sampling: with seeds taken by a later batch, a rerun draws the same ones.
        order = {
            key: content_id("draw", batch, str(recipe.seed), key) for key in free["instruction_id"]
        }
        chosen = sorted(order, key=order.__getitem__)[: recipe.seeds_per_batch]
        free = free.filter(pl.col("instruction_id").is_in(chosen))
    return free.select(
        "instruction",
        "category",
        origin=pl.lit("seed"),
        call_id=pl.lit(None, dtype=pl.String),
        sample=pl.lit(None, dtype=pl.Int64),
        rejection=pl.lit(None, dtype=pl.String),
    )


def _parse(completions: pl.DataFrame) -> pl.DataFrame:
    gated = decide(completions, unusable())
    rows: list[tuple[str, None, str, str, int, str | None]] = []
    for row in gated.iter_rows(named=True):
        made_by = ("self_instruct", row["call_id"], row["sample"])
        if row["status"] != ACCEPTED and row["reason"] not in _BY_LINE:
            rows.append((row["raw"] or "", None, *made_by, row["reason"]))
            continue
        lines = parse_instruction_lines(row["raw"])
        reasons = [control_reason(line) for line in lines]
        if row["reason"] == TRUNCATED and lines:
            # Every instruction but the last is whole; the torn one is kept as what it is.
            reasons[-1] = TRUNCATED
        rows.extend(
            (line, None, *made_by, reason) for line, reason in zip(lines, reasons, strict=True)
        )
        if not lines:
            rows.append((row["raw"] or "", None, *made_by, row["reason"] or "no_instruction"))
    return pl.DataFrame(rows, schema=_CANDIDATE_SCHEMA, orient="row")
