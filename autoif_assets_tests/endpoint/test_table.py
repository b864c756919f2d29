import polars as pl
import pytest

from autoif_assets.endpoint import Journal, llm_calls
from autoif_assets.endpoint.table import llm_calls_in_parts
from autoif_assets_tests.endpoint.test_journal import line


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
