"""What a separate process does to a data folder: ``python worker.py WHAT FOLDER NAME COUNT``."""

import os
import sys
import time

from autoif_assets.warehouse import (
    TABLES,
    Warehouse,
    lake_place,
    open_published,
    open_warehouse,
)
from autoif_assets.warehouse import migrations as module
from autoif_assets.warehouse.migrations import Migration, all_migrations

from .samples import sample

TABLE = TABLES["augmented_queries"]
ROWS = 200
RELEASED = all_migrations()


def _opened(folder: str) -> Warehouse:
    """Return the warehouse of the folder, or the lake that the environment names."""
    named = ("AUTOIF_STORAGE", "AUTOIF_LAKE_CATALOG", "AUTOIF_LAKE_DATA")
    storage, *place = map(os.environ.get, named)
    return open_warehouse(folder, lake_place(storage or "local", *place))


def write(warehouse: Warehouse, batch: str, count: int) -> None:
    """Overwrite one partition again and again, each time with another tag in every row."""
    for generation in range(count):
        frame = sample(TABLE, ROWS, f"g{generation}-", batch=batch)
        if generation % 2:
            warehouse.write(TABLE.name, frame, {"batch": batch})
        else:
            warehouse.write_frames(TABLE.name, [frame[:50], frame[50:]], {"batch": batch})
        print(generation, flush=True)


def publish(warehouse: Warehouse, batch: str, count: int) -> None:
    """The same, published each time."""
    for generation in range(count):
        frame = sample(TABLE, ROWS, f"g{generation}-", batch=batch)
        warehouse.write(TABLE.name, frame, {"batch": batch})
        warehouse.publish()
        print(generation, flush=True)


def upgraded(number: int) -> Migration:
    """Return a migration that adds a column ``added_<number>`` and fills it."""
    table = f"autoif.{TABLE.name}"
    return Migration(
        number,
        f"{number:04}_added",
        f"ALTER TABLE {table} ADD COLUMN added_{number} VARCHAR DEFAULT 'before';"
        f"UPDATE {table} SET added_{number} = 'after'",
    )


def migrate(warehouse: Warehouse, name: str, count: int) -> None:
    """Upgrade the tables again and again, one version a time."""
    known = list(RELEASED)
    module.all_migrations = lambda: tuple(known)
    for _ in range(count):
        known.append(upgraded(len(known) + 1))
        warehouse.migrate()
        print(len(known), flush=True)


def watch(warehouse: Warehouse, name: str, count: int) -> None:
    """Read the published copy in a loop; a partition must be there whole, of one generation."""
    end, reads = time.monotonic() + count, 0
    while time.monotonic() < end:
        if not warehouse.published_path.exists():
            continue
        with open_published(warehouse.published_path) as con:
            found = con.execute(
                f"SELECT batch, count(*), count(DISTINCT split_part(prompt_id, '-', 1)) "
                f"FROM autoif.{TABLE.name} GROUP BY batch"
            ).fetchall()
        assert all(row[1:] == (ROWS, 1) for row in found), found
        reads += 1
    print(reads, flush=True)


def share(warehouse: Warehouse, name: str, count: int) -> None:
    """Make slices of one's own, and each time one that others make as well."""
    for number in range(count):
        for batch in ("shared", f"{name} {number}"):
            frame = sample(TABLE, ROWS, f"{name}{number}-", batch=batch)
            warehouse.write(TABLE.name, frame, {"batch": batch})
        print(number, flush=True)


WORK = {"write": write, "publish": publish, "migrate": migrate, "watch": watch, "share": share}

if __name__ == "__main__":
    what, folder, name, count = sys.argv[1:]
    WORK[what](_opened(folder), name, int(count))
