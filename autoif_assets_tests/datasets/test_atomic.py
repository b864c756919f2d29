"""An export is there as a whole or not at all."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from autoif_assets.datasets import atomic, files
from autoif_assets.datasets.atomic import replaced_folder
from autoif_assets_tests.datasets.frames import (
    preference_pairs,
    sft_examples,
    write_preference_dataset,
    write_sft_dataset,
)
from autoif_assets_tests.datasets.test_export import content


def write(folder, text):
    with replaced_folder(folder, {"a", "b/c"}.__contains__) as new:
        (new / "a").write_text(text)
        (new / "b").mkdir()
        (new / "b/c").write_text(text)


def whole(text):
    return {"a": text.encode(), "b/c": text.encode()}


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    return request.param


def test_first_and_later_exports(tmp_path, way):
    folder = tmp_path / "deep/er/out"
    for text in ("one", "two", "three"):
        write(folder, text)
        assert content(folder) == whole(text)
        assert {path.name for path in folder.parent.iterdir()} == {"out", ".out.lock"}


def test_failure_leaves_the_old_export(tmp_path, way):
    folder = tmp_path / "out"
    write(folder, "one")
    with (
        pytest.raises(RuntimeError, match="broken"),
        replaced_folder(folder, {"a", "b/c"}.__contains__) as new,
    ):
        (new / "a").write_text("half")
        raise RuntimeError("broken")
    assert content(folder) == whole("one")
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.lock"}


def test_failure_of_the_second_rename_puts_the_old_export_back(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    write(folder, "one")
    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    rename = type(folder).rename

    def failing(self, target):
        if self.name == ".out.new" and (tmp_path / ".out.old").exists():
            raise PermissionError(errno.EPERM, "no")
        return rename(self, target)

    monkeypatch.setattr(type(folder), "rename", failing)
    with pytest.raises(PermissionError):
        write(folder, "two")
    assert content(folder) == whole("one")


def test_leftovers_of_a_killed_export_are_cleared(tmp_path):
    folder = tmp_path / "out"
    (tmp_path / ".out.new/b").mkdir(parents=True)
    (tmp_path / ".out.new/rubbish").write_text("half")
    write(folder, "one")
    assert content(folder) == whole("one")
    # Killed between the two renames of a file system without exchange.
    folder.rename(tmp_path / ".out.old")
    with pytest.raises(RuntimeError), replaced_folder(folder, {"a", "b/c"}.__contains__):
        raise RuntimeError
    assert content(folder) == whole("one")


@pytest.mark.parametrize("foreign", ["notes.txt", "b/more", "deep/down/x"])
def test_foreign_files_are_not_deleted(tmp_path, foreign):
    folder = tmp_path / "out"
    write(folder, "one")
    (folder / foreign).parent.mkdir(parents=True, exist_ok=True)
    (folder / foreign).write_text("mine")
    with pytest.raises(ValueError, match=f"holds {foreign}, which no export wrote"):
        write(folder, "two")
    assert content(folder) == {**whole("one"), foreign: b"mine"}


def test_sft_and_preference_do_not_overwrite_each_other(tmp_path):
    write_sft_dataset(sft_examples(), tmp_path / "out", 0.3, 0)
    before = content(tmp_path / "out")
    with pytest.raises(ValueError, match="choose another folder"):
        write_preference_dataset(preference_pairs(), tmp_path / "out", 0.3, 0)
    assert content(tmp_path / "out") == before


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="out is a file, but the export is a folder"):
        write(tmp_path / "out", "one")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_linked_folder_stays_linked(tmp_path):
    (tmp_path / "disk/real").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk/real")
    write(tmp_path / "out", "one")
    write(tmp_path / "out", "two")
    assert (tmp_path / "out").is_symlink()
    assert content(tmp_path / "disk/real") == whole("two")


def test_writers_take_turns(tmp_path):
    folder = tmp_path / "out"
    threads = [threading.Thread(target=write, args=(folder, str(i) * 1000)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content(folder) in [whole(str(i) * 1000) for i in range(8)]
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.lock"}


def test_a_full_disk_is_one_message_and_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    write_sft_dataset(sft_examples(), folder, 0.3, 0)
    before = content(folder)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=r"sft export to .* failed .*No space left.* is unchanged"):
        write_sft_dataset(sft_examples().head(3), folder, 0.3, 0)
    assert content(folder) == before


WRITER = """
import sys
from pathlib import Path
import polars as pl
from autoif_assets_tests.datasets.frames import sft_examples, write_sft_dataset
tables = [sft_examples([f"{name} {i}" for i in range(200)]) for name in ("one", "two")]
print("ready", flush=True)
while True:
    for table in tables:
        write_sft_dataset(table, Path(sys.argv[1]), 0.3, 0)
"""


def digests(folder):
    return {name: hashlib.sha256(data).hexdigest() for name, data in content(folder).items()}


@pytest.mark.slow
def test_kill_9_leaves_one_whole_export_and_readers_see_whole_files(tmp_path):
    folder = tmp_path / "out"
    versions = []
    for name in ("one", "two"):
        write_sft_dataset(sft_examples([f"{name} {i}" for i in range(200)]), folder, 0.3, 0)
        versions.append(digests(folder))
    assert versions[0] != versions[1]
    reads = 0
    for kill in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout.readline() == "ready\n"
            end = time.monotonic() + 0.05 + 0.037 * kill
            while time.monotonic() < end:
                for name in versions[0]:
                    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
                    assert digest in (versions[0][name], versions[1][name])
                    reads += 1
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        assert digests(folder) in versions
    assert reads > 0
    # And the next export works on what the killed ones left behind.
    write_sft_dataset(sft_examples(), folder, 0.3, 0)
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.lock"}
