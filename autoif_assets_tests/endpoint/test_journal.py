import json
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.endpoint import EndpointError, Journal, llm_calls
from autoif_assets.endpoint.journal import llm_calls_in_parts
from autoif_assets.endpoint.journal_files import (
    decode_name,
    encode_name,
    journal_folder,
    prune_journals,
)
from autoif_assets.warehouse.tables import TABLES
from autoif_assets_tests.endpoint.asking import ask, client
from autoif_assets_tests.endpoint.server import Server

ZERO = {"prompt_tokens": None, "cached_tokens": None, "completion_tokens": None}


def line(call="c1", samples=(0,), texts=("a",), finished="2026-01-01T00:00:01.000000", **changes):
    record = {
        "call_id": call,
        "model": "tiny",
        "base_url": "http://x/v1",
        "role": "response",
        "prompt": "p",
        "parameters": {"n": 2},
        "with_schema": False,
        "samples": list(samples),
        "choices": [{"text": t, "reasoning": None, "finish_reason": "stop"} for t in texts],
        "usage": ZERO,
        "tokens": 12,
        "cost": 0.25,
        "attempts": 1,
        "queue_wait_s": 0.125,
        "latency_s": 0.5,
        "started": "2026-01-01T00:00:00.000000+00:00",
        "finished": finished + "+00:00",
        "error": None,
        "final": True,
    }
    return record | changes


def completions(journal, call="c1"):
    return {sample: choice.text for sample, choice in journal.call(call).choices.items()}


@given(st.text(min_size=1, max_size=400))
def test_names_are_safe_and_reversible(name):
    encoded = encode_name(name)
    assert decode_name(encoded) == name
    assert "." not in encoded and "\\" not in encoded
    assert all(0 < len(part) <= 255 and part.isascii() for part in encoded.split("/"))


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_differ_where_the_texts_do(one, other):
    assert (encode_name(one) == encode_name(other)) == (one == other)


@pytest.mark.parametrize("batch", ["..", ".", "a/b", "2026-01-01", "é/ü", "x" * 1000, "con:aux*?"])
def test_any_batch_key_stays_inside_the_folder(tmp_path, batch):
    folder = tmp_path / "journals"
    with Journal(folder, "responses", batch, "run1") as journal:
        journal.append(line())
    assert folder in journal.path.resolve().parents
    assert completions(Journal(folder, "responses", batch, "run2")) == {0: "a"}


def test_journals_of_a_batch_whose_name_begins_with_anothers_stay_apart(tmp_path):
    short, long = "x" * 180, "x" * 200
    for batch in (short, long):
        with Journal(tmp_path, "responses", batch, "run1") as journal:
            journal.append(line(texts=[batch]))
    assert completions(Journal(tmp_path, "responses", short, "run2")) == {0: short}
    assert completions(Journal(tmp_path, "responses", long, "run2")) == {0: long}


def test_lines_of_one_call_merge_across_files_and_the_later_sample_wins(tmp_path):
    with Journal(tmp_path, "a", "b", "zzz") as journal:
        journal.append(line(samples=[0, 1], texts=["old0", "old1"], attempts=2))
    with Journal(tmp_path, "a", "b", "aaa") as journal:
        journal.append(line(samples=[1], texts=["new1"], finished="2026-01-02T00:00:00.000000"))
    journal = Journal(tmp_path, "a", "b", "mmm")
    assert completions(journal) == {0: "old0", 1: "new1"}
    (row,) = llm_calls(tmp_path, "a", "b").to_dicts()
    assert row["completions"] == ["old0", "new1"]
    assert row["attempts"] == 3


def test_every_way_a_last_line_can_be_torn_is_ignored_and_counted(tmp_path):
    with Journal(tmp_path, "a", "b", "run1") as journal:
        journal.append(line("c1", texts=["ä"]))
        journal.append(line("c2", texts=["ö"]))
    whole = journal.path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first + 1, len(whole) - 1):
        journal.path.write_bytes(whole[:end])
        with Journal(tmp_path, "a", "b", "run1") as torn:
            assert torn.torn == 1
            assert completions(torn, "c1") == {0: "ä"}
            assert completions(torn, "c2") == {}
            if end % 50 == 0:
                torn.append(line("c2", texts=["again"]))
                after = Journal(tmp_path, "a", "b", "run2")
                assert (after.torn, completions(after, "c2")) == (1, {0: "again"})


def test_a_whole_line_without_its_newline_counts_and_can_be_followed(tmp_path):
    with Journal(tmp_path, "a", "b", "run1") as journal:
        journal.append(line("c1"))
    journal.path.write_bytes(journal.path.read_bytes()[:-1])
    with Journal(tmp_path, "a", "b", "run1") as journal:
        assert (journal.torn, completions(journal)) == (0, {0: "a"})
        journal.append(line("c2"))
    after = Journal(tmp_path, "a", "b", "run2")
    assert (completions(after, "c1"), completions(after, "c2")) == ({0: "a"}, {0: "a"})


def test_a_refusal_is_held_until_an_answer_follows_and_a_passing_failure_is_not(tmp_path):
    refused = line(samples=[], texts=[], error="400: too long")
    passing = line("c2", samples=[], texts=[], error="gave up", final=False)
    with Journal(tmp_path, "a", "b", "run1") as journal:
        journal.append(refused)
        journal.append(passing)
        assert journal.call("c1").error == "400: too long"
        assert journal.call("c2").error is None
        journal.append(line(finished="2026-01-02T00:00:00.000000"))
        assert journal.call("c1").error is None
    errors = llm_calls(tmp_path, "a", "b").sort("call_id")["error"].to_list()
    assert errors == [None, "gave up"]


def test_appended_lines_are_with_the_system_at_once(tmp_path):
    journal = Journal(tmp_path, "a", "b", "run1")
    for number in range(3):
        journal.append(line(f"c{number}"))
        assert len(journal.path.read_bytes().splitlines()) == number + 1
    journal.close()


def test_a_folder_that_cannot_be_written_is_said_with_its_path(tmp_path):
    (tmp_path / "a").write_text("a file where a folder should be")
    with pytest.raises(EndpointError, match=r"journal .*run1\.jsonl cannot be written"):
        Journal(tmp_path, "a", "b", "run1").append(line())


@pytest.mark.parametrize("blocked", ["a", "a/b"])
def test_nothing_is_asked_where_no_answer_could_be_written(tmp_path, blocked):
    """Before, the first answers were paid for and lost."""
    (tmp_path / blocked).parent.mkdir(exist_ok=True)
    (tmp_path / blocked).write_text("a file where a folder should be")
    with Server() as server, Journal(tmp_path, "a", "b", "run1") as journal:
        with pytest.raises(EndpointError, match=r"run1\.jsonl cannot be written: .* is a file"):
            client(server).complete([ask()], journal)
        assert server.bodies == []


def test_nothing_is_asked_where_the_folder_is_not_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with Server() as server, Journal(tmp_path, "a", "b", "run1") as journal:
        with pytest.raises(EndpointError, match=f"no write access to {tmp_path}"):
            client(server).complete([ask()], journal)
        assert server.bodies == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_with_the_path(tmp_path, monkeypatch):
    journal = Journal(tmp_path, "a", "b", "run1")
    monkeypatch.setattr(journal, "_open", lambda: os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(EndpointError, match=r"run1\.jsonl cannot be written: No space left"):
        journal.append(line())
    journal.close()


def test_llm_calls_has_the_declared_columns_and_types(tmp_path):
    declared = TABLES["llm_calls"].columns
    empty = llm_calls(tmp_path, "a", "b")
    assert empty.columns == [column.name for column in declared]
    usage = {"prompt_tokens": 7, "cached_tokens": 2, "completion_tokens": 5}
    with Journal(tmp_path, "a", "b", "run1") as journal:
        journal.append(line(usage=usage))
        journal.append(line(samples=[1], texts=["<think>x</think>y"], usage=ZERO))
    frame = llm_calls(tmp_path, "a", "b")
    assert frame.schema == empty.schema
    row = frame.to_dicts()[0]
    assert not [c.name for c in declared if not c.nullable and row[c.name] is None]
    assert row["completions"] == ["a", "<think>x</think>y"]
    assert (row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"]) == (7, 2, 5)
    assert json.loads(row["request"]) == {"n": 2}
    assert row["started_at"].isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("calls", [1, 2, 3, 100])
def test_parts_give_the_calls_of_the_whole_in_order(tmp_path, calls):
    for run in range(3):
        with Journal(tmp_path, "a", "b", f"run{run}") as journal:
            for call in range(run, run + 4):
                text = f"text ä {call}\n of run {run}"
                finished = f"2026-01-01T00:0{run}:00.000000"
                journal.append(line(f"c{call}", [run], [text], finished))
    with (journal.path).open("a") as file:
        file.write('{"call_id": "c9", "torn')
    whole = llm_calls(tmp_path, "a", "b")
    assert whole["call_id"].to_list() == [f"c{call}" for call in range(6)]
    assert whole["completions"].list.len().to_list() == [1, 2, 3, 3, 2, 1]
    assert whole["completions"][2].to_list() == [f"text ä 2\n of run {run}" for run in range(3)]
    assert whole["attempts"].to_list() == [1, 2, 3, 3, 2, 1]
    parts = list(llm_calls_in_parts(tmp_path, "a", "b", calls))
    assert max(part.height for part in parts) == min(calls, 6)
    assert pl.concat(parts).equals(whole)


def test_no_journal_gives_one_empty_part(tmp_path):
    (part,) = llm_calls_in_parts(tmp_path, "a", "b")
    assert part.equals(llm_calls(tmp_path, "a", "b"))
    assert part.is_empty()


def test_what_another_asset_has_asked_is_not_asked_again_and_stays_where_it_is(tmp_path):
    place = journal_folder(tmp_path, "probes", "b1")
    place.mkdir(parents=True)
    (place / "r.jsonl").write_text(json.dumps(line(texts=["mine"])) + "\n")
    with Journal(tmp_path, "responses", "b1", "r1") as alone:
        assert completions(alone) == {}
    with Journal(tmp_path, "responses", "b1", "r1", also=["probes"]) as both:
        assert completions(both) == {0: "mine"}
        # Nobody removes what is still to be read.
        assert prune_journals(tmp_path, 0) == []
    with Journal(tmp_path, "responses", "b1", "r1", also=["probes"], refresh=True) as anew:
        assert completions(anew) == {}
    assert llm_calls(tmp_path, "responses", "b1").is_empty()
    assert len(prune_journals(tmp_path, 0)) == 1
