"""No asset reads a column that it does not use: without any of them it fails or makes other rows.

Each asset is run on the tables of a finished batch once for each column it reads, without it.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from autoif_assets.assets import ASSETS
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.resources import WarehouseIOManager
from autoif_assets.warehouse import TABLES, Rows, Warehouse, polars_schema

from .pipeline import QUIET, batch_job, exports

pytestmark = pytest.mark.slow


def inputs(asset: dg.AssetsDefinition) -> dict[str, tuple[str, list[str]]]:
    """Return table and columns of each input that is read, by its name."""
    found = {}
    for name, key in asset.keys_by_input_name.items():
        declared = asset.op.ins[name]
        # Likelihoods, and what is done with them, are there on demand only: test_likelihoods.
        if not declared.dagster_type.is_nothing and key.path[-1] != "response_likelihoods":
            table = TABLES[key.path[-1]]
            every = polars_schema(table).names()
            found[name] = (table.name, (declared.metadata or {}).get("columns") or every)
    return found


# Those of a batch. By the paper's recipe no likelihood is asked for and no function sent back.
IDLE = ("response_likelihoods", "verifier_repairs")
READERS = {
    asset.op.name: asset
    for asset in ASSETS
    if inputs(asset) and asset.partitions_def in (None, BATCHES) and asset.op.name not in IDLE
}


@pytest.fixture
def without(copied, monkeypatch) -> Iterator[Callable[..., object]]:
    """Runs an asset on a copy of the batch without a column of an input; returns what it made."""
    data = copied.data

    @cache
    def job(asset: dg.AssetsDefinition) -> dg.JobDefinition:
        others = [spec for other in ASSETS if other is not asset for spec in other.specs]
        return batch_job(data, copied.simulator.base_url, assets=[asset, *others])

    load, read_parts = WarehouseIOManager.load_input, Warehouse.read_parts
    taken, unread = ("", ""), []

    def load_input(manager: WarehouseIOManager, context: dg.InputContext) -> pl.DataFrame | Rows:
        loaded = load(manager, context)
        if context.name != taken[0]:
            return loaded
        if isinstance(loaded, pl.DataFrame):
            return loaded.drop(taken[1])
        unread.append(loaded)
        return loaded

    def parts(
        warehouse: Warehouse, *wanted: Rows, **settings: object
    ) -> Iterator[tuple[pl.DataFrame, ...]]:
        narrowed = [any(one is rows for rows in unread) for one in wanted]
        for part in read_parts(warehouse, *wanted, **settings):
            yield tuple(
                frame.drop(taken[1]) if narrow else frame
                for frame, narrow in zip(part, narrowed, strict=True)
            )

    monkeypatch.setattr(WarehouseIOManager, "load_input", load_input)
    monkeypatch.setattr(Warehouse, "read_parts", parts)

    def run(asset: dg.AssetsDefinition, name: str, column: str) -> object:
        nonlocal taken
        taken = (name, column)
        unread.clear()
        done = job(asset).execute_in_process(
            partition_key="b1" if asset.partitions_def else None,
            instance=instance,
            raise_on_error=False,
            run_config=QUIET,
        )
        return (_made(asset, data), exports(data)) if done.success else None

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("batch", ["b1"])
        yield run


def _made(asset: dg.AssetsDefinition, data: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of the tables that an asset fills."""
    names = [key.path[-1] for key in asset.keys if key.path[-1] in TABLES]
    return {name: Warehouse(data).read(name).rows() for name in names}


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_an_asset_uses_every_column_it_reads(without, name):
    asset = READERS[name]
    whole = without(asset, "", "")
    assert whole is not None
    unused = [
        f"{column} of {table}"
        for one, (table, columns) in inputs(asset).items()
        for column in columns
        if without(asset, one, column) == whole
    ]
    assert unused == []
