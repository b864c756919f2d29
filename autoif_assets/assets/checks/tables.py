"""The checks of tables, those of one table in one step: a step costs more than its queries."""

from collections.abc import Iterator

import dagster as dg

from autoif_assets.assets.checks.common import Check, look, result
from autoif_assets.assets.checks.keys import accepted_parents, foreign_keys, keys
from autoif_assets.assets.checks.shares import (
    dominance,
    even_lengths,
    no_verdict_share,
    yield_bounds,
)
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse.quality import gated_keys
from autoif_assets.warehouse.schema import Table
from autoif_assets.warehouse.tables import TABLES

# What other assets, or commands, write beside their own tables.
_NO_ASSETS = ("llm_calls", "dataset_splits", "policies")


def checks_of(table: Table) -> list[Check]:
    """Return the checks of a table, from its declaration."""
    checks = [keys(table)]
    if table.foreign_keys:
        checks.append(foreign_keys(table))
    if gated_keys(table):
        checks.append(accepted_parents(table))
    if table.name in ("verifier_cases", "response_verdicts", "further_verdicts", "policy_verdicts"):
        checks.append(no_verdict_share(table))
    if table.name in ("sft_examples", "kto_examples", "preference_pairs"):
        checks.append(dominance(table))
    if table.name == "preference_pairs":
        checks.append(even_lengths(table))
    if table.is_gate and table.is_stage and table.partitions:
        checks.append(yield_bounds(table))
    return checks


def _step(table: Table) -> dg.AssetChecksDefinition:
    checks = checks_of(table)

    @dg.multi_asset_check(
        name=f"{table.name}_checks",
        specs=[check.spec(table.name) for check in checks],
        can_subset=True,
    )
    def step(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        rows = look(context, warehouse)
        for check in checks:
            key = dg.AssetCheckKey(dg.AssetKey(table.name), check.name)
            if key in context.selected_asset_check_keys:
                yield result(check.find(rows), check.blocking, key)

    return step


OF_TABLES = [_step(table) for table in TABLES.values() if table.name not in _NO_ASSETS]
