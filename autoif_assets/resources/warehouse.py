"""Dagster's view of the warehouse: assets are tables, partitions are slices of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import duckdb
import polars as pl
from dagster_duckdb import DuckDBResource
from pydantic import Field, PrivateAttr

from autoif_assets.resources.metadata import Tally
from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.opening import lake_place, open_warehouse
from autoif_assets.warehouse.reading import Rows
from autoif_assets.warehouse.schema import Partition, Table
from autoif_assets.warehouse.store import LOCK_TIMEOUT_S, Warehouse
from autoif_assets.warehouse.tables import TABLES

PRESENT = "autoif/present"
"""Tag of a run that holds its lock in the lake's catalog while it lives."""


class WarehouseResource(DuckDBResource):
    """Opens the warehouse of a data folder or a lake, and publishes the former when a run ends.

    It is dagster-duckdb's resource with a connection that takes its turn among processes, so that
    people's own assets can read and write beside AutoIF's::

        @dg.asset(deps=["sft_examples"])
        def lengths(warehouse: WarehouseResource) -> None:
            with warehouse.get_connection() as con:
                con.execute("CREATE OR REPLACE TABLE mine AS FROM autoif.sft_examples")
    """

    # The base class has these as settings. The file follows from the folder, and how it is opened
    # is the warehouse's own: as class variables they are in no configuration.
    database: ClassVar[Any] = property(lambda self: self.open().where)  # type: ignore[misc]
    connection_config: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    data_dir: str = Field(description="Folder of pipeline.duckdb and warehouse.duckdb.")
    storage: str = Field(
        default="local", description="local: these files; lake: tables that machines share."
    )
    lake_catalog: str | None = Field(
        default=None, description="The lake's PostgreSQL database, without a password."
    )
    lake_data: str | None = Field(
        default=None, description="Where the lake's files are: s3://bucket/folder or a folder."
    )
    lock_timeout_s: float = Field(
        default=LOCK_TIMEOUT_S,
        description="Seconds to wait for other processes that use the database.",
    )

    _presence: ExitStack = PrivateAttr(default_factory=ExitStack)

    publish_every_s_per_gb: float = Field(
        default=5.0,
        description="Runs that end within this many seconds of a copy for readers, for each GB "
        "of it, wait and share the next; copying takes 1 to 8 seconds a GB, as fast as the disk "
        "writes. Not where the file system has reflinks.",
    )

    def open(self, log: Callable[[str], None] | None = None) -> Warehouse:
        """Return the warehouse; ``log`` is told what it waits for, in sentences."""
        return open_warehouse(
            Path(self.data_dir),
            lake_place(self.storage, self.lake_catalog, self.lake_data),
            lock_timeout_s=self.lock_timeout_s,
            log=log or dg.get_dagster_logger("warehouse").info,
        )

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the open database, which is the process's alone meanwhile, for one transaction.

        The file is made or brought to this version's tables first. What the code in the ``with``
        block did is stored at its end as a whole; nothing of it is where that code fails. Other
        processes wait as long, so compute before or after it, and begin or end no transaction
        in it. Tables are named with their schema: AutoIF's is ``autoif``.

        Raises:
            WarehouseLocked: another process kept the database for ``lock_timeout_s``.
            WarehouseError: the disk is full or not writable; nothing was stored.
        """
        with self.open().transaction("a transaction") as con:
            yield con

    def store(
        self, context: dg.AssetExecutionContext, frames: Iterable[pl.DataFrame]
    ) -> dg.MaterializeResult[None]:
        """Write the running asset's table frame by frame, for more rows than fit into memory.

        The asset returns the result, which describes the rows as the IO manager does.
        """
        table = _table(context.asset_key)
        keys = context.partition_keys if context.assets_def.partitions_def else ()
        tally = Tally(table)
        self.open(context.log.info).write_frames(
            table.name, map(tally.count, frames), partitions=_partitions(table, keys)
        )
        return dg.MaterializeResult(metadata=tally.metadata())

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Tell other machines, where there are any, that the run is alive; see `lost_runs`."""
        if self.storage == "local" or context.run is None or context.instance is None:
            return
        self._presence.enter_context(self.open().presence(context.run.run_id))
        context.instance.add_run_tags(context.run.run_id, {PRESENT: "true"})

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Publish what the run wrote, also when a step of it failed.

        The run's result does not depend on it: what it wrote is stored, and the next run
        publishes it.
        """
        self._presence.close()
        log = context.log or dg.get_dagster_logger("warehouse")
        try:
            self.open(log.info).publish(self.publish_every_s_per_gb)
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

    For tables that do not fit into memory, a parameter annotated ``Rows`` gets the rows unread, and
    ``Warehouse.read_parts`` reads them in parts; ``WarehouseResource.store`` writes in parts.

    It is no ``DuckDBIOManager``, which would come out three times as long for the same behaviour:
    the stock one knows no slices by two dynamic partition dimensions, inserts by position, empties
    and fills a slice in two transactions, and skips empty frames.
    """

    warehouse: dg.ResourceDependency[WarehouseResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Write the frame an asset returned and say in metadata what it holds."""
        table = _table(context.asset_key)
        keys = context.asset_partition_keys if context.has_asset_partitions else ()
        slices = _partitions(table, keys)
        if not isinstance(obj, pl.DataFrame):
            raise TypeError(
                f"Asset {context.asset_key.to_user_string()} returned {type(obj).__name__}; the "
                f"warehouse stores a Polars data frame. Annotate an asset that stores nothing "
                f"with -> None."
            )
        tally = Tally(table)
        warehouse = self.warehouse.open(context.log.info)
        warehouse.write(table.name, tally.count(obj), partitions=slices)
        context.add_output_metadata(tally.metadata())

    def load_input(self, context: dg.InputContext) -> pl.DataFrame | Rows:
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
        slices = None if keys is None else _partitions(table, keys)
        columns, status = wanted.get("columns"), wanted.get("status")
        if context.dagster_type.typing_type is Rows:
            return Rows(table.name, columns, status, slices)
        return self.warehouse.open(context.log.info).read(
            table.name, partitions=slices, columns=columns, where_status=status
        )


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
        constraints=dg.TableConstraints(
            other=[
                f"unique: {', '.join(table.key)}",
                *(
                    f"foreign key: {', '.join(key.columns)} of {' or '.join(key.tables)} "
                    f"({', '.join(key.to)})"
                    for key in table.foreign_keys
                ),
            ]
        ),
    )


def _table(key: dg.AssetKey) -> Table:
    name = key.path[-1]
    if name not in TABLES:
        raise ValueError(
            f"Asset {key.to_user_string()} has no table: autoif_assets/warehouse/tables.py "
            f"declares {', '.join(TABLES)}."
        )
    return TABLES[name]


def keys_of(partition_key: str) -> dict[str, str]:
    """Return the batch, and where there is one the policy, of a run's partition key."""
    if isinstance(partition_key, dg.MultiPartitionKey):
        return dict(partition_key.keys_by_dimension)
    return {"batch": partition_key}


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
