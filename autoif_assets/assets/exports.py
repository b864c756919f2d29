"""Exports: the training data of all batches as files that trainers load."""

from pathlib import Path

import dagster as dg
import polars as pl

from autoif_assets.assets.common import accepted, rows, unread
from autoif_assets.datasets import (
    PREFERENCE,
    SFT,
    SPLITS,
    DatasetKind,
    ExportedFile,
    InstructionSplit,
    split_instructions,
    write_dataset,
)
from autoif_assets.resources import Recipe
from autoif_assets.warehouse import Rows
from autoif_assets.warehouse.io_manager import WarehouseResource

_EXAMPLES = unread(
    rows(
        "sft_examples",
        *("example_id", "instruction_id", "prompt", "response", "pass_rate", "score"),
    )
)
_PAIRS = unread(
    accepted(
        "preference_pairs",
        *("pair_id", "instruction_id", "level", "prompt", "chosen", "rejected"),
        *("chosen_pass_rate", "rejected_pass_rate"),
    )
)


# Each export reads the instructions of the other: one is on the same side of both splits.
@dg.asset(
    ins={"examples": _EXAMPLES, "others": accepted("preference_pairs", "instruction_id")},
    group_name="exports",
    kinds={"json", "parquet"},
    description="SFT examples of all batches as messages JSONL, Alpaca JSON and Parquet.",
)
def sft_dataset(
    examples: Rows, others: pl.DataFrame, warehouse: WarehouseResource, recipe: Recipe
) -> dg.MaterializeResult[None]:
    return _export(SFT, examples, others, warehouse, recipe)


@dg.asset(
    ins={"pairs": _PAIRS, "others": rows("sft_examples", "instruction_id")},
    group_name="exports",
    kinds={"json", "parquet"},
    description="Preference pairs of all batches as TRL JSONL, ranking JSON and Parquet.",
)
def preference_dataset(
    pairs: Rows, others: pl.DataFrame, warehouse: WarehouseResource, recipe: Recipe
) -> dg.MaterializeResult[None]:
    return _export(PREFERENCE, pairs, others, warehouse, recipe)


def _export(
    kind: DatasetKind,
    exported: Rows,
    others: pl.DataFrame,
    warehouse: WarehouseResource,
    recipe: Recipe,
) -> dg.MaterializeResult[None]:
    tables, numbers = warehouse.open(), recipe.numbers()
    ours = tables.read(
        exported.table,
        partitions=exported.partitions,
        columns=["instruction_id"],
        where_status=exported.status,
    )
    split = split_instructions(
        ours["instruction_id"].unique(),
        numbers.eval_share,
        numbers.seed,
        others["instruction_id"].unique(),
    )
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
