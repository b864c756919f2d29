"""Nothing that is trained on is evaluated on."""

import dagster as dg

from autoif_assets.assets.checks.common import Found, Look, look, result
from autoif_assets.datasets import KTO, PREFERENCE, SFT, DatasetKind
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import TABLES, Table
from autoif_assets.warehouse.quality import in_both_splits


def _splits(kind: DatasetKind, table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=f"{kind.name}_dataset",
        name="splits",
        description="No instruction and no prompt is in both splits.",
        blocking=True,
    )
    def splits(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        return result(_find(kind, TABLES[table], look(context, warehouse)), blocking=True)

    return splits


def _find(kind: DatasetKind, table: Table, rows: Look) -> Found:
    instructions, prompts, example = rows.rows(in_both_splits(kind.name, table)).row(0)
    wrong = (
        f"{instructions} instructions and {prompts} prompts are in both splits, such as of "
        f"instruction {example}: do not train on these files; materialize this asset again."
    )
    return Found(
        [wrong] if instructions or prompts else [],
        {"instructions in both": instructions, "prompts in both": prompts},
    )


SPLITS = [
    _splits(SFT, "sft_examples"),
    _splits(PREFERENCE, "preference_pairs"),
    _splits(KTO, "kto_examples"),
]
