"""Several processes on one data folder, and processes that are killed."""

import os
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from autoif_assets.warehouse import Warehouse
from autoif_assets.warehouse import migrations as module
from autoif_assets.warehouse.database import Undo

from .worker import RELEASED, ROWS, TABLE, upgraded, write

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("AUTOIF_TEST_KILLS", "3"))
"""Random moments at which each kind of work is killed; a release is tried at 34 of each."""

ROOT = Path(__file__).resolve().parents[2]
WORKER = [sys.executable, "-m", "autoif_assets_tests.warehouse.worker"]


def start(what: str, folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*WORKER, what, str(folder), name, str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed_while(what: str, folder: Path, attempt: int) -> int:
    """Kill a worker at a random moment; return the last number it said it was done with."""
    process = start(what, folder, "b1", 10_000)
    assert process.stdout is not None
    last = process.stdout.readline()
    assert last, process.communicate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(random.Random(f"{what} {attempt}").uniform(0, 0.3))
    process.kill()
    said = process.communicate()[0].splitlines(keepends=True)
    # A kill can cut the last line short.
    return int([line for line in [last, *said] if line.endswith("\n")][-1])


def generation_of(path: Path) -> int:
    """Return the one generation of all rows of batch b1, after checking that b0 is there too."""
    with duckdb.connect(path, read_only=True) as con:
        found = con.execute(
            f"SELECT batch, count(*), count(DISTINCT split_part(prompt_id, '-', 1)), "
            f"any_value(split_part(prompt_id, '-', 1)) FROM autoif.{TABLE.name} GROUP BY ALL "
            f"ORDER BY batch"
        ).fetchall()
    assert [row[:3] for row in found] == [("b0", ROWS, 1), ("b1", ROWS, 1)], found
    return int(found[1][3].removeprefix("g"))


def test_two_writers_and_a_reader_do_not_disturb_each_other(tmp_path):
    reader = start("watch", tmp_path, "reader", 6)
    writers = [start("publish", tmp_path, name, 15) for name in ("b1", "it's b2")]
    for process in (*writers, reader):
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert out
    assert Warehouse(tmp_path).read(TABLE.name).height == 2 * ROWS


@pytest.mark.parametrize("attempt", range(KILLS))
def test_a_killed_writer_leaves_each_partition_old_or_new(tmp_path, attempt):
    warehouse = Warehouse(tmp_path, lock_timeout_s=10)
    write(warehouse, "b0", 1)
    done = killed_while("write", tmp_path, attempt)
    assert warehouse.read(TABLE.name, {"batch": "b1"}).height == ROWS
    assert generation_of(warehouse.path) in (done, done + 1)
    write(warehouse, "b1", 1)
    assert generation_of(warehouse.path) == 0
    assert not list(tmp_path.glob(".stream-*"))


@pytest.mark.parametrize("attempt", range(KILLS))
def test_a_killed_publisher_leaves_an_old_or_a_new_copy(tmp_path, attempt):
    warehouse = Warehouse(tmp_path, lock_timeout_s=10)
    write(warehouse, "b0", 1)
    done = killed_while("publish", tmp_path, attempt)
    assert generation_of(warehouse.published_path) in (done, done + 1)
    warehouse.publish()
    assert warehouse.read(TABLE.name, {"batch": "b1"}).height == ROWS
    assert generation_of(warehouse.published_path) == generation_of(warehouse.path) >= done
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize("attempt", range(KILLS))
def test_a_killed_migration_leaves_a_whole_version(tmp_path, monkeypatch, attempt):
    warehouse = Warehouse(tmp_path, lock_timeout_s=10)
    write(warehouse, "b0", 1)
    done = killed_while("migrate", tmp_path, attempt)
    Undo(warehouse.path).recover()  # as opening does; this version would refuse the newer tables
    known = (*RELEASED, *(upgraded(number) for number in range(len(RELEASED) + 1, done + 2)))
    with duckdb.connect(warehouse.path) as con:
        version = con.execute("SELECT max(number) FROM autoif.migrations").fetchall()[0][0]
        columns = con.sql(f"FROM autoif.{TABLE.name}").columns
    assert version in (done, done + 1)
    added = [name for name in columns if name.startswith("added_")]
    assert added == [f"added_{number}" for number in range(len(RELEASED) + 1, version + 1)]
    monkeypatch.setattr(module, "all_migrations", lambda: known)
    warehouse.migrate()
    found = warehouse.query(f"SELECT DISTINCT added_{done + 1} AS a FROM autoif.{TABLE.name}")
    assert found["a"].to_list() == ["after"]
    assert warehouse.read(TABLE.name).height == ROWS


MATERIALIZE = """
import sys
import dagster as dg
from autoif_assets.resources import WarehouseIOManager, WarehouseResource
from autoif_assets.warehouse import TABLES
from autoif_assets_tests.warehouse.worker import ROWS, TABLE, sample

batches = dg.DynamicPartitionsDefinition(name="batch")

@dg.asset(partitions_def=batches)
def augmented_queries(context: dg.AssetExecutionContext):
    return sample(TABLE, ROWS, "g0-", batch=context.partition_key)

warehouse = WarehouseResource(data_dir=sys.argv[1])
with dg.instance_for_test(temp_dir=sys.argv[2]) as instance:
    for number in range(6):
        batch = f"{'own ' + sys.argv[3] if number % 2 else 'common'} {number}"
        instance.add_dynamic_partitions("batch", [batch])
        resources = {"io_manager": WarehouseIOManager(warehouse=warehouse)}
        dg.materialize(
            [augmented_queries], resources=resources, instance=instance, partition_key=batch
        )
"""


@pytest.mark.long
def test_two_dagster_instances_share_a_data_folder(tmp_path):
    data = tmp_path / "data"
    processes = []
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir()
        command = [sys.executable, "-c", MATERIALIZE, str(data), str(home), name]
        processes.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    for process in processes:
        errors = process.communicate(timeout=180)[1]
        assert process.returncode == 0, errors
    counts = dict(Warehouse(data).read(TABLE.name).group_by("batch").len().rows())
    own = {f"own {name} {number}": ROWS for name in ("one", "two") for number in (1, 3, 5)}
    assert counts == own | {f"common {number}": ROWS for number in (0, 2, 4)}
    with duckdb.connect(data / "warehouse.duckdb", read_only=True) as con:
        found = con.execute(f"SELECT count(*) FROM autoif.{TABLE.name}").fetchall()
    assert found == [(9 * ROWS,)]


def test_a_process_that_used_the_warehouse_ends_in_silence(tmp_path):
    ended = subprocess.run(
        [*WORKER, "publish", str(tmp_path), "b1", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
