"""A file whose metadata a kill has torn opens as it was before the transaction."""

import os
import shutil
import threading
import time

import duckdb
import pytest

from autoif_assets.warehouse import TABLES, Warehouse
from autoif_assets.warehouse.database import HEADERS

from .samples import sample

QUERIES = TABLES["augmented_queries"]
BLOCK = 1 << 18


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    warehouse = Warehouse(tmp_path)
    write(warehouse, 3)
    return warehouse


def write(warehouse: Warehouse, rows: int) -> None:
    warehouse.write(QUERIES.name, sample(QUERIES, rows, batch="b1"), {"batch": "b1"})


def saved(warehouse: Warehouse) -> bytes:
    """Return what is put aside before a transaction; afterwards it is gone."""
    path = warehouse.path.with_name("pipeline.duckdb.undo")
    with warehouse._database.connection("a test", writes=True):
        found = path.read_bytes()
    assert not path.exists()
    return found


def tear(warehouse: Warehouse, put_aside: bytes) -> None:
    """Overwrite the first half of each block that was put aside, as a killed checkpoint may."""
    with warehouse.path.open("r+b") as file:
        for start in range(HEADERS, len(put_aside), 8 + BLOCK):
            number = int.from_bytes(put_aside[start : start + 8], "little")
            file.seek(HEADERS + number * BLOCK)
            file.write(bytes(range(256)) * (BLOCK // 512))


def test_a_torn_checkpoint_is_undone(warehouse, tmp_path):
    put_aside = saved(warehouse)
    tear(warehouse, put_aside)
    copy = shutil.copy(warehouse.path, tmp_path / "copy.duckdb")
    with pytest.raises(duckdb.Error, match="Corrupt database file"):
        duckdb.connect(copy)
    left = warehouse.path.with_name("pipeline.duckdb.undo")
    left.write_bytes(put_aside)
    assert warehouse.read(QUERIES.name).height == 3
    assert not left.exists()
    write(warehouse, 5)
    warehouse.publish()
    with duckdb.connect(warehouse.published_path, read_only=True) as con:
        assert con.execute(f"SELECT count(*) FROM autoif.{QUERIES.name}").fetchall() == [(5,)]


def test_a_checkpoint_that_ended_is_not_undone(warehouse):
    put_aside = saved(warehouse)
    write(warehouse, 5)
    warehouse.path.with_name("pipeline.duckdb.undo").write_bytes(put_aside)
    assert warehouse.read(QUERIES.name).height == 5
    write(warehouse, 2)
    assert warehouse.read(QUERIES.name).height == 2


def test_the_lock_is_held_until_the_file_is_closed(warehouse):
    """DuckDB closes files in threads of its own, and others copy them under the lock."""
    descriptor, closed = os.open(warehouse.path, os.O_RDONLY), []

    def close():
        time.sleep(0.2)
        # Told before, for afterwards the other thread may have gone on.
        closed.append(True)
        os.close(descriptor)

    thread = threading.Thread(target=close)
    with warehouse._database.connection("a test"):
        thread.start()
    assert closed
    thread.join()
