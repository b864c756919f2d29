"""The published copy is complete, replaced atomically, and made only when needed."""

import errno
import os

import duckdb
import pytest

from autoif_assets.warehouse import (
    TABLES,
    Warehouse,
    WarehouseError,
    open_published,
    publishing,
)

from .samples import sample

QUERIES = TABLES["augmented_queries"]
COUNT = "SELECT count(*) FROM autoif.augmented_queries"


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    warehouse = Warehouse(tmp_path)
    write(warehouse, 3)
    return warehouse


def write(warehouse: Warehouse, rows: int) -> None:
    warehouse.write(QUERIES.name, sample(QUERIES, rows, batch="b1"), {"batch": "b1"})


def count(path) -> int:
    with duckdb.connect(path, read_only=True) as con:
        return con.execute(COUNT).fetchall()[0][0]


def test_the_copy_holds_what_was_written(warehouse):
    assert warehouse.publish() is True
    assert count(warehouse.published_path) == 3


def test_nothing_is_copied_when_nothing_changed(warehouse):
    assert warehouse.publish() is True
    inode = warehouse.published_path.stat().st_ino
    assert warehouse.read(QUERIES.name).height == 3
    assert warehouse.publish() is False
    assert warehouse.published_path.stat().st_ino == inode
    write(warehouse, 3)
    assert warehouse.publish() is True


def test_an_open_reader_keeps_its_copy_and_does_not_block(warehouse):
    warehouse.publish()
    with duckdb.connect(warehouse.published_path, read_only=True) as con:
        con.execute(COUNT).fetchall()
        write(warehouse, 5)
        assert warehouse.publish() is True
        assert con.execute(COUNT).fetchall()[0][0] == 3
    assert count(warehouse.published_path) == 5


@pytest.mark.parametrize("fails", [False, True], ids=["opens", "raises"])
def test_a_copy_that_is_replaced_while_it_is_opened_is_opened_again(warehouse, monkeypatch, fails):
    warehouse.publish()
    connect, opened = duckdb.connect, []

    def replaced_meanwhile(path, **settings):
        opened.append(path)
        if len(opened) > 1:
            return connect(path, **settings)
        con = connect(path, **settings)
        write(warehouse, 5)
        warehouse.publish()
        if fails:
            con.close()
            raise duckdb.SerializationException("field id mismatch")
        return con

    # The pipeline's own DuckDB is there already.
    monkeypatch.setattr(duckdb, "connect", replaced_meanwhile)
    with open_published(warehouse.published_path) as con:
        assert con.execute(COUNT).fetchall()[0][0] == 5
    assert opened == [str(warehouse.published_path)] * 2


def test_a_copy_that_is_always_replaced_is_given_up_in_a_sentence(warehouse, monkeypatch):
    warehouse.publish()
    connect, rows = duckdb.connect, iter(range(4, 100))

    def replaced_meanwhile(path, **settings):
        con = connect(path, **settings)
        write(warehouse, next(rows))
        warehouse.publish()
        return con

    monkeypatch.setattr(duckdb, "connect", replaced_meanwhile)
    monkeypatch.setattr(publishing, "_OPENING_S", 0.3)
    with pytest.raises(WarehouseError, match="was replaced each time it was opened"):
        open_published(warehouse.published_path)


def test_a_copy_that_is_damaged_or_absent_is_opened_once(warehouse, tmp_path):
    (tmp_path / "damaged.duckdb").write_bytes(b"no database")
    for name in ("damaged.duckdb", "absent.duckdb"):
        with pytest.raises(duckdb.Error):
            open_published(tmp_path / name)


def test_writes_into_the_copy_are_gone_with_the_next(warehouse):
    warehouse.publish()
    with duckdb.connect(warehouse.published_path) as con:
        con.execute("SET wal_autocheckpoint = '1GB'")
        con.execute("DELETE FROM autoif.augmented_queries")
        assert warehouse.published_path.with_name("warehouse.duckdb.wal").exists()
        write(warehouse, 5)
        assert warehouse.publish() is True
    assert count(warehouse.published_path) == 5


def test_what_a_killed_writer_left_in_its_log_is_published(warehouse):
    # A copy of the open file with its log is what a kill leaves.
    with duckdb.connect(warehouse.path) as con:
        con.execute("SET wal_autocheckpoint = '1GB'")
        con.execute("DELETE FROM autoif.augmented_queries WHERE prompt_id = '0000'")
        con.execute("PRAGMA disable_checkpoint_on_shutdown")
    assert warehouse.path.with_name("pipeline.duckdb.wal").exists()
    assert warehouse.publish() is True
    assert count(warehouse.published_path) == 2


def test_no_partial_file_is_left(warehouse):
    warehouse.publish()
    assert sorted(path.name for path in warehouse.data_dir.iterdir()) == [
        "pipeline.duckdb",
        "pipeline.lock",
        "publish.lock",
        "warehouse.duckdb",
    ]


def test_a_full_disk_keeps_the_old_copy_and_says_so(warehouse, monkeypatch):
    warehouse.publish()
    write(warehouse, 5)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publishing, "_copy_bytes", full)
    with pytest.raises(WarehouseError, match=r"Failed at publishing: the disk of .* ran full"):
        warehouse.publish()
    assert count(warehouse.published_path) == 3
    assert not list(warehouse.data_dir.glob(".*partial"))
    monkeypatch.undo()
    assert warehouse.publish() is True


def test_the_catalog_and_schema_names_are_not_ambiguous(warehouse):
    warehouse.publish()
    with duckdb.connect(warehouse.published_path) as con:
        assert con.execute("FROM autoif.funnel").fetchall()[0][:3] == (
            "b1",
            [t.name for t in TABLES.values() if t.section].index(QUERIES.name) + 1,
            QUERIES.name,
        )


def test_the_file_is_of_the_oldest_supported_format(warehouse):
    with duckdb.connect(warehouse.path) as con:
        tags = con.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = 'pipeline'"
        ).fetchall()
    assert tags[0][0]["storage_version"].startswith("v1.5.0")


def test_a_folder_without_write_access_is_told(warehouse, monkeypatch):
    def refuse(*args: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(WarehouseError, match=r"Cannot write to the data folder .* denied"):
        write(warehouse, 5)


@pytest.fixture
def without_reflinks(monkeypatch):
    monkeypatch.setattr(publishing, "_clone", lambda source, target: False)


def test_a_file_that_shrinks_while_it_is_copied_is_copied_again(
    warehouse, without_reflinks, monkeypatch
):
    """Before: the half that was there was published, and readers fell over it."""
    whole, calls = warehouse.path.read_bytes(), []

    def shrinking(target, source, offset, size):
        calls.append(offset)
        if len(calls) == 1:
            os.truncate(warehouse.path, 4096)
        if len(calls) == 2:
            warehouse.path.write_bytes(whole)
            return 0
        return real(target, source, offset, min(size, 4096) if len(calls) < 2 else size)

    real = os.sendfile
    monkeypatch.setattr(os, "sendfile", shrinking)
    assert warehouse.publish() is True
    assert len(calls) == 3
    assert count(warehouse.published_path) == 3


def test_a_file_that_never_stands_still_is_not_published(warehouse, without_reflinks, monkeypatch):
    warehouse.publish()
    write(warehouse, 4)

    def touched(*given):
        os.utime(warehouse.path)
        return real(*given)

    real = os.sendfile
    monkeypatch.setattr(os, "sendfile", touched)
    with pytest.raises(WarehouseError, match="another program writes into it"):
        warehouse.publish()
    assert count(warehouse.published_path) == 3
    assert not list(warehouse.data_dir.glob(".*.partial"))
