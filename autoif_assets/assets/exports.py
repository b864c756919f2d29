"""Exports: the training data of all batches as files that trainers load."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from autoif_assets.assets.cards import about_batches
from autoif_assets.assets.described import described
from autoif_assets.assets.sides import read_sides
from autoif_assets.automation.sensors import FOLLOW_BATCHES
from autoif_assets.checks import splits
from autoif_assets.datasets import (
    KTO,
    PREFERENCE,
    REWARD,
    SFT,
    SPLITS,
    DatasetKind,
    DatasetSplit,
    Export,
    Extra,
    reward_extras,
    share_dataset,
    write_dataset,
)
from autoif_assets.method.gates import ACCEPTED
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.rl import reward_entries, reward_lines
from autoif_assets.resources import SandboxResource
from autoif_assets.sandbox import static_check
from autoif_assets.stage import Parts, accepted, rows, stage
from autoif_assets.warehouse import Partition, Rows, Warehouse, excluded_batches, known_batches
from autoif_assets.warehouse.quality import agreement_on_responses

_WHY_LEFT_OUT = (
    "Rows of train whose query is one of eval's, and rows of eval whose query is one of train's: "
    "their batches were made before queries were divided (split_queries), with another eval_share "
    "or seed, or are small. Table dataset_left_out names their prompts."
)

_dataset = partial(stage, group="exports", kinds={"json", "parquet"}, follows=FOLLOW_BATCHES)


@_dataset(
    description="SFT examples of all batches as messages JSONL, Alpaca JSON and Parquet.",
    after=["preference_pairs"],
    parts={
        "exported": accepted(
            "sft_examples",
            *("batch", "example_id", "prompt_id", "response_id", "instruction_id", "query_id"),
            *("context", "prompt", "response", "pass_rate", "score"),
        )
    },
    parts_on=SFT.id,
    checks=[splits(SFT.name, "sft_examples")],
)
def sft_dataset(parts: Parts, warehouse: Warehouse, recipe: Recipe) -> dg.MaterializeResult[None]:
    return _export(SFT, parts, warehouse, recipe)


@_dataset(
    description="Preference pairs of all batches as TRL JSONL, ranking JSON and Parquet.",
    after=["sft_examples"],
    parts={
        "exported": accepted(
            "preference_pairs",
            *("batch", "pair_id", "prompt_id", "instruction_id", "level", "context", "prompt"),
            *("chosen", "rejected", "chosen_id", "rejected_id"),
            *("chosen_pass_rate", "rejected_pass_rate", "chosen_score", "rejected_score"),
            *("chosen_length", "rejected_length", "failed_verifiers", "margin"),
            *("constrains_length", "origin"),
        )
    },
    parts_on=PREFERENCE.id,
    checks=[splits(PREFERENCE.name, "preference_pairs")],
)
def preference_dataset(
    parts: Parts, warehouse: Warehouse, recipe: Recipe
) -> dg.MaterializeResult[None]:
    return _export(PREFERENCE, parts, warehouse, recipe)


@_dataset(
    description="KTO examples of all batches as TRL JSONL, labelled Alpaca JSON and Parquet.",
    after=["sft_examples", "preference_pairs"],
    parts={
        "exported": rows(
            "kto_examples",
            *("batch", "example_id", "prompt_id", "response_id", "instruction_id", "query_id"),
            *("context", "prompt", "completion", "label", "pass_rate", "score", "origin"),
        )
    },
    parts_on=KTO.id,
    checks=[splits(KTO.name, "kto_examples")],
)
def kto_dataset(parts: Parts, warehouse: Warehouse, recipe: Recipe) -> dg.MaterializeResult[None]:
    return _export(KTO, parts, warehouse, recipe)


@_dataset(
    description="Prompts for RL with the verifiers that reward their answers, for six trainers.",
    after=[
        *("sft_examples", "preference_pairs"),
        *("verifier_audits", "verifier_cases", "response_verdicts"),
    ],
    parts={
        "exported": accepted(
            "rl_prompts",
            *("batch", "prompt_id", "instruction_id", "query_id", "query", "context", "prompt"),
            *("instruction_ids", "pass_rate", "base_rates", "split"),
        )
    },
    parts_on=REWARD.id,
    checks=[splits(REWARD.name, "rl_prompts")],
)
def reward_dataset(
    parts: Parts, warehouse: Warehouse, recipe: Recipe, sandbox: SandboxResource
) -> dg.MaterializeResult[None]:
    limits = {
        "call_cpu_s": sandbox.call_cpu_s,
        "memory_mb": sandbox.memory_mb,
        "coerce_strings": sandbox.coerce_strings,
    }
    return _export(REWARD, parts, warehouse, recipe, partial(_verifiers, limits=limits))


def _verifiers(
    warehouse: Warehouse, slices: Sequence[Partition] | None, limits: dict[str, Any]
) -> list[Extra]:
    """Return what an export for RL has beside its prompts: verifiers of all instructions in use."""

    def read(table: str, *columns: str) -> pl.DataFrame:
        return warehouse.read(
            table, partitions=slices, columns=list(columns), where_status=ACCEPTED
        )

    warehouse.migrate()  # an empty folder has an export, too
    entries = reward_entries(
        read("verified_instructions", "instruction_id", "instruction", "category"),
        read(
            "verifier_audits",
            *("instruction_id", "verifier_id", "source", "origin", "samples", "accuracy"),
            *("accuracy_true", "accuracy_false", "sibling_agreement", "mutants", "told_apart"),
            *("answers", "answers_agreed"),
        ),
        warehouse.query(*agreement_on_responses(slices)),
        read("verifier_cases", "instruction_id", "input", "query", "expected"),
        limits,
        _modules_of,
    )
    return reward_extras(reward_lines(entries))


def _modules_of(source: str) -> list[str]:
    """Return the modules beside the standard ones that a verifier imports."""
    needed: list[str] = []
    while (problem := static_check(source, needed)) is not None:
        reason, _, name = problem.partition(":")
        if reason != "forbidden_import" or name in needed:
            break
        needed.append(name)
    return needed


def included(parts: Parts, warehouse: Warehouse) -> Parts:
    """Return the parts without the batches that a person has excluded from the exports."""
    excluded = set(excluded_batches(warehouse))
    if not excluded:
        return parts
    (wanted,) = parts.rows
    slices = wanted.partitions
    if slices is None:
        held = warehouse.query(f"SELECT DISTINCT batch FROM autoif.{wanted.table}")
        slices = [{"batch": batch} for batch in held["batch"]]
    kept = [one for one in slices if one["batch"] not in excluded]
    return replace(parts, rows=[replace(wanted, partitions=kept)])


def share_export(warehouse: Warehouse, name: str) -> None:
    """Put an export where other machines find it, if there are any."""
    if warehouse.objects is not None:
        share_dataset(warehouse.objects, warehouse.data_dir / "exports", name)


def fitting(kind: DatasetKind, wanted: Rows, warehouse: Warehouse) -> DatasetKind:
    """Return the kind that has a place for what was said before prompts, where that is needed."""
    return kind.with_contexts() if warehouse.holds(wanted, "context") else kind


def _export(
    kind: DatasetKind,
    parts: Parts,
    warehouse: Warehouse,
    recipe: Recipe,
    beside: Callable[[Warehouse, Sequence[Partition] | None], list[Extra]] = lambda *_: [],
) -> dg.MaterializeResult[None]:
    parts = included(parts, warehouse)
    slices = parts.rows[0].partitions
    sides, instructions = read_sides(warehouse, recipe, slices)
    if kind.name == REWARD.name:
        # Prompts of which no response was good are not among the examples.
        asked = warehouse.read(
            "rl_prompts", partitions=slices, columns=["instruction_id"], where_status=ACCEPTED
        )
        instructions = frozenset(asked["instruction_id"])
    split = DatasetSplit(instructions, sides, recipe.eval_share, recipe.seed)
    folder = warehouse.data_dir / "exports" / kind.name
    kind = fitting(kind, parts.rows[0], warehouse)
    frames = described((part for (part,) in parts), warehouse)
    about = about_batches(warehouse)
    with warehouse.turn(f"the export {kind.name}"):
        export = write_dataset(kind, frames, folder, split, beside(warehouse, slices), about)
        share_export(warehouse, kind.name)
    # For autoif.dataset, which gives the rows of the files.
    of_kind = {"dataset": kind.name}
    left_out = sides.left_out.with_columns(dataset=pl.lit(kind.name))
    warehouse.write("dataset_left_out", left_out, of_kind)
    warehouse.write("dataset_splits", _sides(kind, split), of_kind)
    return dg.MaterializeResult(metadata=_described(folder, export) | _mixed(warehouse))


def _mixed(warehouse: Warehouse) -> dict[str, dg.MetadataValue]:
    """Name the simulated batches, where they are exported together with real ones."""
    known = [one for one in known_batches(warehouse).values() if not one.excluded]
    simulated = [one.batch for one in known if one.simulated]
    if not simulated or all(one.simulated is not False for one in known):
        return {}
    words = f"Synthetic, among real ones: {', '.join(simulated)}. See autoif batch exclude."
    return {"simulated": dg.MetadataValue.text(words)}


def _sides(kind: DatasetKind, split: DatasetSplit) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {"instruction_id": sorted(split.of(side))}, schema={"instruction_id": pl.String}
        ).with_columns(dataset=pl.lit(kind.name), split=pl.lit(side))
        for side in SPLITS
    )


def _described(folder: Path, export: Export) -> dict[str, Any]:
    lines = ["| file | format | split | rows | bytes | sha256 |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {file.path} | {file.format} | {file.split} | {file.rows} | {file.bytes} "
        f"| {file.sha256} |"
        for file in export.files
    ]
    # The first format holds all rows.
    by_side = {file.split: file.rows for file in export.files[: len(SPLITS)]}
    return {
        "dagster/row_count": sum(by_side.values()),
        **{f"rows/{side}": rows for side, rows in by_side.items()},
        "folder": dg.MetadataValue.path(str(folder)),
        "files": dg.MetadataValue.md("\n".join(lines)),
        **{f"left_out/{side}": rows for side, rows in export.left_out.items()},
        **({"why_left_out": _WHY_LEFT_OUT} if any(export.left_out.values()) else {}),
    }
