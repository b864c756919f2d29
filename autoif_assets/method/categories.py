"""Categories of instructions that a model wrote: one of the seed file's, or ``other``."""

from collections import Counter

import polars as pl

from autoif_assets.method.completions import unusable, usable
from autoif_assets.method.gates import ACCEPTED, decide
from autoif_assets.method.json_text import objects
from autoif_assets.method.prompts import CATEGORY, choosing
from autoif_assets.method.recipe import Recipe

OTHER = "other"
_MOST = 100  # of a file that has a category for every instruction, the most common
_CHARS = 120  # of the instruction beside each
_MOST_SHORT = 8  # are named: who is asked for everything is asked for nothing

CATEGORY_SCHEMA = {"instruction_id": pl.String, "category": pl.String, "reason": pl.String}


def known_categories(seeds: pl.DataFrame) -> pl.DataFrame:
    """Return the categories that an instruction may be of, each with an instruction of it.

    Args:
        seeds: ``instruction``, ``category``.

    Returns:
        ``category``, ``example``, sorted; without ``other``, which is always one.
    """
    shortest = pl.col("instruction").sort_by(pl.col("instruction").str.len_chars(), "instruction")
    return (
        seeds.filter(pl.col("category") != OTHER)
        .group_by("category")
        .agg(seeds=pl.len(), example=shortest.first())
        .sort("seeds", "category", descending=[True, False])
        .head(_MOST)
        .select("category", pl.col("example").str.slice(0, _CHARS))
        .sort("category")
    )


def short_categories(seeds: pl.DataFrame, there: pl.Series) -> list[str]:
    """Return the categories that have fewer instructions than the mean, the fewest first.

    Args:
        seeds: ``instruction``, ``category``.
        there: Categories of the instructions that there are.
    """
    counts = Counter(there)
    known = {name: counts[name] for name in known_categories(seeds)["category"]}
    below = [name for name in known if known[name] * len(known) < sum(known.values())]
    return sorted(below, key=lambda name: (known[name], name))[:_MOST_SHORT]


def category_prompts(
    instructions: pl.DataFrame, seeds: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Return ``instruction_id``, ``prompt`` of the accepted that have no category.

    None is asked for where the seeds have none either.

    Args:
        instructions: ``augmented_instructions``.
        seeds: ``instruction``, ``category``.
        recipe: ``categorise`` and ``prompts``.
    """
    known = known_categories(seeds)
    without = pl.col("category").is_null() & (pl.col("status") == ACCEPTED)
    asked = instructions.filter(without).filter(recipe.categorise and not known.is_empty())
    shown = "\n".join(f"- {name}: {example}" for name, example in known.iter_rows())
    prompts = CATEGORY.of(recipe.prompts).render_rows(asked, categories=shown)
    return asked.select("instruction_id", prompts)


def category_answer(seeds: pl.DataFrame) -> dict[str, object]:
    """Return the schema of an answer: which categories there are depends on the seeds."""
    return choosing("category", [*known_categories(seeds)["category"], OTHER])


def parse_categories(completions: pl.DataFrame, seeds: pl.DataFrame) -> pl.DataFrame:
    """Read which category each instruction is of.

    Args:
        completions: Completion frame with ``instruction_id``.
        seeds: ``instruction``, ``category``.

    Returns:
        ``CATEGORY_SCHEMA``; the category is null where no answer could be read: the reason is that
        of an unusable completion, or ``no_category``.
    """
    names = [*known_categories(seeds)["category"], OTHER]
    # A category that is named in full goes before one that differs in case.
    known = {**{_plain(name): name for name in names}, **{name: name for name in names}}
    read = [
        _answer(raw, known) if ok else None
        for raw, ok in zip(completions["raw"], usable(completions), strict=True)
    ]
    answered = completions.with_columns(category=pl.Series(read, dtype=pl.String))
    found = decide(answered, {**unusable(), "no_category": pl.col("category").is_null()})
    return found.select(*CATEGORY_SCHEMA)


def with_categories(instructions: pl.DataFrame, categories: pl.DataFrame) -> pl.DataFrame:
    """Give instructions that have no category the one that was found, if one was.

    Args:
        instructions: ``augmented_instructions``.
        categories: From ``parse_categories``.
    """
    found = dict(categories.select("instruction_id", "category").iter_rows())
    asked = pl.col("status") == ACCEPTED
    said = pl.col("instruction_id").replace_strict(found, default=None, return_dtype=pl.String)
    return instructions.with_columns(category=pl.coalesce("category", pl.when(asked).then(said)))


def _answer(raw: str, known: dict[str, str]) -> str | None:
    """Return what a text says: a JSON object's ``category``, or a known one that is all of it."""
    said = next(iter(objects(raw, "category")), None)
    if said is None:
        return known.get(_plain(raw))
    # Who answers in the form and names none of them means none of them.
    name = said["category"]
    if not isinstance(name, str):
        return None
    return known.get(name) or known.get(_plain(name), OTHER)


def _plain(name: str) -> str:
    return " ".join(name.strip(" \t\n\"'`.").casefold().split())
