"""Several processes on one data folder, and processes that are killed."""

import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from autoif_assets.warehouse import Warehouse

from .worker import ROWS, TABLE, write

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def start(what: str, folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "autoif_assets_tests.warehouse.worker",
            what,
            str(folder),
            name,
            str(count),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_whole(path: Path) -> None:
    with duckdb.connect(path, read_only=True) as con:
        found = con.execute(
            f"SELECT count(*), count(DISTINCT split_part(prompt_id, '-', 1)) "
            f"FROM autoif.{TABLE.name} GROUP BY batch"
        ).fetchall()
    assert all(row == (ROWS, 1) for row in found), found


def test_two_writers_and_a_reader_do_not_disturb_each_other(tmp_path):
    reader = start("watch", tmp_path, "reader", 6)
    writers = [start("write", tmp_path, name, 15) for name in ("b1", "it's b2")]
    for process in (*writers, reader):
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert out
    assert Warehouse(tmp_path).read(TABLE.name).height == 2 * ROWS


@pytest.mark.parametrize("attempt", range(4))
def test_a_killed_writer_leaves_each_partition_old_or_new(tmp_path, attempt):
    write(Warehouse(tmp_path), "other", 1)
    process = start("write", tmp_path, "b1", 1000)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(random.Random(attempt).uniform(0, 0.2))
    process.kill()
    process.wait()
    warehouse = Warehouse(tmp_path, lock_timeout_s=10)
    assert warehouse.read(TABLE.name).group_by("batch").len()["len"].to_list() == [ROWS, ROWS]
    check_whole(warehouse.path)
    check_whole(warehouse.published_path)
    write(warehouse, "b1", 1)
    warehouse.publish()
    check_whole(warehouse.published_path)
