"""What a separate process does to a data folder: ``python worker.py WHAT FOLDER NAME COUNT``."""

import sys
import time

import duckdb

from autoif_assets.warehouse import TABLES, Warehouse

from .samples import sample

TABLE = TABLES["augmented_queries"]
ROWS = 200


def write(warehouse: Warehouse, batch: str, count: int) -> None:
    """Overwrite one partition again and again, each time with another tag in every row."""
    for generation in range(count):
        frame = sample(TABLE, ROWS, f"g{generation}-", batch=batch)
        warehouse.write(TABLE.name, frame, {"batch": batch})
        print(generation, flush=True)
        warehouse.publish()


def watch(warehouse: Warehouse, name: str, count: int) -> None:
    """Read the published copy in a loop; a partition must be there whole, of one generation."""
    end, reads = time.monotonic() + count, 0
    while time.monotonic() < end:
        if not warehouse.published_path.exists():
            continue
        with duckdb.connect(warehouse.published_path, read_only=True) as con:
            found = con.execute(
                f"SELECT batch, count(*), count(DISTINCT split_part(prompt_id, '-', 1)) "
                f"FROM autoif.{TABLE.name} GROUP BY batch"
            ).fetchall()
        assert all(row[1:] == (ROWS, 1) for row in found), found
        reads += 1
    print(reads, flush=True)


if __name__ == "__main__":
    what, folder, name, count = sys.argv[1:]
    {"write": write, "watch": watch}[what](Warehouse(folder), name, int(count))
