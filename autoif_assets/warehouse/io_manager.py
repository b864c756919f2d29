"""Dagster's view of the warehouse: assets are tables, partitions are slices of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import polars as pl
from pydantic import Field

from autoif_assets.warehouse.slices import Partition
from autoif_assets.warehouse.store import Warehouse
from autoif_assets.warehouse.tables import TABLES, Table


class WarehouseResource(dg.ConfigurableResource["WarehouseResource"]):
    """Opens the warehouse of a data folder, and publishes it when the run ends.

    dagster-duckdb's ``DuckDBResource`` is not used: it opens the file before it could queue,
    retries a locked or mistyped path for 111 seconds in silence, and leaves the connection,
    and with it the lock, open when the code that uses it fails.
    """

    data_dir: str = Field(description="Folder of pipeline.duckdb and warehouse.duckdb.")
    lock_timeout_s: float = Field(
        default=600.0, description="Seconds to wait for other processes that use the database."
    )

    def open(self, log: Callable[[str], None] | None = None) -> Warehouse:
        """Return the warehouse; ``log`` is told what it waits for, in sentences."""
        return Warehouse(
            Path(self.data_dir),
            lock_timeout_s=self.lock_timeout_s,
            log=log or dg.get_dagster_logger("warehouse").info,
        )

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Publish what the run wrote, also when a step of it failed."""
        log = context.log.info if context.log else None
        self.open(log).publish()


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Stores an asset's frame in the table named like the asset, and reads it back.

    Writing replaces the run's partition or partitions, empty frames included. Reading returns
    the partitions the downstream run needs; all of them where it has none. What is read is
    narrowed in the database by the input's metadata::

        @dg.asset(ins={"responses": dg.AssetIn(
            metadata={"columns": ["response_id", "response"], "status": "accepted"})})
        def response_verdicts(responses: pl.DataFrame) -> pl.DataFrame: ...
    """

    warehouse: dg.ResourceDependency[WarehouseResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Write the frame an asset returned and say in metadata what it holds."""
        table = _table(context.asset_key)
        if not isinstance(obj, pl.DataFrame):
            raise TypeError(
                f"Asset {context.asset_key.to_user_string()} returned {type(obj).__name__}; the "
                f"warehouse stores Polars data frames. Annotate an asset that stores nothing "
                f"with -> None."
            )
        keys = context.asset_partition_keys if context.has_asset_partitions else ()
        self.warehouse.open(context.log.info).write(
            table.name, obj, partitions=_partitions(table, keys)
        )
        context.add_output_metadata(output_metadata(table, obj))

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        """Read what the input's metadata asks for of the partitions the run needs."""
        table = _table(context.asset_key)
        wanted = context.definition_metadata or {}
        strange = set(wanted) - {"columns", "status"}
        if strange:
            raise ValueError(
                f"Input {context.name}: the warehouse knows the metadata columns and status, not "
                f"{', '.join(sorted(strange))}."
            )
        keys = context.asset_partition_keys if context.has_asset_partitions else None
        return self.warehouse.open(context.log.info).read(
            table.name,
            partitions=None if keys is None else _partitions(table, keys),
            columns=wanted.get("columns"),
            where_status=wanted.get("status"),
        )


def output_metadata(table: Table, frame: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    """Return the number of rows and, for a gate, the counts by status and reason.

    The columns are not repeated with every run; ``table_schema`` belongs into the asset's
    definition, as ``dagster/column_schema``.
    """
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(frame.height)
    }
    if table.is_gate:
        metadata["outcomes"] = dg.MetadataValue.md(_outcomes(frame))
    return metadata


def table_schema(table: Table) -> dg.TableSchema:
    """Return the declared columns as Dagster shows them in its catalog."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=table.key == (column.name,)
                ),
            )
            for column in table.columns
        ],
        constraints=dg.TableConstraints(other=[f"unique: {', '.join(table.key)}"]),
    )


def _table(key: dg.AssetKey) -> Table:
    name = key.path[-1]
    if name not in TABLES:
        raise ValueError(
            f"Asset {key.to_user_string()} has no table: autoif_assets/warehouse/tables.py "
            f"declares {', '.join(TABLES)}."
        )
    return TABLES[name]


def _partitions(table: Table, keys: Sequence[str]) -> list[Partition]:
    """Return the slices of ``table`` that Dagster's partition keys name."""
    return [
        dict(key.keys_by_dimension)
        if isinstance(key, dg.MultiPartitionKey)
        else {_only_column(table): key}
        for key in keys
    ]


def _only_column(table: Table) -> str:
    if len(table.partitions) != 1:
        raise ValueError(
            f"Table {table.name} is sliced by {', '.join(table.partitions) or 'nothing'}, its "
            f"asset by one partition key: they must match."
        )
    return table.partitions[0]


def _outcomes(frame: pl.DataFrame) -> str:
    counts = (
        frame.group_by("status", "reason").len().sort("status", "len", descending=[False, True])
    )
    rows = [f"| {status} | {reason or ''} | {rows} |" for status, reason, rows in counts.rows()]
    return "\n".join(["| status | reason | rows |", "|---|---|---|", *rows])
