"""`import autoif_assets as autoif`."""

import asyncio
import json
import os
import subprocess
import sys

import duckdb
import polars as pl
import pytest

import autoif_assets as autoif
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import WarehouseError

from .environment import clear
from .simulator.models import MILD

NO_COMMAS = "def evaluate(response):\n    return ',' not in response"
RAISES = "def evaluate(response):\n    return 1 / len(response) > 0"
ASKS = "def evaluate(response, query):\n    return query in response"
# Few numbers, for it is the machine that is tested.
TINY = {
    "instructions_per_batch": 4,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
}


@pytest.mark.slow
def test_what_is_offered_is_there_before_it_is_loaded():
    code = (
        "import sys, autoif_assets as autoif; before = set(sys.modules);"
        "assert {'dataset', 'preview', 'rewards', 'run', 'sql', 'verify'} <= set(dir(autoif));"
        "assert set(sys.modules) == before;"
        "assert autoif.rewards.Scorer.__module__ == 'autoif_assets.rewards.scorer';"
        "assert 'autoif_assets.api' not in sys.modules;"
        "autoif.sql; print('autoif_assets.api' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = autoif.nothing


def test_everything_it_offers_is_documented():
    for name in set(autoif.__all__) - {"__version__"}:
        assert getattr(autoif, name).__doc__


def test_a_source_says_which_responses_pass():
    found = autoif.verify(NO_COMMAS, ["one, two", "one two"])
    assert found["response"].to_list() == ["one, two", "one two"]
    assert found["passed"].to_list() == [False, True]
    assert found["pass_rate"].to_list() == [0.0, 1.0]
    assert found["reason"].to_list() == ["low_pass_rate", None]


def test_no_verdict_is_no_failure():
    found = autoif.verify(RAISES, ["", "text"])
    assert found["passed"].to_list() == [None, True]
    assert found["reason"].to_list() == ["no_verdict", None]
    assert found["outcomes"].to_list()[0] == [{"verifier_id": "given", "outcome": "error"}]


def test_one_response_and_the_query_it_answers():
    assert autoif.verify(ASKS, "about bees", queries="bees")["passed"].to_list() == [True]
    assert autoif.verify(ASKS, ["a", "b"], queries=["b", "b"])["passed"].to_list() == [False, True]
    assert autoif.verify(NO_COMMAS, [])["passed"].to_list() == []
    with pytest.raises(ValueError, match="2 responses and 1 queries"):
        autoif.verify(ASKS, ["a", "b"], queries=["b"])


def test_it_can_be_called_where_an_event_loop_runs():
    async def notebook() -> pl.DataFrame:
        return autoif.verify(NO_COMMAS, "one two")

    assert asyncio.run(notebook())["passed"].to_list() == [True]


def test_what_is_no_verifier_is_refused():
    with pytest.raises(ValueError, match="forbidden_import:os"):
        autoif.verify("import os\ndef evaluate(response):\n    return True", "text")
    with pytest.raises(ValueError, match="wrong_arity"):
        autoif.verify("def evaluate():\n    return True", "text")


def test_a_folder_without_data_is_told(tmp_path):
    with pytest.raises(WarehouseError, match=r"no tables in .* yet: run a batch"):
        autoif.sql("SELECT 1", data=tmp_path)
    with pytest.raises(WarehouseError, match="no tables in"):
        autoif.verify("Use no commas.", "text", data=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"No dataset 'sft' .* run a batch"):
        autoif.dataset(data=tmp_path)


def test_tables_are_asked_with_parameters(made):
    query = "SELECT DISTINCT batch FROM autoif.responses WHERE batch = {}"
    for sign, parameters in (("?", ["b1"]), ("$batch", {"batch": "b1"})):
        found = autoif.sql(query.format(sign), parameters, data=made.data)
        assert found.to_dicts() == [{"batch": "b1"}]
    # A statement that is no query; and nothing can be changed.
    assert autoif.sql("BEGIN", data=made.data).is_empty()
    with pytest.raises(duckdb.Error, match="read-only"):
        autoif.sql("DELETE FROM autoif.responses", data=made.data)


def test_the_data_folder_is_that_of_the_settings(made, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_DATA", str(made.data))
    assert autoif.sql("SELECT count(*) AS n FROM autoif.responses")["n"].item() > 0


def test_an_instruction_is_checked_by_its_verifiers_in_use(made):
    gallery = autoif.sql(
        "SELECT instruction_id, instruction, list(verifier_id ORDER BY verifier_id) AS verifiers"
        " FROM autoif.verifier_gallery WHERE instruction_status = 'accepted' GROUP BY ALL LIMIT 1",
        data=made.data,
    ).row(0, named=True)
    verdicts = autoif.sql(
        "SELECT response, v.status = 'accepted' AS passed FROM autoif.response_verdicts v"
        " JOIN autoif.responses USING (batch, response_id)"
        " WHERE v.instruction_id = ? AND (v.status = 'accepted' OR v.reason = 'low_pass_rate')",
        [gallery["instruction_id"]],
        data=made.data,
    )
    assert verdicts.height > 0
    for name in ("instruction", "instruction_id"):
        found = autoif.verify(gallery[name], verdicts["response"].to_list(), data=made.data)
        assert found["passed"].to_list() == verdicts["passed"].to_list()
        ran = [outcome["verifier_id"] for outcome in found["outcomes"][0]]
        assert ran == gallery["verifiers"]
    with pytest.raises(ValueError, match="No verifier in use is of the instruction 'Whistle'"):
        autoif.verify("Whistle", "text", data=made.data)


@pytest.mark.parametrize("name", ["sft", "preference", "kto", "reward"])
def test_datasets_in_each_format(made, name):
    for split in ("train", "eval"):
        rows = autoif.dataset(name, split, data=made.data)
        theirs = autoif.dataset(name, split, format="datasets", data=made.data)
        frame = autoif.dataset(name, split, format="pandas", data=made.data)
        # Also of a split without rows, as a small batch has them.
        assert theirs.num_rows == len(frame) == rows.height
        assert theirs.column_names == list(frame.columns) == rows.columns
    assert autoif.dataset(name, data=made.data).height > 0


def test_what_there_is_no_dataset_of_is_told(made):
    with pytest.raises(FileNotFoundError, match="there are kto, preference, reward, sft"):
        autoif.dataset("online/nobody", data=made.data)
    with pytest.raises(ValueError, match="There is no split 'test'"):
        autoif.dataset("sft", "test", data=made.data)
    with pytest.raises(ValueError, match="'polars', 'datasets' or 'pandas'"):
        autoif.dataset("sft", format="csv", data=made.data)


def test_a_library_that_is_not_there_is_named(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'autoif-assets\[hub\]'"):
        autoif.dataset("sft", format="datasets", data=made.data)


def test_unknown_roles_and_settings_of_endpoints_are_told_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match=r"no role 'writer'; there are .*responder"):
        autoif.run(endpoints={"writer": {"model": "m"}}, data=tmp_path)
    with pytest.raises(ValueError, match=r"no setting 'url' here; it has api_key, base_url"):
        autoif.run(endpoints={"judge": {"url": "http://localhost"}}, data=tmp_path)
    assert not any(tmp_path.iterdir())


def _journaled(data):
    """Return what a preview asked, and what a run did: asset and call."""
    lines = {True: set(), False: set()}
    for path in (data / "journals").rglob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            call = (path.parts[-3], json.loads(line)["call_id"])
            lines[path.name.startswith("preview-")].add(call)
    return lines[True], lines[False]


@pytest.mark.slow
def test_a_batch_is_run_from_a_notebook(tmp_path, monkeypatch, capsys):
    """With endpoints, a key and numbers of its own; nothing of them stays in this process."""
    clear(monkeypatch)
    settings = SimulatorSettings(**MILD, api_key="sk-of-the-notebook")
    with Simulator(settings) as simulator:
        endpoints = {
            "supervision": {
                "base_url": simulator.base_url,
                "model": "autoif-simulator",
                "api_key": "sk-of-the-notebook",
                "extra_body": {"user": "notebook"},
            },
        }
        before = dict(os.environ)

        given = {"recipe": "paper", "numbers": TINY, "endpoints": endpoints, "data": tmp_path}

        async def notebook() -> tuple[dict[str, pl.DataFrame], int, pl.DataFrame]:
            seen = autoif.preview(2, batch="b 1", **given)
            asked = simulator.stats()["received"]
            # No table, no Dagster: what was answered, and no more.
            assert [path.name for path in tmp_path.iterdir()] == ["journals"]
            return seen, asked, autoif.run("b 1", **given)

        seen, asked, funnel = asyncio.run(notebook())
        assert os.environ == before
        assert "verified_instructions" in capsys.readouterr().out
        assert seen["augmented_instructions"].height == 2
        assert seen["responses"].height == 2 * TINY["responses_per_prompt"]
        previewed, ran = _journaled(tmp_path)
        # What the preview paid for is asked by nobody again, and what the batch is made of.
        assert 0 < len(previewed) == asked <= 20
        assert not previewed & ran
        assert len(ran) == simulator.stats()["received"] - asked
        for table in ("verifier_candidates", "back_translations", "responses", "response_scores"):
            there = autoif.sql(f"SELECT call_id FROM autoif.{table}", data=tmp_path)["call_id"]
            assert set(seen[table]["call_id"]) <= set(there)
        assert funnel.filter(stage="sft_examples")["rows"].sum() > 0
        assert autoif.dataset("sft", data=tmp_path).height > 0
        numbers = autoif.sql("SELECT recipe, numbers FROM autoif.batches", data=tmp_path).row(0)
        assert numbers[0] == "paper"
        assert '"responses_per_prompt": 4' in numbers[1]
        # What differs from what is pinned is refused, with the words of the command.
        with pytest.raises(autoif.RunFailed, match="pinned to another recipe"):
            autoif.run("b 1", numbers={"min_score": ">= 3"}, endpoints=endpoints, data=tmp_path)
    assert b"sk-of-the-notebook" not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*.jsonl")
    )
