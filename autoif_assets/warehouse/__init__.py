"""The database: declared tables, writing slices, publishing a copy for readers."""

from typing import TYPE_CHECKING

from autoif_assets.warehouse.columns import empty_frame, polars_schema
from autoif_assets.warehouse.errors import (
    SchemaMismatch,
    WarehouseError,
    WarehouseLocked,
    WrongVersion,
)
from autoif_assets.warehouse.policies import (
    Policy,
    find_policy,
    known_policies,
    register_policy,
)
from autoif_assets.warehouse.reference import reference
from autoif_assets.warehouse.selection import Rows
from autoif_assets.warehouse.slices import Partition
from autoif_assets.warehouse.store import Warehouse
from autoif_assets.warehouse.tables import SCHEMA, TABLES, Column, ForeignKey, Table

if TYPE_CHECKING:
    from autoif_assets.warehouse.io_manager import (
        WarehouseIOManager,
        WarehouseResource,
        table_schema,
    )

__all__ = [
    "SCHEMA",
    "TABLES",
    "Column",
    "ForeignKey",
    "Partition",
    "Policy",
    "Rows",
    "SchemaMismatch",
    "Table",
    "Warehouse",
    "WarehouseError",
    "WarehouseIOManager",
    "WarehouseLocked",
    "WarehouseResource",
    "WrongVersion",
    "empty_frame",
    "find_policy",
    "known_policies",
    "polars_schema",
    "reference",
    "register_policy",
    "table_schema",
]

_NEED_DAGSTER = ("WarehouseIOManager", "WarehouseResource", "table_schema")


def __getattr__(name: str) -> object:
    """Import what needs Dagster only when it is asked for: that takes seconds."""
    if name in _NEED_DAGSTER:
        from autoif_assets.warehouse import io_manager

        return getattr(io_manager, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
