"""Both kinds of warehouse for one test: ``@pytest.fixture(params=BACKENDS)``."""

from pathlib import Path

import pytest

from autoif_assets.warehouse import Warehouse
from autoif_assets.warehouse.lake import LakeWarehouse

BACKENDS = ["local", pytest.param("lake", marks=pytest.mark.lake)]


def new_warehouse(request: pytest.FixtureRequest, folder: Path) -> Warehouse:
    """Return an empty warehouse of the kind that the fixture's parameter names."""
    if request.param == "local":
        return Warehouse(folder)
    server = request.getfixturevalue("catalogs")
    return LakeWarehouse(server.made(folder / "files"), folder)


def copy_of(request: pytest.FixtureRequest, warehouse: Warehouse, folder: Path) -> Warehouse:
    """Return a warehouse of the same kind with the same rows, which the test may change."""
    if not isinstance(warehouse, LakeWarehouse):
        folder.mkdir(exist_ok=True)
        (folder / warehouse.path.name).write_bytes(warehouse.path.read_bytes())
        return Warehouse(folder)
    server = request.getfixturevalue("catalogs")
    return LakeWarehouse(server.copied(warehouse.place), folder)
