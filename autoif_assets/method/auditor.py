"""The auditor: whether a text obeys its instruction, asked where verifiers differ.

It says yes or no and explains nothing: reviewers misjudge right code more often when they are asked
to explain (arXiv 2508.12358, 2603.00539). Its word decides between verifiers that contradict one
another; against all of them it counts for nothing.
"""

import polars as pl

from autoif_assets.method.completions import unusable, usable
from autoif_assets.method.cross_validation import Tried
from autoif_assets.method.gates import decide
from autoif_assets.method.json_text import objects
from autoif_assets.method.parsing import parse_bool
from autoif_assets.method.probes import EDGE
from autoif_assets.method.prompts import AUDIT
from autoif_assets.method.recipe import Recipe

# Of texts on which the same functions say the same so many: others tell more.
_ALIKE = 4


def contested(tried: Tried, votes: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return the texts on which the functions of an instruction differ most.

    A text that answers a query is left out: the auditor is not shown the query.

    Args:
        tried: What they said of cases and probes.
        votes: ``verifier_id``, ``instruction_id``, ``weight`` of the functions; those without a
            vote, such as constants, contest nothing.
        recipe: ``audited_texts_per_instruction``.

    Returns:
        ``instruction_id``, ``input_id``, ``input``, ``passing`` and ``failing`` (shares of the
        votes), sorted.
    """
    heard = votes.filter(pl.col("weight") > 0).select("verifier_id", "instruction_id", "weight")
    edges = tried.probes.filter(pl.col("kind") == EDGE).select("input_id").unique()
    texts = tried.texts().filter(pl.col("query").is_null())
    weight, outcome = pl.col("weight"), pl.col("outcome")
    shares = (
        tried.outcomes.join(edges, on="input_id", how="anti")
        .join(heard, on="verifier_id")
        .join(texts, on=["instruction_id", "input_id"], how="semi")
        .sort("verifier_id")
        .group_by("instruction_id", "input_id", maintain_order=True)
        .agg(
            passing=weight.filter(outcome == "pass").sum() / weight.sum(),
            failing=weight.filter(outcome == "fail").sum() / weight.sum(),
            says=outcome.str.join("|"),
        )
        .filter(pl.min_horizontal("passing", "failing") > 0)
    )
    order = [pl.min_horizontal("passing", "failing"), pl.col("input_id")]
    ranked = shares.sort(order, descending=[True, False])
    alike = pl.int_range(pl.len()).over("instruction_id", "says")
    return (
        ranked.filter(alike < _ALIKE)
        .group_by("instruction_id", maintain_order=True)
        .head(recipe.audited_texts_per_instruction)
        .join(texts, on=["instruction_id", "input_id"], maintain_order="left")
        .select("instruction_id", "input_id", "input", "passing", "failing")
        .sort("instruction_id", "input_id")
    )


def audit_prompts(texts: pl.DataFrame, instructions: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return ``instruction_id``, ``input_id``, ``prompt``.

    Args:
        texts: ``instruction_id``, ``input_id``, ``input``.
        instructions: ``instruction_id``, ``instruction``.
        recipe: ``prompts``.
    """
    asked = texts.join(instructions, on="instruction_id", maintain_order="left").rename(
        {"input": "response"}
    )
    prompts = AUDIT.of(recipe.prompts).render_rows(asked)
    return asked.select("instruction_id", "input_id", prompts)


def parse_answers(completions: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Read what the auditor says.

    Args:
        completions: Completion frame with ``instruction_id``, ``input_id``.
        texts: From ``contested``.

    Returns:
        ``auditor_answers`` without ``batch``: ``texts`` with ``obeys``. Reasons: those of an
        unusable completion and ``unparsed``.
    """
    read = [
        _answer(raw) if ok else None
        for raw, ok in zip(completions["raw"], usable(completions), strict=True)
    ]
    answered = completions.with_columns(obeys=pl.Series(read, dtype=pl.Boolean))
    found = decide(answered, {**unusable(), "unparsed": pl.col("obeys").is_null()})
    return texts.join(
        found.select(
            *("instruction_id", "input_id", "obeys", "raw", "finish_reason", "call_id"),
            *("status", "reason"),
        ),
        on=["instruction_id", "input_id"],
        maintain_order="left",
    )


def _answer(raw: str) -> bool | None:
    """Return what a text says: the ``obeys`` of all its JSON objects, or its one word."""
    said = [parse_bool(found["obeys"]) for found in objects(raw, "obeys")] or [parse_bool(raw)]
    # Who repeats what may be answered, or says the one and then the other, has said neither.
    return said[0] if len(set(said)) == 1 else None
