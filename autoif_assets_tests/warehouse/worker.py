"""What a separate process does to a data folder: ``python worker.py WHAT FOLDER NAME COUNT``."""

import sys
import time

from autoif_assets.warehouse import TABLES, Warehouse, open_published
from autoif_assets.warehouse import migrations as module
from autoif_assets.warehouse.migrations import Migration, all_migrations

from .samples import sample

TABLE = TABLES["augmented_queries"]
ROWS = 200
RELEASED = all_migrations()


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


if __name__ == "__main__":
    what, folder, name, count = sys.argv[1:]
    work = {"write": write, "publish": publish, "migrate": migrate, "watch": watch}[what]
    work(Warehouse(folder), name, int(count))
