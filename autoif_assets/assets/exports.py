"""Exports: the training data of all batches as files that trainers load."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl

from autoif_assets.assets.common import accepted, rows, unread
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
from autoif_assets.resources import RecipeResource
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import Rows, Warehouse

_EXAMPLES = unread(
    accepted(
        "sft_examples",
        *("example_id", "instruction_id", "prompt", "response", "pass_rate", "score"),
    )
)
_PAIRS = unread(
    accepted(
        "preference_pairs",
        *("pair_id", "instruction_id", "level", "prompt", "chosen", "rejected"),
        *("chosen_pass_rate", "rejected_pass_rate", "chosen_score", "rejected_score"),
        *("chosen_length", "rejected_length", "failed_verifiers", "margin"),
        *("constrains_length", "origin"),
    )
)
_LABELLED = unread(
    rows(
        "kto_examples",
        *("example_id", "instruction_id", "prompt", "completion", "label"),
        *("pass_rate", "score", "origin"),
    )
)


# Every export splits the instructions of SFT examples and preference pairs, so that one is on the
# same side everywhere. Those of KTO examples are among them: a prompt with a label has a good
# response, which makes an SFT example; so those that a selection rejects are split, too.
@dg.asset(
    ins={"examples": _EXAMPLES, "pairs": accepted("preference_pairs", "instruction_id")},
    group_name="exports",
    kinds={"json", "parquet"},
    description="SFT examples of all batches as messages JSONL, Alpaca JSON and Parquet.",
)
def sft_dataset(
    examples: Rows, pairs: pl.DataFrame, warehouse: WarehouseResource, recipe: RecipeResource
) -> dg.MaterializeResult[None]:
    tables = warehouse.open()
    split = _split(_instructions(tables, replace(examples, status=None)), pairs, recipe)
    return _export(SFT, examples, split, tables)


@dg.asset(
    ins={"pairs": _PAIRS, "examples": rows("sft_examples", "instruction_id")},
    group_name="exports",
    kinds={"json", "parquet"},
    description="Preference pairs of all batches as TRL JSONL, ranking JSON and Parquet.",
)
def preference_dataset(
    pairs: Rows, examples: pl.DataFrame, warehouse: WarehouseResource, recipe: RecipeResource
) -> dg.MaterializeResult[None]:
    tables = warehouse.open()
    split = _split(examples, _instructions(tables, pairs), recipe)
    return _export(PREFERENCE, pairs, split, tables)


@dg.asset(
    ins={
        "labelled": _LABELLED,
        "examples": rows("sft_examples", "instruction_id"),
        "pairs": accepted("preference_pairs", "instruction_id"),
    },
    group_name="exports",
    kinds={"json", "parquet"},
    description="KTO examples of all batches as TRL JSONL, labelled Alpaca JSON and Parquet.",
)
def kto_dataset(
    labelled: Rows,
    examples: pl.DataFrame,
    pairs: pl.DataFrame,
    warehouse: WarehouseResource,
    recipe: RecipeResource,
) -> dg.MaterializeResult[None]:
    return _export(KTO, labelled, _split(examples, pairs, recipe), warehouse.open())


def _instructions(tables: Warehouse, wanted: Rows) -> pl.DataFrame:
    return tables.read(
        wanted.table,
        partitions=wanted.partitions,
        columns=["instruction_id"],
        where_status=wanted.status,
    )


def _split(examples: pl.DataFrame, pairs: pl.DataFrame, recipe: RecipeResource) -> InstructionSplit:
    numbers = recipe.load()
    return split_instructions(
        examples["instruction_id"].unique(),
        numbers.eval_share,
        numbers.seed,
        pairs["instruction_id"].unique(),
    )


def _export(
    kind: DatasetKind, exported: Rows, split: InstructionSplit, tables: Warehouse
) -> dg.MaterializeResult[None]:
    folder = tables.data_dir / "exports" / kind.name
    parts = (part for (part,) in tables.read_parts(exported, on=kind.id))
    files = write_dataset(kind, parts, folder, split)
    # For autoif.dataset, which gives the rows of the files.
    tables.write("dataset_splits", _sides(kind, split), {"dataset": kind.name})
    return dg.MaterializeResult(metadata=_describe(folder, files))


def _sides(kind: DatasetKind, split: InstructionSplit) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {"instruction_id": sorted(split.of(side))}, schema={"instruction_id": pl.String}
        ).with_columns(dataset=pl.lit(kind.name), split=pl.lit(side))
        for side in SPLITS
    )


def _describe(folder: Path, files: list[ExportedFile]) -> dict[str, dg.MetadataValue]:
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
