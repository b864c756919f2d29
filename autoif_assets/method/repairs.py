"""Repair of verifiers: what went wrong is shown to the model, which writes the function anew.

A function that execution feedback is against may be nearly right: SelfEvolve (arXiv 2306.02907),
self-debugging (2304.05128) and LeTI (2305.10314) have models mend their code by what executing it
said. The new function is a candidate like any other, and must pass the same gates.
"""

from collections.abc import Callable

import polars as pl

from autoif_assets.method.cross_validation import Judged
from autoif_assets.method.gates import accepted
from autoif_assets.method.probes import EDGE, OTHER
from autoif_assets.method.prompts import REPAIR
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.tried import Tried
from autoif_assets.method.verifiers import (
    CANDIDATE_SCHEMA,
    USER,
    beside_standard,
    outcome_of,
    parse_candidates,
)

NO_REPAIRS = pl.DataFrame(
    schema={
        "round": pl.Int64,
        "parent_id": pl.String,
        **CANDIDATE_SCHEMA,
        "status": pl.String,
        "reason": pl.String,
    }
)
"""``verifier_repairs`` of a batch in which nothing was sent back."""

# Reasons that a model can do something about. Constants are left out: sent back as well, they cost
# 0.6 % more tokens and brought no verifier and no instruction into use (simulator at 30 % flaws,
# 40 instructions, seed 100); nor did those of instructions with fewer than three functions left.
REPAIRABLE = ("load_error", "low_agreement", "outvoted", "fragile", "unbalanced_cases")
_SHOWN = 3  # texts it gets wrong
_CHARS = 400  # of each


def to_repair(tried: Tried, judged: Judged, repairs: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Choose the functions that are sent back: the best of those that gates turned down.

    None is sent back twice, nor one that nothing can be shown to: it is right on all surviving
    cases and with the majority wherever that is clear. None is that people handed in: what is
    wrong with these is for them to mend.

    Args:
        tried: What the functions said.
        judged: What cross-validation made of it.
        repairs: ``verifier_repairs`` of earlier rounds.
        recipe: ``repairs_per_instruction``.

    Returns:
        ``verifier_id``, ``instruction_id``, ``source``, ``problems``: what went wrong in words.
    """
    failed = judged.verifiers.filter(
        pl.col("reason").is_in(REPAIRABLE)
        & (pl.col("origin") != USER)
        & ~pl.col("verifier_id").is_in(repairs["parent_id"].implode())
    )
    wrong = _wrong(tried, failed, _known(tried, judged))
    chosen = (
        failed.join(wrong, on="verifier_id", maintain_order="left")
        .sort(pl.col("accuracy").fill_null(0), pl.col("verifier_id"), descending=[True, False])
        .group_by("instruction_id", maintain_order=True)
        .head(recipe.repairs_per_instruction)
    )
    return chosen.select("verifier_id", "instruction_id", "source", "problems").sort(
        "instruction_id", "verifier_id"
    )


def _known(tried: Tried, judged: Judged) -> pl.DataFrame:
    """Return ``instruction_id``, ``input_id``, ``input``, ``query``, ``expected``, ``kind``.

    What is expected of a surviving case is known, and of a probe text that was written for the
    instruction, or by nobody, where the majority is clear.
    """
    surviving = accepted(judged.cases).select(
        "instruction_id", "input", "query", "expected", input_id="case_id"
    )
    probes = tried.probes.filter(pl.col("kind") != OTHER)
    clear = judged.said.select("instruction_id", "input_id", expected="verdict")
    return pl.concat(
        [
            surviving,
            probes.join(clear.drop_nulls(), on=["instruction_id", "input_id"]),
        ],
        how="diagonal",
    )


def _wrong(tried: Tried, failed: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return ``verifier_id``, ``problems`` of those that went wrong on some known text."""
    is_probe, broke = pl.col("kind").is_not_null(), pl.col("kind") == EDGE
    said = (
        tried.outcomes.join(
            failed.select("verifier_id", "instruction_id", failed="reason"), on="verifier_id"
        )
        .join(known, on=["instruction_id", "input_id"])
        .filter(pl.col("outcome") != outcome_of("expected"))
        .sort(
            "verifier_id",
            # What it is turned down for, then cases, then what most say.
            ~(broke & (pl.col("failed") == "fragile")).fill_null(False),
            is_probe,
            pl.col("input").str.len_chars(),
            "input_id",
        )
        .group_by("verifier_id", maintain_order=True)
        .head(_SHOWN)
    )
    problems = [
        _problem(*row)
        for row in said.select("input", "query", "expected", "outcome", "detail").iter_rows()
    ]
    return (
        said.with_columns(problem=pl.Series(problems, dtype=pl.String))
        .group_by("verifier_id", maintain_order=True)
        .agg(problems=pl.col("problem").str.join("\n"))
    )


def _problem(text: str, query: str | None, expected: bool, outcome: str, detail: str | None) -> str:
    """Say what a function did on one text, and what it should have done."""
    shown = ", ".join(
        repr(one if len(one) <= _CHARS else f"{one[:_CHARS]}…")
        for one in (text, query)
        if one is not None
    )
    did = {"pass": "returned True", "fail": "returned False"}.get(
        outcome, f"gave no verdict ({outcome}{f': {detail}' if detail else ''})"
    )
    return f"evaluate({shown}) {did}, it should return {expected}."


def repair_prompts(
    chosen: pl.DataFrame, instructions: pl.DataFrame, recipe: Recipe
) -> pl.DataFrame:
    """Return ``parent_id``, ``instruction_id``, ``prompt``.

    Args:
        chosen: From ``to_repair``.
        instructions: ``instruction_id``, ``instruction``.
        recipe: ``modules`` and ``prompts``.
    """
    rows = chosen.join(instructions, on="instruction_id", maintain_order="left")
    prompts = REPAIR.of(recipe.prompts).render_rows(rows, modules=beside_standard(recipe))
    return rows.select("instruction_id", prompts, parent_id="verifier_id")


def parse_repairs(
    completions: pl.DataFrame,
    static_check: Callable[[str], str | None],
    canonical_source: Callable[[str], str],
    known: pl.Series,
) -> pl.DataFrame:
    """Read functions out of completions; what was there before is no repair.

    Args:
        completions: Completion frame with ``instruction_id``, ``parent_id``.
        static_check: As of ``parse_candidates``.
        canonical_source: As there.
        known: Ids of the functions that there are.

    Returns:
        ``verifier_repairs`` without ``batch`` and ``round``: ``verifier_candidates`` with
        ``parent_id``. Reasons: those of ``parse_candidates``, and ``unchanged``.
    """
    candidates = parse_candidates(completions, static_check, canonical_source)[0].drop("origin")
    parents = candidates.with_columns(completions["parent_id"])
    # Nor is what repeats another repair that is none.
    is_function = pl.col("reason").is_null() | (pl.col("reason") == "duplicate")
    unchanged = pl.col("verifier_id").is_in(known.drop_nulls().implode()) & is_function
    return parents.with_columns(
        status=pl.when(unchanged).then(pl.lit("rejected")).otherwise("status"),
        reason=pl.when(unchanged).then(pl.lit("unchanged")).otherwise("reason"),
    )
