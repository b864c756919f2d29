"""Exports that one machine makes and others read."""

import threading

import pytest

from autoif_assets.datasets import fetch_dataset, share_dataset
from autoif_assets.warehouse.lake_connection import LakePlace
from autoif_assets.warehouse.objects import Objects


@pytest.fixture
def objects(tmp_path):
    return Objects(LakePlace("dbname=none", str(tmp_path / "storage")))


def write(exports, name, **files):
    for file, words in files.items():
        path = exports / name / "parquet" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words)


def read(exports, name):
    found = (path for path in (exports / name).rglob("*") if path.is_file())
    return {path.name: path.read_text() for path in found}


@pytest.mark.parametrize("name", ["sft", "online/base%2F1"])
def test_an_export_is_read_on_another_machine(tmp_path, objects, name):
    one, two = tmp_path / "one", tmp_path / "two"
    fetch_dataset(objects, two, name)
    assert not two.exists()
    write(one, name, train="1", eval="1")
    share_dataset(objects, one, name)
    fetch_dataset(objects, two, name)
    assert read(two, name) == {"train": "1", "eval": "1"}
    (one / name / "parquet" / "eval").unlink()
    write(one, name, train="2", test="2")
    share_dataset(objects, one, name)
    fetch_dataset(objects, two, name)
    assert read(two, name) == {"train": "2", "test": "2"}
    assert len(objects.keys("exports")) == 2
    # What is there already is not fetched again.
    objects.delete(objects.keys("exports"))
    fetch_dataset(objects, two, name)


def test_files_of_two_exports_are_never_one(tmp_path, objects, monkeypatch):
    monkeypatch.setattr("autoif_assets.datasets.shared._PAUSE_S", 0.01)
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, "sft", train="1", eval="1")
    share_dataset(objects, one, "sft")
    write(one, "sft", train="2", eval="2")
    put, half, go_on = objects.put, threading.Event(), threading.Event()

    def slow(key, data):
        put(key, data)
        half.set()
        assert go_on.wait(60)

    monkeypatch.setattr(objects, "put", slow)
    maker = threading.Thread(target=share_dataset, args=(objects, one, "sft"))
    maker.start()
    assert half.wait(60)
    reader = threading.Thread(target=fetch_dataset, args=(objects, two, "sft"))
    reader.start()
    reader.join(0.1)
    assert read(two, "sft") == {}
    go_on.set()
    maker.join()
    reader.join()
    assert read(two, "sft") == {"train": "2", "eval": "2"}


def test_files_that_no_export_wrote_are_kept(tmp_path, objects):
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, "sft", train="1")
    share_dataset(objects, one, "sft")
    write(two, "sft", mine="mine")
    with pytest.raises(ValueError, match="which no export wrote"):
        fetch_dataset(objects, two, "sft")
    assert read(two, "sft") == {"mine": "mine"}
