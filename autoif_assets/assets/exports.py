"""Exports: the training data of all batches as files that trainers load."""

from pathlib import Path

import dagster as dg
import polars as pl

from autoif_assets.assets.common import accepted, rows
from autoif_assets.datasets import ExportedFile, write_preference_dataset, write_sft_dataset
from autoif_assets.resources import Recipe
from autoif_assets.warehouse.io_manager import WarehouseResource

_EXAMPLES = rows(
    "sft_examples", "example_id", "instruction_id", "prompt", "response", "pass_rate", "score"
)
_PAIRS = accepted(
    "preference_pairs",
    *("pair_id", "instruction_id", "level", "prompt", "chosen", "rejected"),
    *("chosen_pass_rate", "rejected_pass_rate", "status"),
)


@dg.asset(
    # Each export reads the other's table: an instruction is on the same side of both splits.
    ins={"examples": _EXAMPLES, "pairs": _PAIRS},
    group_name="exports",
    kinds={"json", "parquet"},
    description="SFT examples of all batches as messages JSONL, Alpaca JSON and Parquet.",
)
def sft_dataset(
    examples: pl.DataFrame, pairs: pl.DataFrame, warehouse: WarehouseResource, recipe: Recipe
) -> dg.MaterializeResult[None]:
    numbers = recipe.numbers()
    folder = warehouse.open().data_dir / "exports" / "sft"
    files = write_sft_dataset(examples, folder, numbers.eval_share, numbers.seed, pairs)
    return dg.MaterializeResult(metadata=_describe(folder, files))


@dg.asset(
    ins={"examples": _EXAMPLES, "pairs": _PAIRS},
    group_name="exports",
    kinds={"json", "parquet"},
    description="Preference pairs of all batches as TRL JSONL, ranking JSON and Parquet.",
)
def preference_dataset(
    examples: pl.DataFrame, pairs: pl.DataFrame, warehouse: WarehouseResource, recipe: Recipe
) -> dg.MaterializeResult[None]:
    numbers = recipe.numbers()
    folder = warehouse.open().data_dir / "exports" / "preference"
    files = write_preference_dataset(pairs, folder, numbers.eval_share, numbers.seed, examples)
    return dg.MaterializeResult(metadata=_describe(folder, files))


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
