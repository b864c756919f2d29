"""The database: declared tables, writing slices, publishing a copy for readers."""

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
from autoif_assets.warehouse.reading import Rows
from autoif_assets.warehouse.schema import (
    SCHEMA,
    Column,
    ForeignKey,
    Partition,
    Table,
    empty_frame,
    polars_schema,
)
from autoif_assets.warehouse.store import Warehouse
from autoif_assets.warehouse.tables import TABLES

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
    "WarehouseLocked",
    "WrongVersion",
    "empty_frame",
    "find_policy",
    "known_policies",
    "polars_schema",
    "register_policy",
]
