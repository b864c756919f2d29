"""The warehouse that the settings name, for what is no run: commands, schedules, the API."""

from pathlib import Path

from autoif_assets.datasets import fetch_dataset
from autoif_assets.resources.settings import settings
from autoif_assets.warehouse import Warehouse, lake_place, open_warehouse
from autoif_assets.warehouse.store import LOCK_TIMEOUT_S


def exported(warehouse: Warehouse, name: str) -> Path:
    """Return the folder of an export, which other machines may have made, on this machine.

    Args:
        warehouse: Whose export it is.
        name: ``sft``, ``preference``, ``kto``, ``reward`` or ``online/POLICY``, the policy as its
            folder is named.
    """
    exports = warehouse.data_dir / "exports"
    if warehouse.objects is not None:
        fetch_dataset(warehouse.objects, exports, name)
    return exports / name


def configured_warehouse(
    data_dir: Path | str | None = None, *, lock_timeout_s: float = LOCK_TIMEOUT_S
) -> Warehouse:
    """Return the warehouse of the settings.

    Args:
        data_dir: The data folder in the place of that of the settings.
        lock_timeout_s: Seconds to wait for other processes that use the database.

    Raises:
        WarehouseError: The settings of the lake cannot be used.
    """
    found = settings()
    folder = Path(found.data if data_dir is None else data_dir).expanduser().absolute()
    place = lake_place(found.storage, found.lake_catalog, found.lake_data)
    return open_warehouse(folder, place, lock_timeout_s=lock_timeout_s)
