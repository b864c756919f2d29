"""The database: declared tables, writing slices, publishing a copy for readers."""

from autoif_assets.warehouse.batches import (
    Batch,
    Role,
    changed_seeds,
    content_hash,
    excluded_batches,
    find_batch,
    keep_inputs,
    known_batches,
    paid_calls,
    pinned_inputs,
    remove_batch,
    rows_of_batch,
    save_batch,
)
from autoif_assets.warehouse.errors import (
    SchemaMismatch,
    WarehouseError,
    WarehouseLocked,
    WrongVersion,
)
from autoif_assets.warehouse.lake import LakeWarehouse
from autoif_assets.warehouse.maintenance import maintain
from autoif_assets.warehouse.moving import to_lake, to_local
from autoif_assets.warehouse.opening import STORAGES, lake_place, open_warehouse
from autoif_assets.warehouse.policies import (
    Policy,
    find_policy,
    known_policies,
    register_policy,
)
from autoif_assets.warehouse.publishing import open_published
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
    "STORAGES",
    "TABLES",
    "Batch",
    "Column",
    "ForeignKey",
    "LakeWarehouse",
    "Partition",
    "Policy",
    "Role",
    "Rows",
    "SchemaMismatch",
    "Table",
    "Warehouse",
    "WarehouseError",
    "WarehouseLocked",
    "WrongVersion",
    "changed_seeds",
    "content_hash",
    "empty_frame",
    "excluded_batches",
    "find_batch",
    "find_policy",
    "keep_inputs",
    "known_batches",
    "known_policies",
    "lake_place",
    "maintain",
    "open_published",
    "open_warehouse",
    "paid_calls",
    "pinned_inputs",
    "polars_schema",
    "register_policy",
    "remove_batch",
    "rows_of_batch",
    "save_batch",
    "to_lake",
    "to_local",
]
