"""Dagster's view of the warehouse: assets are tables, partitions are slices of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dagster as dg
import polars as pl
from pydantic import Field

from autoif_assets.warehouse.errors import WarehouseError
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
        """Publish what the run wrote, also when a step of it failed.

        The run's result does not depend on it: what it wrote is stored, and the next run
        publishes it.
        """
        log = context.log or dg.get_dagster_logger("warehouse")
        try:
            self.open(log.info).publish()
        except WarehouseError as error:
            log.error(f"The copy for readers is out of date. {error}")


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Stores an asset's frame in the table named like the asset, and reads it back.

    Writing replaces the run's partition or partitions, empty frames included. Reading returns
    the partitions the downstream run needs; all of them where it has none. What is read is
    narrowed in the database by the input's metadata::

        @dg.asset(ins={"responses": dg.AssetIn(
            metadata={"columns": ["response_id", "response"], "status": "accepted"})})
        def response_verdicts(responses: pl.DataFrame) -> pl.DataFrame: ...

    For tables that do not fit into memory, ``"together": "prompt_id"`` in the metadata gives an
    iterator of frames instead, in which the rows of a prompt stay in one frame; and an asset may
    return an iterator of frames, such as ``map(judge, responses)``; annotate both with ``Any``,
    since Dagster has no type for them. A generator will not do: Dagster takes what it yields
    for events.
    """

    warehouse: dg.ResourceDependency[WarehouseResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Write the frame an asset returned and say in metadata what it holds."""
        table = _table(context.asset_key)
        keys = context.asset_partition_keys if context.has_asset_partitions else ()
        slices = _partitions(table, keys)
        warehouse = self.warehouse.open(context.log.info)
        tally = _Tally(table)
        if isinstance(obj, pl.DataFrame):
            warehouse.write(table.name, tally.count(obj), partitions=slices)
        elif isinstance(obj, Iterator):
            warehouse.write_frames(table.name, map(tally.count, obj), partitions=slices)
        else:
            raise TypeError(
                f"Asset {context.asset_key.to_user_string()} returned {type(obj).__name__}; the "
                f"warehouse stores a Polars data frame or an iterator of them. Annotate an asset "
                f"that stores nothing with -> None."
            )
        context.add_output_metadata(tally.metadata())

    def load_input(self, context: dg.InputContext) -> pl.DataFrame | Iterator[pl.DataFrame]:
        """Read what the input's metadata asks for of the partitions the run needs."""
        table = _table(context.asset_key)
        wanted = context.definition_metadata or {}
        strange = set(wanted) - {"columns", "status", "together"}
        if strange:
            raise ValueError(
                f"Input {context.name}: the warehouse knows the metadata columns, status and "
                f"together, not {', '.join(sorted(strange))}."
            )
        keys = context.asset_partition_keys if context.has_asset_partitions else None
        slices = None if keys is None else _partitions(table, keys)
        columns, status, together = map(wanted.get, ("columns", "status", "together"))
        warehouse = self.warehouse.open(context.log.info)
        if together is None:
            return warehouse.read(
                table.name, partitions=slices, columns=columns, where_status=status
            )
        return warehouse.read_frames(
            table.name, partitions=slices, columns=columns, where_status=status, together=together
        )


class _Tally:
    """Counts the rows of an output as they pass."""

    def __init__(self, table: Table):
        self._table = table
        self._rows = 0
        self._outcomes: Counter[tuple[str | None, str | None]] = Counter()

    def count(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return ``frame`` as it is. One without status or reason is refused in a moment."""
        self._rows += frame.height
        if self._table.is_gate and {"status", "reason"} <= set(frame.columns):
            for status, reason, rows in frame.group_by("status", "reason").len().rows():
                self._outcomes[status, reason] += rows
        return frame

    def metadata(self) -> dict[str, dg.MetadataValue]:
        """Return the number of rows and, for a gate, the counts by status and reason.

        The columns are not repeated with every run; ``table_schema`` belongs into the asset's
        definition, as ``dagster/column_schema``.
        """
        metadata: dict[str, dg.MetadataValue] = {
            "dagster/row_count": dg.MetadataValue.int(self._rows)
        }
        if self._table.is_gate:
            counts = sorted(self._outcomes.items(), key=lambda item: (str(item[0][0]), -item[1]))
            lines = [f"| {status} | {reason or ''} | {rows} |" for (status, reason), rows in counts]
            table = "\n".join(["| status | reason | rows |", "|---|---|---|", *lines])
            metadata["outcomes"] = dg.MetadataValue.md(table)
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
