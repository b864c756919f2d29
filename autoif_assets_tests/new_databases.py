"""New database files as copies of one: to make it, with its hundreds of comments, takes 0.4 s."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autoif_assets.warehouse import Warehouse, database, migrations


@contextmanager
def copying(folder: Path) -> Iterator[None]:
    """Copy new files of this process from one in ``folder``, as long as the context lasts.

    Who patches the migrations gets those, and other processes make their files themselves.
    """
    attach = database.Database._attach
    warehouse = Warehouse(folder)
    made: list[Any] = []

    def attached(self: database.Database, *given: Any) -> None:
        if self.path != warehouse.path and not self.path.exists():
            version = (migrations.all_migrations(), migrations.definitions())
            if not made:
                warehouse.migrate()
                made.append(version)
            if made == [version]:
                shutil.copyfile(warehouse.path, self.path)
        attach(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database.Database, "_attach", attached)
        yield
