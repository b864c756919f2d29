"""Which kind of warehouse it is: the one place that knows both."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.lake import LakeWarehouse
from autoif_assets.warehouse.lake_connection import LakePlace, password_problem
from autoif_assets.warehouse.store import LOCK_TIMEOUT_S, Warehouse

STORAGES = ("local", "lake")
_LOG = logging.getLogger(__name__)


def lake_place(storage: str, catalog: str | None, data: str | None) -> LakePlace | None:
    """Return where the lake is that the settings name; None where they say ``local``.

    Raises:
        WarehouseError: They do not say all, or say what they must not.
    """
    if storage not in STORAGES:
        raise WarehouseError(f"AUTOIF_STORAGE is {storage!r}; write {' or '.join(STORAGES)}.")
    if storage == "local":
        return None
    named = {"AUTOIF_LAKE_CATALOG": catalog, "AUTOIF_LAKE_DATA": data}
    if missing := [name for name, value in named.items() if not value]:
        raise WarehouseError(
            f"AUTOIF_STORAGE is lake, but {' and '.join(missing)} say nothing: where PostgreSQL "
            "is (host=… dbname=…), and where the files go (s3://bucket/folder or a shared folder)."
        )
    if problem := password_problem(str(catalog)):
        raise WarehouseError(f"AUTOIF_LAKE_CATALOG cannot be used: {problem}.")
    # Each process would look for it from where it was started.
    if not re.match("s3://.|/|~", str(data)):
        raise WarehouseError(
            f"AUTOIF_LAKE_DATA is {data!r}; write s3://bucket/folder or the whole path of a folder."
        )
    return LakePlace(str(catalog), str(data))


def open_warehouse(
    data_dir: Path | str,
    lake: LakePlace | None = None,
    *,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    log: Callable[[str], None] = _LOG.info,
) -> Warehouse:
    """Return the warehouse of a data folder, or of a lake whose files in transit are there."""
    if lake is None:
        return Warehouse(data_dir, lock_timeout_s=lock_timeout_s, log=log)
    return LakeWarehouse(lake, data_dir, lock_timeout_s=lock_timeout_s, log=log)
