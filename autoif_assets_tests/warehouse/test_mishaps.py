"""Full disks, folders without write access, files that were moved, and clocks that are wrong."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from autoif_assets.warehouse import TABLES, Warehouse, WarehouseError, migrations, publishing
from autoif_assets.warehouse.migrations import Migration, all_migrations

from .samples import sample

pytestmark = pytest.mark.slow

QUERIES = TABLES["augmented_queries"]
COUNT = f"SELECT count(*) FROM autoif.{QUERIES.name}"


def write(warehouse: Warehouse, rows: int, batch: str = "b1") -> None:
    warehouse.write(QUERIES.name, sample(QUERIES, rows, batch=batch), {"batch": batch})


def published(warehouse: Warehouse) -> int:
    with duckdb.connect(warehouse.published_path, read_only=True) as con:
        return con.execute(COUNT).fetchall()[0][0]


def mounted(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk takes root and the right to mount")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A folder that holds 8 MB, and 2 more once the file ballast is deleted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(folder, "size=10m")
    (folder / "ballast").write_bytes(bytes(2_000_000))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


FULL = r"the disk of .*disk ran full \(.* free now\). Free some space and run the step again"


@pytest.mark.parametrize("way", ["write", "write_frames"])
def test_a_full_disk_loses_nothing_and_is_told(small_disk, way):
    warehouse = Warehouse(small_disk)
    write(warehouse, 100)
    # Texts that do not compress: each row takes some 800 bytes.
    big = sample(QUERIES, 20_000, batch="b1").with_columns(
        prompt=pl.Series([os.urandom(400).hex() for _ in range(20_000)])
    )
    with pytest.raises(WarehouseError, match=FULL):
        if way == "write":
            warehouse.write(QUERIES.name, big, {"batch": "b1"})
        else:
            warehouse.write_frames(QUERIES.name, big.iter_slices(2_000), {"batch": "b1"})
    assert open_files(warehouse) == []
    assert not list(small_disk.glob(".stream-*"))
    assert warehouse.read(QUERIES.name).height == 100
    (small_disk / "ballast").unlink()
    write(warehouse, 200)
    assert warehouse.read(QUERIES.name).height == 200


def test_a_disk_that_fills_while_publishing_keeps_the_old_copy(small_disk):
    warehouse = Warehouse(small_disk)
    write(warehouse, 100)
    warehouse.publish()
    write(warehouse, 200)
    with (small_disk / "ballast").open("ab") as file:
        file.write(bytes(shutil.disk_usage(small_disk).free - 200_000))
    with pytest.raises(WarehouseError, match=FULL):
        warehouse.publish()
    assert published(warehouse) == 100
    assert not list(small_disk.glob(".*partial"))
    (small_disk / "ballast").unlink()
    assert warehouse.publish()
    assert published(warehouse) == 200


def test_a_disk_that_fills_while_upgrading_keeps_the_old_version(small_disk, monkeypatch):
    warehouse = Warehouse(small_disk)
    texts = pl.Series([os.urandom(400).hex() for _ in range(5_000)])
    frame = sample(QUERIES, 5_000, batch="b1").with_columns(prompt=texts)
    warehouse.write(QUERIES.name, frame, {"batch": "b1"})
    table = f"autoif.{QUERIES.name}"
    upgrade = Migration(
        len(all_migrations()) + 1,
        "9999_copy",
        f"ALTER TABLE {table} ADD COLUMN copy VARCHAR; UPDATE {table} SET copy = repeat(prompt, 8)",
    )
    with monkeypatch.context() as patch, pytest.raises(WarehouseError, match=FULL):
        patch.setattr(migrations, "all_migrations", lambda: (*all_migrations(), upgrade))
        warehouse.migrate()
    assert open_files(warehouse) == []
    assert warehouse.read(QUERIES.name).equals(frame)
    assert "copy" not in warehouse.query(f"FROM {table} LIMIT 0").columns


def test_a_read_only_folder_is_told_and_its_copy_can_be_read(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(folder, "size=8m")
    try:
        warehouse = Warehouse(folder)
        write(warehouse, 3)
        warehouse.publish()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        for action in (lambda: write(warehouse, 5), warehouse.migrate, warehouse.publish):
            with pytest.raises(WarehouseError, match=r"Cannot write to the data folder .*Readers"):
                action()
        assert published(warehouse) == 3
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_data_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "data").write_text("notes")
    with pytest.raises(WarehouseError, match="data must be a folder, but a file is in the way"):
        write(Warehouse(tmp_path / "data"), 1)


def test_a_copy_of_the_database_is_a_database(tmp_path):
    warehouse = Warehouse(tmp_path / "data")
    write(warehouse, 3)
    elsewhere = Warehouse(tmp_path / "copy")
    elsewhere.data_dir.mkdir()
    shutil.copy(warehouse.path, elsewhere.path)
    write(elsewhere, 5)
    elsewhere.publish()
    assert warehouse.read(QUERIES.name).height == 3
    assert published(elsewhere) == 5


def test_a_lost_database_is_not_begun_anew_over_its_copy_but_restored_from_it(tmp_path):
    warehouse = Warehouse(tmp_path)
    write(warehouse, 3)
    warehouse.publish()
    with pytest.raises(WarehouseError, match="nothing is restored"):
        warehouse.restore()
    modified = warehouse.path.stat().st_mtime
    warehouse.path.unlink()
    # Of the lost file: replayed onto another it would corrupt it.
    warehouse.path.with_name("pipeline.duckdb.wal").write_bytes(b"of the lost file")
    warehouse.path.with_name("pipeline.duckdb.undo").write_bytes(bytes(20_000))
    for _ in range(2):
        with pytest.raises(WarehouseError, match=r"`autoif restore` makes the database"):
            write(warehouse, 2, "b2")
        with pytest.raises(WarehouseError, match="is gone, but"):
            warehouse.check_not_lost()
        assert not warehouse.path.exists()
    assert warehouse.publish() is False
    assert published(warehouse) == 3
    assert warehouse.restore().timestamp() == pytest.approx(modified)
    assert warehouse.read(QUERIES.name).height == 3
    write(warehouse, 2, "b2")
    assert warehouse.publish() is True
    assert published(warehouse) == 5


@pytest.mark.parametrize("damage", ["cut", "another"])
def test_a_damaged_database_is_told_and_can_be_restored(tmp_path, damage):
    """Before: 64 lines, with a traceback."""
    warehouse = Warehouse(tmp_path)
    write(warehouse, 3)
    warehouse.publish()
    whole = warehouse.path.read_bytes()
    warehouse.path.write_bytes(whole[: len(whole) // 4] if damage == "cut" else b"a note" * 9000)
    damaged = warehouse.path.read_bytes()
    with pytest.raises(WarehouseError, match=r"cannot be read .* autoif restore") as told:
        write(warehouse, 2, "b2")
    assert str(warehouse.path) in str(told.value) and "\n" not in str(told.value)
    assert warehouse.path.read_bytes() == damaged
    assert published(warehouse) == 3
    warehouse.path.rename(tmp_path / "damaged")
    warehouse.restore()
    write(warehouse, 2, "b2")
    assert warehouse.read(QUERIES.name).height == 5


def test_without_its_copy_a_database_begins_anew(tmp_path):
    warehouse = Warehouse(tmp_path)
    warehouse.check_not_lost()
    with pytest.raises(WarehouseError, match="no copy to restore from"):
        warehouse.restore()
    write(warehouse, 3)
    assert warehouse.read(QUERIES.name).height == 3


@pytest.mark.parametrize("seconds", [-1e9, 0, 1e9])
def test_a_wrong_clock_does_not_hide_a_change(tmp_path, seconds):
    warehouse = Warehouse(tmp_path)
    for _ in range(4):  # Then the file's size repeats with every second write.
        write(warehouse, 3)
    now = time.time()
    os.utime(warehouse.path, (now, now))
    assert warehouse.publish() is True
    assert warehouse.publish() is False
    size = warehouse.path.stat().st_size
    for _ in range(2):
        warehouse.write(QUERIES.name, sample(QUERIES, 3, "x", batch="b1"), {"batch": "b1"})
    os.utime(warehouse.path, (now + seconds, now + seconds))
    assert warehouse.path.stat().st_size == size
    assert warehouse.publish() is True
    with duckdb.connect(warehouse.published_path, read_only=True) as con:
        found = con.execute(f"SELECT min(prompt_id) FROM autoif.{QUERIES.name}").fetchall()
    assert found == [("x0000",)]


@pytest.mark.parametrize(
    ("written_ago_s", "pause"), [(-1e6, 10.0), (0.0, 10.0), (4.0, 6.0), (11.0, 0.0)]
)
def test_copies_follow_each_other_no_faster_than_asked(tmp_path, monkeypatch, written_ago_s, pause):
    copy = tmp_path / "warehouse.duckdb"
    copy.write_bytes(bytes(1000))
    now = copy.stat().st_ctime + written_ago_s
    monkeypatch.setattr(publishing.time, "time", lambda: now)
    monkeypatch.setattr(publishing, "_has_reflinks", lambda folder: False)
    assert publishing.pause_s(copy, 10e6) == pytest.approx(pause)
    assert publishing.pause_s(copy, 0) == 0
    assert publishing.pause_s(copy, 1e12) <= 300
    assert publishing.pause_s(tmp_path / "nothing", 1e12) == 0
    monkeypatch.setattr(publishing, "_has_reflinks", lambda folder: True)
    assert publishing.pause_s(copy, 10e6) == 0


def test_a_run_that_ends_soon_after_another_publishes_after_a_pause(tmp_path, monkeypatch):
    said, slept = [], []
    warehouse = Warehouse(tmp_path, log=said.append)
    monkeypatch.setattr(publishing, "_has_reflinks", lambda folder: False)
    monkeypatch.setattr(time, "sleep", slept.append)
    write(warehouse, 3)
    assert warehouse.publish(1e9) is True
    assert slept == []
    write(warehouse, 5)
    assert warehouse.publish(1e9) is True
    assert slept == [pytest.approx(300, abs=30)]
    assert any("Publishing in" in line for line in said)
    assert published(warehouse) == 5


def open_files(warehouse: Warehouse) -> list[str]:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    names = [str(link.readlink()) for link in links if link.exists()]
    return [name for name in names if name.startswith(str(warehouse.data_dir))]


def test_no_file_stays_open(tmp_path):
    warehouse = Warehouse(tmp_path)
    write(warehouse, 3)
    warehouse.read(QUERIES.name)
    warehouse.query(COUNT)
    warehouse.publish()
    assert open_files(warehouse) == []
    for wrong in ("SELECT nothing", "SELECT error('no')", "DROP TABLE autoif.responses"):
        with pytest.raises(duckdb.Error):
            warehouse.query(wrong)
        assert open_files(warehouse) == []
