"""Prompts for RL with verifiable rewards, and the verifiers that decide about them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from autoif_assets.method.gates import decide
from autoif_assets.method.holdout import Sides
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verifiers import USER

_AUDIT = (
    *("origin", "samples", "accuracy", "accuracy_true", "accuracy_false", "sibling_agreement"),
    *("mutants", "told_apart", "answers", "answers_agreed", "response_agreement"),
)


def rl_prompts(
    augmented_queries: pl.DataFrame,
    filtered_queries: pl.DataFrame,
    instructions: pl.DataFrame,
    sides: Sides,
    recipe: Recipe,
) -> pl.DataFrame:
    """Say of each prompt how often responses to it pass; one that all or none pass teaches nothing.

    The samples of a group are told apart by their rewards alone, so where these are equal there is
    no gradient: 54.6 % of the prompts of a public set all failed, and 26.8 % all passed.

    Args:
        augmented_queries: ``prompt_id``, ``instruction_id``, ``query_id``, ``query``,
            ``context``, ``prompt``.
        filtered_queries: ``prompt_id``, ``judged``, ``passing`` of all of them.
        instructions: Accepted ``verified_instructions``: ``instruction_id``, ``base_rate``.
        sides: On which side instructions and prompts are.
        recipe: ``rl_difficulty``, ``rl_difficulty_min`` and ``rl_difficulty_max``.

    Returns:
        ``rl_prompts`` without ``batch``. Reasons: ``no_verdict``, ``too_hard``, ``too_easy``.
    """
    rows = (
        augmented_queries.join(
            filtered_queries.select("prompt_id", "judged", "passing"),
            on="prompt_id",
            maintain_order="left",
        )
        .join(
            instructions.select("instruction_id", "base_rate"),
            on="instruction_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            instruction_ids=pl.concat_list("instruction_id"),
            base_rates=pl.concat_list(pl.col("base_rate").cast(pl.Float64)),
            pass_rate=pl.when(pl.col("judged") > 0).then(pl.col("passing") / pl.col("judged")),
        )
    )
    rows = rows.with_columns(split=sides.of(rows))
    return decide(rows, {"no_verdict": pl.col("pass_rate").is_null(), **_rules(recipe)}).select(
        *("prompt_id", "instruction_id", "query_id", "query", "context", "prompt"),
        *("instruction_ids", "judged", "passing", "pass_rate", "base_rates", "split"),
        *("status", "reason"),
    )


def _rules(recipe: Recipe) -> dict[str, pl.Expr]:
    rate = pl.col("pass_rate")
    match recipe.rl_difficulty:
        case "drop_0_and_1":
            return {"too_hard": rate <= 0, "too_easy": rate >= 1}
        case "band":
            return {
                "too_hard": rate < recipe.rl_difficulty_min,
                "too_easy": rate > recipe.rl_difficulty_max,
            }
        case _:
            return {}


def reward_entries(
    instructions: pl.DataFrame,
    audits: pl.DataFrame,
    agreement: pl.DataFrame,
    cases: pl.DataFrame,
    limits: Mapping[str, Any],
    modules_of: Callable[[str], Sequence[str]] = lambda source: (),
) -> Iterator[dict[str, Any]]:
    """Yield what scores answers to instructions, an entry each, in the order of their ids.

    Args:
        instructions: ``instruction_id``, ``instruction``, ``category`` of the verified
            instructions of all batches; repeats are fine.
        audits: ``instruction_id``, ``verifier_id``, ``source`` of the verifiers in use, and what
            is known of them.
        agreement: ``verifier_id``, ``response_agreement``: how often each says what most of its
            instruction's verifiers say of a sampled response.
        cases: ``instruction_id``, ``input``, ``query``, ``expected`` of the surviving test cases.
        limits: What verifiers may use.
        modules_of: Returns what a source imports beside the standard library.

    Yields:
        ``instruction_id``, ``instruction``, ``category``, ``verifiers`` (the best audited first:
        ``verifier_id``, ``source``, ``audit``), ``cases`` and ``limits``. None for an instruction
        without a verifier.
    """
    known = audits.join(agreement, on="verifier_id", how="left", maintain_order="left")
    ranked = _ranked(known).group_by("instruction_id", maintain_order=True)
    verifiers = {key[0]: frame.to_dicts() for key, frame in ranked}
    told = cases.unique(["instruction_id", "input", "query"], keep="first", maintain_order=True)
    grouped = told.sort("instruction_id", "input", "query", nulls_last=True)
    inputs = {
        key[0]: frame.drop("instruction_id").to_dicts()
        for key, frame in grouped.group_by("instruction_id", maintain_order=True)
    }
    wanted = instructions.unique("instruction_id", keep="first", maintain_order=True)
    for row in wanted.sort("instruction_id").iter_rows(named=True):
        id = row["instruction_id"]
        found = verifiers.get(id, [])
        if not found:
            continue
        needed = sorted({name for one in found for name in modules_of(one["source"])})
        yield {
            "instruction_id": id,
            "instruction": row["instruction"],
            "category": row["category"],
            "verifiers": [
                {
                    "verifier_id": one["verifier_id"],
                    "source": one["source"],
                    "audit": {name: one[name] for name in _AUDIT},
                }
                for one in found
            ],
            "cases": [
                {name: value for name, value in case.items() if value is not None}
                for case in inputs.get(id, [])
            ],
            "limits": {**limits, "modules": needed},
        }


def reward_lines(entries: Iterator[dict[str, Any]]) -> bytes:
    """Return entries as JSON lines, in ASCII: no text can end a line."""
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def _ranked(audits: pl.DataFrame) -> pl.DataFrame:
    """Sort verifiers by how far they can be trusted, those of people before all others.

    What the auditor says of one comes before what its siblings say, first of sampled responses,
    which are what it will be asked about; and that before the cases, which are of the same model
    as the verifier.
    """
    order = {
        "_user": pl.col("origin") == USER,
        "_auditor": pl.col("answers_agreed") / pl.col("answers").replace(0, None),
        "_responses": pl.col("response_agreement"),
        "_siblings": pl.col("sibling_agreement"),
        "_labels": pl.min_horizontal("accuracy_true", "accuracy_false"),
        "_accuracy": pl.col("accuracy"),
        "_samples": pl.col("samples"),
    }
    return (
        audits.with_columns(**order)
        .sort(
            "instruction_id",
            *order,
            "verifier_id",
            descending=[False, *[True] * len(order), False],
            nulls_last=True,
            maintain_order=True,
        )
        .unique(["instruction_id", "verifier_id"], keep="first", maintain_order=True)
        .drop(*order)
    )
