"""What the checks share: the rows they look at, and what they say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl

from autoif_assets.resources import keys_of
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import Partition, Warehouse

AGAIN = "materialize this asset again, and what comes before it."


@dataclass(frozen=True)
class Found:
    """What a check saw.

    Attributes:
        wrong: Sentences; none if all is well.
        numbers: Metadata, under names that stay the same across runs.
    """

    wrong: Sequence[str]
    numbers: dict[str, int | float]


@dataclass(frozen=True)
class Look:
    """The rows a check looks at: slices of the tables, or all rows if they are None."""

    warehouse: Warehouse
    slices: Sequence[Partition] | None

    def rows(self, query: tuple[str, list[object]]) -> pl.DataFrame:
        """Return the result of a query, also where nothing was ever made."""
        if not self.warehouse.path.exists():
            self.warehouse.migrate()
        return self.warehouse.query(*query)


@dataclass(frozen=True)
class Check:
    """A check of one table: its name, what it says is so, and how to find out.

    Attributes:
        blocking: Whether a failure is an error that stops what is downstream; else a warning.
    """

    name: str
    description: str
    find: Callable[[Look], Found]
    blocking: bool = False

    def spec(self, asset: str) -> dg.AssetCheckSpec:
        """Return what Dagster shows of the check."""
        return dg.AssetCheckSpec(
            self.name, asset=asset, description=self.description, blocking=self.blocking
        )


def look(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Look:
    """Return the run's batch; on its own, such as from the UI, a check looks at whole tables."""
    slices = [keys_of(context.partition_key)] if context.has_partition_key else None
    return Look(warehouse.open(context.log.info), slices)


def result(
    found: Found, blocking: bool, key: dg.AssetCheckKey | None = None
) -> dg.AssetCheckResult:
    """Return what Dagster shows of an evaluation; ``key`` where a step has several checks."""
    return dg.AssetCheckResult(
        asset_key=key and key.asset_key,
        check_name=key and key.name,
        passed=not found.wrong,
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        description=" ".join(found.wrong) or None,
        metadata=found.numbers,
    )
