"""Exports: the training data of all batches as files that trainers load."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl

from autoif_assets.automation.sensors import FOLLOW_BATCHES
from autoif_assets.checks import splits
from autoif_assets.datasets import (
    KTO,
    PREFERENCE,
    SFT,
    SPLITS,
    DatasetKind,
    ExportedFile,
    InstructionSplit,
    split_instructions,
    write_dataset,
)
from autoif_assets.method.recipe import Recipe
from autoif_assets.stage import Parts, accepted, rows, stage
from autoif_assets.warehouse import Rows, Warehouse, excluded_batches, known_batches

# Every export splits the instructions of SFT examples and preference pairs, so that one is on the
# same side everywhere. Those of KTO examples are among them: a prompt with a label has a good
# response, which makes an SFT example; so those that a selection rejects are split, too.
_EXAMPLES = rows("sft_examples", "instruction_id")
_PAIRS = accepted("preference_pairs", "instruction_id")

_dataset = partial(stage, group="exports", kinds={"json", "parquet"}, follows=FOLLOW_BATCHES)


@_dataset(
    description="SFT examples of all batches as messages JSONL, Alpaca JSON and Parquet.",
    after=["preference_pairs"],
    parts={
        "exported": accepted(
            "sft_examples",
            *("example_id", "instruction_id", "context", "prompt", "response"),
            *("pass_rate", "score"),
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
            *("pair_id", "instruction_id", "level", "context", "prompt", "chosen", "rejected"),
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
            *("example_id", "instruction_id", "context", "prompt", "completion", "label"),
            *("pass_rate", "score", "origin"),
        )
    },
    parts_on=KTO.id,
    checks=[splits(KTO.name, "kto_examples")],
)
def kto_dataset(parts: Parts, warehouse: Warehouse, recipe: Recipe) -> dg.MaterializeResult[None]:
    return _export(KTO, parts, warehouse, recipe)


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


def fitting(kind: DatasetKind, wanted: Rows, warehouse: Warehouse) -> DatasetKind:
    """Return the kind that has a place for what was said before prompts, where that is needed."""
    return kind.with_contexts() if warehouse.holds(wanted, "context") else kind


def _instructions(parts: Parts, wanted: Rows) -> pl.Series:
    """Read the instructions of a table, of the batches that are exported."""
    found = parts.warehouse.read(
        wanted.table,
        partitions=parts.rows[0].partitions,
        columns=wanted.columns,
        where_status=wanted.status,
    )
    return found["instruction_id"].unique()


def _export(
    kind: DatasetKind, parts: Parts, warehouse: Warehouse, recipe: Recipe
) -> dg.MaterializeResult[None]:
    parts = included(parts, warehouse)
    split = split_instructions(
        _instructions(parts, _EXAMPLES),
        recipe.eval_share,
        recipe.seed,
        _instructions(parts, _PAIRS),
    )
    folder = warehouse.data_dir / "exports" / kind.name
    kind = fitting(kind, parts.rows[0], warehouse)
    files = write_dataset(kind, (part for (part,) in parts), folder, split)
    # For autoif.dataset, which gives the rows of the files.
    warehouse.write("dataset_splits", _sides(kind, split), {"dataset": kind.name})
    return dg.MaterializeResult(metadata=_described(folder, files) | _mixed(warehouse))


def _mixed(warehouse: Warehouse) -> dict[str, dg.MetadataValue]:
    """Name the simulated batches, where they are exported together with real ones."""
    known = [one for one in known_batches(warehouse).values() if not one.excluded]
    simulated = [one.batch for one in known if one.simulated]
    if not simulated or all(one.simulated is not False for one in known):
        return {}
    words = f"Synthetic, among real ones: {', '.join(simulated)}. See autoif batch exclude."
    return {"simulated": dg.MetadataValue.text(words)}


def _sides(kind: DatasetKind, split: InstructionSplit) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {"instruction_id": sorted(split.of(side))}, schema={"instruction_id": pl.String}
        ).with_columns(dataset=pl.lit(kind.name), split=pl.lit(side))
        for side in SPLITS
    )


def _described(folder: Path, files: list[ExportedFile]) -> dict[str, dg.MetadataValue]:
    lines = ["| file | format | split | rows | bytes | sha256 |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {file.path} | {file.format} | {file.split} | {file.rows} | {file.bytes} "
        f"| {file.sha256} |"
        for file in files
    ]
    return {
        "folder": dg.MetadataValue.path(str(folder)),
        "files": dg.MetadataValue.md("\n".join(lines)),
    }
