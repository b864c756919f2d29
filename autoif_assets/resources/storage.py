"""The warehouse that the settings name, for what is no run: commands, schedules, the API."""

from pathlib import Path

from autoif_assets.resources.settings import settings
from autoif_assets.warehouse import Warehouse, lake_place, open_warehouse


def configured_warehouse(data_dir: Path | str | None = None) -> Warehouse:
    """Return the warehouse of the settings.

    Args:
        data_dir: The data folder in the place of that of the settings.

    Raises:
        WarehouseError: The settings of the lake cannot be used.
    """
    found = settings()
    folder = Path(found.data if data_dir is None else data_dir).expanduser().absolute()
    return open_warehouse(folder, lake_place(found.storage, found.lake_catalog, found.lake_data))
