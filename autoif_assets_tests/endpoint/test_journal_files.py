import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.endpoint import (
    EndpointError,
    Journal,
    compact_journals,
    llm_calls,
    prune_journals,
)
from autoif_assets_tests.endpoint.test_journal import completions, line

DAY_S = 86_400.0


def write(folder, asset="a", batch="b", run="run1", idle_s=0.0, **changes):
    with Journal(folder, asset, batch, run) as journal:
        journal.append(line(**changes))
    moment = journal.path.stat().st_mtime - idle_s
    os.utime(journal.path, (moment, moment))
    return journal.path


records = st.builds(
    lambda call, sample, moment, error, final: line(
        call,
        [] if error else [sample],
        [] if error else [f"text {sample} {moment}"],
        f"2026-01-01T00:00:00.{moment:06d}",
        error="refused" if error else None,
        final=final,
    ),
    st.sampled_from(["c1", "c2", "c3"]),
    st.integers(0, 3),
    st.integers(0, 999_999),
    st.booleans(),
    st.booleans(),
)
runs = st.lists(
    st.tuples(st.sampled_from(["r1", "r2", "~compacted", "zz/é"]), records),
    max_size=12,
    unique_by=lambda run: (run[1]["call_id"], run[1]["finished"]),
)


def contents(folder):
    with Journal(folder, "a", "b", "look") as journal:
        known = {call: journal.call(call) for call in ("c1", "c2", "c3")}
    return known, llm_calls(folder, "a", "b").to_dicts()


@settings(deadline=None)
@given(runs, st.booleans())
def test_compacting_changes_neither_what_is_held_nor_the_table(written, torn):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for half in (written[: len(written) // 2], written[len(written) // 2 :]):
            for run, record in half:
                with Journal(folder, "a", "b", run) as journal:
                    journal.append(record)
                if torn:
                    with journal.path.open("ab") as file:
                        file.write(b'{"call_id": "c1", "fin')
            before = contents(folder)
            compact_journals(folder)
            assert contents(folder) == before
            assert compact_journals(folder) == []


def test_compacting_makes_one_file_of_each_asset_and_batch(tmp_path):
    for batch in ("b", "x" * 200):
        for run in ("run1", "run2", "run3"):
            write(tmp_path, batch=batch, run=run, call=run)
    write(tmp_path, asset="other")
    done = compact_journals(tmp_path)
    assert [(one.asset, one.batch, one.files) for one in done] == [
        ("a", "b", 3),
        ("a", "x" * 200, 3),
    ]
    for one in done:
        assert one.path.stat().st_size == one.size == one.size_before
        assert [path.name for path in one.path.parent.glob("*.*")] == [one.path.name]
        assert completions(Journal(tmp_path, "a", one.batch, "run4"), "run2") == {0: "a"}


def test_only_the_asset_and_batch_asked_for_are_compacted(tmp_path):
    for asset in ("a", "b"):
        for batch in ("1", "2"):
            for run in ("run1", "run2"):
                write(tmp_path, asset, batch, run, call=run)
    assert [(d.asset, d.batch) for d in compact_journals(tmp_path, "a", "2")] == [("a", "2")]
    assert [(d.asset, d.batch) for d in compact_journals(tmp_path, "b")] == [("b", "1"), ("b", "2")]


@pytest.mark.parametrize("moment", ["replace", "unlink", "fsync"])
def test_a_compaction_that_dies_in_between_loses_and_doubles_nothing(tmp_path, moment):
    for run in ("run1", "run2", "run3"):
        write(tmp_path, run=run, call=run)
    before = llm_calls(tmp_path, "a", "b")
    code = (
        "import os, sys; from pathlib import Path\n"
        "from autoif_assets.endpoint import journal_files\n"
        "folder, moment = Path(sys.argv[1]), sys.argv[2]\n"
        "calls = []\n"
        "def die(*arguments):\n"
        "    calls.append(arguments)\n"
        "    if moment != 'unlink' or len(calls) == 2:\n"
        "        os._exit(9)\n"
        "    os.unlink(arguments[0])\n"
        "setattr(os if moment == 'fsync' else Path, moment, die)\n"
        "journal_files.compact_journals(folder)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path), moment], check=False)
    assert run.returncode == 9
    assert llm_calls(tmp_path, "a", "b").equals(before)
    (done,) = compact_journals(tmp_path)
    assert llm_calls(tmp_path, "a", "b").equals(before)
    assert [path.name for path in done.path.parent.glob("*.*")] == [done.path.name]


def test_old_journals_are_pruned_and_a_dry_run_only_says_which(tmp_path):
    old = write(tmp_path, run="old", idle_s=10 * DAY_S)
    young = write(tmp_path, run="young", idle_s=DAY_S)
    other = write(tmp_path, asset="other", batch="é", idle_s=10 * DAY_S)
    planned = prune_journals(tmp_path, 2 * DAY_S, dry_run=True)
    assert old.exists() and other.exists()
    assert [(p.asset, p.batch, p.path) for p in planned] == [
        ("a", "b", old),
        ("other", "é", other),
    ]
    assert planned[0].size == old.stat().st_size
    assert planned[0].idle_s >= 10 * DAY_S
    only = prune_journals(tmp_path, 2 * DAY_S, asset="other", batch="é")
    assert [p.path for p in only] == [other]
    assert (old.exists(), young.exists(), other.exists()) == (True, True, False)
    assert [p.path for p in prune_journals(tmp_path, 2 * DAY_S)] == [old]
    assert prune_journals(tmp_path, 2 * DAY_S) == []
    assert young.exists()


def test_journals_that_a_run_has_open_are_left_alone(tmp_path):
    paths = [write(tmp_path, run=run, call=run, idle_s=10 * DAY_S) for run in ("run1", "run2")]
    with Journal(tmp_path, "a", "b", "reader") as reader:
        assert prune_journals(tmp_path, DAY_S) == [] == compact_journals(tmp_path)
        assert completions(reader, "run1") == {0: "a"}
    with Journal(tmp_path, "a", "new", "writer") as writer:
        writer.append(line())
        write(tmp_path, batch="new", run="run1", idle_s=10 * DAY_S)
        (done,) = compact_journals(tmp_path)
        assert done.batch == "b"
        assert prune_journals(tmp_path, DAY_S, batch="new") == []
        writer.append(line("c2"))
    assert not any(path.exists() for path in paths)
    assert [p.batch for p in prune_journals(tmp_path, DAY_S)] == ["new"]


def test_the_lock_of_a_killed_run_is_gone(tmp_path):
    write(tmp_path, idle_s=10 * DAY_S)
    code = (
        "import os, sys; from pathlib import Path; from autoif_assets.endpoint import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 'a', 'b', 'run2')\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"open\n"
    assert prune_journals(tmp_path, DAY_S) == []
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert len(prune_journals(tmp_path, DAY_S)) == 1


def test_a_folder_that_is_not_there_has_no_journals(tmp_path):
    assert prune_journals(tmp_path / "no", 0) == [] == compact_journals(tmp_path / "no")


def test_a_compaction_that_cannot_be_written_leaves_all_as_it_was(tmp_path, monkeypatch):
    paths = [write(tmp_path, run=run, call=run) for run in ("run1", "run2")]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EndpointError, match="cannot be compacted: No space left"):
        compact_journals(tmp_path)
    assert all(json.loads(path.read_text()) for path in paths)
    assert llm_calls(tmp_path, "a", "b").height == 2
