"""Journals of several machines: folders of their own, and one storage."""

import signal
import subprocess
import sys
import time

import pytest

from autoif_assets.endpoint import (
    EndpointError,
    Journal,
    Sharing,
    compact_journals,
    fetch_batch,
    llm_calls,
    prune_journals,
    remove_shared,
)
from autoif_assets.endpoint.journal_files import HELD, read_journals
from autoif_assets.warehouse.lake_connection import LakePlace
from autoif_assets.warehouse.objects import Objects
from autoif_assets_tests.endpoint.test_journal import completions, line

FOLDER = "journals/a/b"


class Storage(Objects):
    """A shared folder that can be away."""

    def __init__(self, folder):
        super().__init__(LakePlace("dbname=none", str(folder)))
        self.away = False

    def put(self, key, data):
        if self.away:
            raise OSError("the storage is away")
        super().put(key, data)


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path / "storage")


def opened(folder, storage, run="run1", said=None, every_s=0.02, **options):
    log = print if said is None else said.append
    sharing = Sharing(storage, log, every_s=every_s, last_tries_s=0.5)
    return Journal(folder, "a", "b", run, sharing=sharing, **options)


def text(storage):
    return b"".join(b"".join(storage.get(key)) for key in storage.keys(FOLDER)).decode()


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def held_calls(folder, calls):
    with Journal(folder, "a", "b", "look") as journal:
        return [call for call in calls if completions(journal, call)]


def test_another_machine_finds_the_answers_of_a_run_that_ended(tmp_path, storage):
    with opened(tmp_path / "one", storage) as journal:
        for call in ("c1", "c2"):
            journal.append(line(call))
    assert len(storage.keys(FOLDER)) == 1
    with opened(tmp_path / "two", storage, "run2") as journal:
        assert completions(journal, "c1") == completions(journal, "c2") == {0: "a"}
        journal.append(line("c3"))
    with opened(tmp_path / "one", storage, "run3") as journal:
        assert completions(journal, "c3") == {0: "a"}
    # One a run that asked, and no line twice, here or there.
    assert len(storage.keys(FOLDER)) == 2
    assert len(text(storage).splitlines()) == 3
    assert len(list(read_journals(tmp_path / "one", "a", "b"))) == 3


def test_of_two_answers_the_later_counts_whichever_machine_has_it(tmp_path, storage):
    for number, machine in enumerate(("one", "two", "one")):
        run = f"run{number}"
        with opened(tmp_path / machine, storage, run, refresh=True) as journal:
            journal.append(line(texts=[run], finished=f"2026-01-01T00:00:00.00000{9 - number}"))
    for machine in ("one", "two", "three"):
        with opened(tmp_path / machine, storage, "look") as journal:
            assert completions(journal) == {0: "run2"}


PROGRAM = """
import sys, time
from pathlib import Path
from autoif_assets_tests.endpoint.test_journal import line
from autoif_assets_tests.endpoint.test_shared_journals import Storage, opened
folder, storage = map(Path, sys.argv[1:])
with opened(folder, Storage(storage)) as journal:
    for number in range(1000):
        journal.append(line(f"c{number}", finished=f"2026-01-01T00:00:01.{number:06d}"))
        print(number, flush=True)
        time.sleep(0.01)
"""


@pytest.mark.slow
def test_a_machine_that_is_lost_costs_what_came_after_its_last_upload(tmp_path, storage):
    lost = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path / "lost", tmp_path / "storage"],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(storage.keys(FOLDER)) > 2)
    seen = int([lost.stdout.readline() for _ in range(10)][-1])
    wait_for(lambda: f'"c{seen}"' in text(storage))
    lost.send_signal(signal.SIGKILL)
    lost.wait()
    lost.stdout.close()
    there = text(storage).splitlines()
    with opened(tmp_path / "other", storage, "run2") as journal:
        assert all(completions(journal, f"c{number}") for number in range(seen + 1))
        journal.append(line("more"))
    # What the lost run left is one object with this run's, which holds all lines once.
    (_,) = storage.keys(FOLDER)
    assert sorted(text(storage).splitlines()[:-1]) == sorted(there)
    # The machine is back, and gives what nobody had yet.
    calls = held_calls(tmp_path / "lost", [f"c{number}" for number in range(1000)])
    with opened(tmp_path / "lost", storage, "run3") as journal:
        assert completions(journal, "more")
    fetch_batch(storage, tmp_path / "third", "b")
    assert held_calls(tmp_path / "third", calls) == calls


def test_a_storage_that_is_away_is_told_once_and_hinders_nobody(tmp_path, storage):
    said = []
    storage.away = True
    with (
        pytest.raises(EndpointError, match=r"could not be uploaded .*run the batch again here"),
        opened(tmp_path / "one", storage, said=said) as journal,
    ):
        journal.append(line("c1"))
        wait_for(lambda: said)
        journal.append(line("c2"))
        time.sleep(0.1)
    assert [words.partition(" (")[0] for words in said] == ["Journals cannot be uploaded"]
    # An error of the run's own is what is told, not that of the upload after it.
    with (
        pytest.raises(ZeroDivisionError),
        opened(tmp_path / "one", storage, "run2", said) as journal,
    ):
        journal.append(line("c3"))
        raise ZeroDivisionError
    assert "could not be uploaded" in said[-1]
    storage.away = False
    with opened(tmp_path / "one", storage, "run3"):
        pass
    with opened(tmp_path / "two", storage, "run4") as journal:
        assert all(completions(journal, call) for call in ("c1", "c2", "c3"))


def test_a_storage_that_comes_back_gets_all(tmp_path, storage):
    said = []
    with opened(tmp_path / "one", storage, said=said) as journal:
        storage.away = True
        journal.append(line("c1"))
        wait_for(lambda: said)
        storage.away = False
        wait_for(lambda: "Journals are uploaded again." in said)
    with opened(tmp_path / "two", storage, "run2") as journal:
        assert completions(journal, "c1") == {0: "a"}


def test_segments_that_are_merged_while_they_are_fetched_are_found_in_the_whole(tmp_path, storage):
    first = opened(tmp_path / "one", storage)
    first.append(line("c1"))
    wait_for(lambda: storage.keys(FOLDER))
    reads = storage.get

    def get(key):
        storage.get = reads
        first.close()
        return reads(key)

    storage.get = get
    with opened(tmp_path / "two", storage, "run2") as journal:
        assert completions(journal, "c1") == {0: "a"}


def test_what_is_known_of_the_storage_may_be_lost(tmp_path, storage):
    for run in ("run1", "run2"):
        with opened(tmp_path / "one", storage, run) as journal:
            journal.append(line(run))
        (journal.path.parent / HELD).write_text("{")
    with opened(tmp_path / "two", storage, "run3") as journal:
        assert completions(journal, "run1") and completions(journal, "run2")
    for machine in ("one", "two"):
        assert llm_calls(tmp_path / machine, "a", "b")["attempts"].to_list() == [1, 1]


def test_journals_that_were_compacted_or_torn_are_shared(tmp_path, storage):
    for run in ("run1", "run2"):
        with Journal(tmp_path / "one", "a", "b", run) as journal:
            journal.append(line(run))
    with journal.path.open("a") as file:
        file.write('{"call_id": "torn')
    compact_journals(tmp_path / "one")
    with opened(tmp_path / "one", storage, "run3"):
        pass
    with opened(tmp_path / "two", storage, "run4") as journal:
        assert completions(journal, "run1") and completions(journal, "run2")
        assert journal.torn == 0


def test_journals_are_pruned_here_and_removed_there(tmp_path, storage):
    for batch in ("b", "b" * 200, "b" * 180):
        sharing = Sharing(storage, print)
        with Journal(tmp_path / "one", "a/b", batch, "run1", sharing=sharing) as journal:
            journal.append(line())
    prune_journals(tmp_path / "one", -1, batch="b")
    with Journal(tmp_path / "one", "a/b", "b", "run2", sharing=sharing) as journal:
        assert completions(journal)
    assert remove_shared(storage, "b" * 180) == 1
    assert remove_shared(storage, "b" * 180) == 0
    assert len(storage.keys("journals")) == 2


def test_a_storage_that_cannot_be_read_stops_a_run_before_it_pays(tmp_path, storage, monkeypatch):
    def keys(folder):
        raise OSError("the storage is away")

    monkeypatch.setattr(storage, "keys", keys)
    with pytest.raises(EndpointError, match=r"cannot be fetched \(the storage is away\)"):
        opened(tmp_path / "one", storage)
    assert not (tmp_path / "one").exists()
