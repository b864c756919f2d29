"""What only a lake does: many writers, snapshots, maintenance, moving in and out."""

import os
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from autoif_assets.warehouse import (
    TABLES,
    LakeWarehouse,
    Warehouse,
    WarehouseError,
    WarehouseLocked,
    WrongVersion,
    empty_frame,
    maintain,
    to_lake,
    to_local,
)
from autoif_assets.warehouse import migrations as module
from autoif_assets.warehouse.lake import without_not_null
from autoif_assets.warehouse.lake_connection import LakePlace, attached

from .samples import sample
from .worker import RELEASED, ROWS, TABLE, upgraded, write

pytestmark = [pytest.mark.lake, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
WORKER = [sys.executable, "-m", "autoif_assets_tests.warehouse.worker"]
CALLS = TABLES["llm_calls"]


@pytest.fixture
def lake(catalogs, tmp_path) -> LakeWarehouse:
    return LakeWarehouse(catalogs.made(tmp_path / "files"), tmp_path / "transit")


def another(lake: LakeWarehouse, **options) -> LakeWarehouse:
    return LakeWarehouse(lake.place, lake.data_dir, **options)


def start(lake: LakeWarehouse, what: str, name: str, count: int) -> subprocess.Popen[str]:
    named = {
        "AUTOIF_STORAGE": "lake",
        "AUTOIF_LAKE_CATALOG": lake.place.catalog,
        "AUTOIF_LAKE_DATA": lake.place.data,
    }
    return subprocess.Popen(
        [*WORKER, what, str(lake.data_dir), name, str(count)],
        cwd=ROOT,
        env=os.environ | named,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def generations(warehouse: Warehouse) -> dict[str, tuple[int, int]]:
    """Return the number of rows, and of generations they are of, by batch."""
    found = warehouse.query(
        f"SELECT batch, count(*), count(DISTINCT split_part(prompt_id, '-', 1))"
        f" FROM autoif.{TABLE.name} GROUP BY ALL"
    )
    return {batch: (rows, kinds) for batch, rows, kinds in found.iter_rows()}


def test_writers_of_new_and_of_the_same_slices_do_not_disturb_each_other(lake):
    # All begin by making one slice that nobody has made yet.
    processes = [start(lake, "share", f"own {number}", 3) for number in range(4)]
    for process in processes:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert out
    found = generations(lake)
    assert found.pop("shared") == (ROWS, 1)
    assert found == {f"own {w} {i}": (ROWS, 1) for w in range(4) for i in range(3)}


@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_writer_leaves_each_slice_old_or_new(lake, attempt):
    write(lake, "b0", 1)
    process = start(lake, "write", "b1", 10_000)
    assert process.stdout is not None
    assert process.stdout.readline(), process.communicate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(random.Random(attempt).uniform(0, 0.5))
    process.kill()
    process.communicate()
    assert generations(lake) == {"b0": (ROWS, 1), "b1": (ROWS, 1)}
    write(another(lake, lock_timeout_s=20), "b1", 1)
    assert lake.read(TABLE.name, {"batch": "b1"})["prompt_id"].str.starts_with("g0-").all()


def test_waiting_is_told_and_ends(lake):
    said = []
    waiting = another(lake, lock_timeout_s=1.5, log=said.append)
    words = "Gave up writing augmented_queries of batch 'b1' after 2 s: the lake is held by .*tidy"
    with lake.transaction("tidying up"), pytest.raises(WarehouseLocked, match=words):
        waiting.write(TABLE.name, empty_frame(TABLE), {"batch": "b1"})
    assert any("Waiting to start writing augmented_queries" in line for line in said)
    assert waiting.write(TABLE.name, empty_frame(TABLE), {"batch": "b1"}) == 0


def test_what_no_class_of_duckdbs_stands_for_is_told_and_the_next_write_goes_well(lake):
    def insert(con):
        raise RuntimeError("vector::_M_range_check")

    with pytest.raises(WarehouseError, match=r"Failed at writing .* vector::_M.* run the step aga"):
        lake._replace(TABLE, [{"batch": "b1"}], insert)
    write(lake, "b1", 1)
    assert generations(lake) == {"b1": (ROWS, 1)}


def test_a_writer_whose_locks_are_lost_stores_nothing(lake, catalogs):
    with (
        pytest.raises(WarehouseError, match=r"locks for writing.* lost"),
        lake.transaction("writing", [TABLE.name]) as con,
    ):
        con.execute(f"DELETE FROM autoif.{TABLE.name}").fetchall()
        catalogs.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE '%writing'"
        )


def test_what_another_program_changes_meanwhile_is_tried_over(lake):
    """People's own DuckDB knows no locks of ours."""
    write(lake, "b1", 1)
    said = []
    ours = another(lake, log=said.append)
    stranger = attached(lake.place, lake.data_dir)
    stranger.execute(f"BEGIN; DELETE FROM lake.autoif.{TABLE.name} WHERE batch = 'b1'")
    threading.Timer(1.0, lambda: stranger.execute("COMMIT")).start()
    frame = sample(TABLE, 700, "new", batch="b1")

    def slowly():
        yield frame[:300]
        yield frame[300:]

    insert = ours._replace

    def late(table, slices, fill):
        def wait_and_fill(con):
            fill(con)
            time.sleep(1.5 if not said else 0)

        insert(table, slices, wait_and_fill)

    ours._replace = late
    assert ours.write_frames(TABLE.name, slowly(), {"batch": "b1"}) == 700
    stranger.close()
    assert any("again: another writer was faster" in line for line in said)
    assert lake.read(TABLE.name, {"batch": "b1"}).equals(frame.sort(TABLE.key))


def test_text_that_postgresql_cannot_hold_is_kept(lake):
    nasty = ["a\0b", "\0", "�", "\x01\x7f", "new\r\nline", "\\x00", "'; --"]
    frame = sample(CALLS, len(nasty), batch="b1", asset="a").with_columns(
        prompt=pl.Series(nasty), completions=pl.Series([[text, ""] for text in nasty])
    )
    lake.write(CALLS.name, frame, {"batch": "b1", "asset": "a"})
    assert lake.read(CALLS.name, {"batch": "b1"}).equals(frame.sort(CALLS.key))
    maintain(lake, 0, 0, print)
    assert lake.read(CALLS.name).equals(frame.sort(CALLS.key))


def test_maintenance_merges_and_forgets_and_no_row_changes(lake, tmp_path):
    for batch in ("b1", "b2", "b3"):
        lake.write(TABLE.name, sample(TABLE, 900, batch=batch), {"batch": batch})
        lake.write(
            CALLS.name, sample(CALLS, 5, batch=batch, asset="a"), {"batch": batch, "asset": "a"}
        )
    lake.write(TABLE.name, sample(TABLE, 800, "new", batch="b2"), {"batch": "b2"})
    before, then = lake.read(TABLE.name), datetime.now(UTC)
    lake.write(TABLE.name, empty_frame(TABLE), {"batch": "b1"})
    after, calls = lake.read(TABLE.name), lake.read(CALLS.name)
    orphan = tmp_path / "files" / "autoif" / TABLE.name / "ducklake-left.parquet"
    orphan.write_bytes(b"half")

    done = maintain(lake, 7, 0, print)
    assert done.inlined >= 15
    assert done.merged >= 2
    assert (done.snapshots, done.orphans) == (0, 1)
    assert not orphan.exists()
    with lake.reader(then) as con:
        old = pl.DataFrame(con.sql(f"FROM autoif.{TABLE.name}").to_arrow_table())
    assert old.select(before.columns).sort(TABLE.key).equals(before)
    assert lake.read(TABLE.name).equals(after)

    done = maintain(lake, 0, 0, print)
    assert done.snapshots > 0
    assert lake.read(TABLE.name).equals(after)
    assert lake.read(CALLS.name).equals(calls)
    with pytest.raises(WarehouseError, match="no tables then, or that snapshot has expired"):
        lake.reader(then)


def test_a_lake_is_upgraded_as_a_file_is(lake, monkeypatch):
    write(lake, "b1", 1)
    newer = (*RELEASED, upgraded(len(RELEASED) + 1))
    monkeypatch.setattr(module, "all_migrations", lambda: newer)
    said = []
    other = another(lake, log=said.append)
    found = other.query(f"SELECT DISTINCT added_{len(newer)} AS a FROM autoif.{TABLE.name}")
    assert found["a"].to_list() == ["after"]
    assert any("Upgrading the lake" in line for line in said)
    monkeypatch.undo()
    with pytest.raises(WrongVersion, match="Upgrade autoif_assets"):
        lake.read(TABLE.name)


def test_every_migration_can_be_one_of_a_lake(catalogs, tmp_path):
    """A lake begins with today's tables; what comes later must be such that a lake takes it."""
    with attached(catalogs.empty(tmp_path), tmp_path) as con:
        module.migrate(con, "x", print, adapt=without_not_null)
        for table in TABLES.values():
            found = con.sql(f"FROM autoif.{table.name} LIMIT 0")
            assert sorted(found.columns) == sorted(column.name for column in table.columns)


def test_all_rows_move_in_and_out_again(lake, tmp_path, catalogs):
    local = Warehouse(tmp_path / "data")
    for table in TABLES.values():
        partition = dict.fromkeys(table.partitions, "b1")
        frame = sample(table, 3, **partition).unique(table.key)
        local.write(table.name, frame, partition or None)
    local.write(TABLE.name, sample(TABLE, 2_000, batch="b2"), {"batch": "b2"})
    with local.transaction("a table of one's own") as con:
        con.execute("CREATE TABLE mine AS SELECT 1 AS a").fetchall()
    said = []
    rows = to_lake(local, lake, said.append)
    assert rows[TABLE.name] == 2_003
    assert said == ["Not copied, for they are not AutoIF's: main.mine."]
    with pytest.raises(WarehouseError, match="has rows, such as in"):
        to_lake(local, lake, said.append)
    with pytest.raises(WarehouseError, match="is there, and nothing is written over it"):
        to_local(lake, local, said.append)
    back = Warehouse(tmp_path / "back")
    assert to_local(lake, back, said.append) == rows
    for table in TABLES:
        assert back.read(table).equals(local.read(table)), table
    assert back.published_path.exists()
    assert not list(back.data_dir.glob(".migrating-*"))


def test_tables_are_exported_as_those_of_a_file_are(lake, tmp_path):
    lake.write(TABLE.name, sample(TABLE, 5, batch="b1"), {"batch": "b1"})
    counts = lake.export_parquet(tmp_path / "out")
    assert counts[TABLE.name] == 5
    found = pl.read_parquet(tmp_path / "out" / TABLE.name / "*.parquet")
    assert found.equals(lake.read(TABLE.name))


def test_nothing_is_there_before_the_first_write(catalogs, tmp_path):
    new = LakeWarehouse(catalogs.empty(tmp_path / "files"), tmp_path / "transit")
    assert not new.exists
    assert new.read(TABLE.name).is_empty()
    with pytest.raises(WarehouseError, match="no tables in the lake"):
        new.reader()
    with pytest.raises(WarehouseError, match="no database the lake"):
        new.query("SELECT 1")
    assert not (tmp_path / "files").exists()
    # Two machines make it at once.
    threads = [threading.Thread(target=another(new).migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert new.exists
    assert new.query("SELECT count(*) AS n FROM autoif.migrations").item() == len(RELEASED) + 1


@pytest.mark.parametrize(
    ("catalog", "data", "said"),
    [
        ("host=/nowhere dbname=x", "/tmp/x", "did not let us in"),
        ("{catalog}x", "{data}", "did not let us in.*does not exist"),
        ("{catalog}", "{data}/elsewhere", "not where this lake's files are"),
        ("{catalog}", "s3://bucket/x", "there are no keys"),
        ("nonsense", "/tmp/x", "did not let us in"),
    ],
)
def test_what_is_wrong_with_the_place_is_told(lake, monkeypatch, catalog, data, said):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    lake.migrate()
    named = {"catalog": lake.place.catalog, "data": lake.place.data}
    place = LakePlace(catalog.format(**named), data.format(**named))
    with pytest.raises(WarehouseError, match=said):
        LakeWarehouse(place, lake.data_dir).write(TABLE.name, empty_frame(TABLE), {"batch": "b"})


def test_a_catalog_that_comes_back_is_used_again(lake, catalogs):
    write(lake, "b1", 1)
    catalogs.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        f" AND datname = '{lake.place.catalog.split('dbname=')[1]}'"
    )
    with suppress(WarehouseError, duckdb.Error):
        lake.read(TABLE.name)
    assert lake.read(TABLE.name).height == ROWS


@pytest.fixture
def bucket(monkeypatch):
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-the-test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    import boto3

    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="lake")
    yield "s3://lake/tables"
    server.stop()


def test_files_are_kept_in_s3(catalogs, bucket, tmp_path, monkeypatch):
    lake = LakeWarehouse(catalogs.made(bucket), tmp_path)
    for batch in ("b1", "b2"):
        lake.write(TABLE.name, sample(TABLE, 900, batch=batch), {"batch": batch})
    lake.write(TABLE.name, sample(TABLE, 800, batch="b1"), {"batch": "b1"})
    before = lake.read(TABLE.name)
    assert before.height == 1_700
    beside = ["exports/sft/train.parquet", "journals/a/b/run.jsonl"]
    for key in (*beside, "autoif/responses/orphan.parquet"):
        lake.objects.put(key, b"bytes")
    maintain(lake, 0, 0, print)
    assert [*lake.objects.keys("exports"), *lake.objects.keys("journals")] == beside
    assert lake.objects.keys("autoif/responses") == []
    assert lake.read(TABLE.name).equals(before)
    assert not list(tmp_path.rglob("*.parquet"))
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 50_000)  # uploaded in parts
    lake.objects.put(beside[0], large)
    assert b"".join(lake.objects.get(beside[0])) == large.read_bytes()
    lake.objects.delete([beside[0], "journals/none"])
    assert lake.objects.folders("journals") == ["a"]
    with pytest.raises(FileNotFoundError):
        list(lake.objects.get(beside[0]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        lake.objects.put("journals/x", b"")
    with pytest.raises(WarehouseError, match="the storage s3://lake/tables refused"):
        lake.write(TABLE.name, sample(TABLE, 900, batch="b3"), {"batch": "b3"})


def test_a_run_is_absent_when_it_ends_and_present_again_after_a_cut(lake, catalogs, monkeypatch):
    monkeypatch.setattr("autoif_assets.warehouse.presence._LOOK_S", 0.05)
    assert lake.absent(["r1"]) == {"r1"}
    with lake.presence("r1"):
        assert lake.absent(["r1", "r2"]) == {"r2"}
        catalogs.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
            "'run r1'"
        )
        for _ in range(1000):
            if not lake.absent(["r1"]):
                break
            time.sleep(0.02)
        assert lake.absent(["r1"]) == set()
    assert lake.absent(["r1"]) == {"r1"}
