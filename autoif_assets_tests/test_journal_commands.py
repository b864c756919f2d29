"""`autoif journal`: what is removed and merged, and that nothing paid for is lost by it."""

import json
import os
import time

import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.warehouse import Warehouse

from .assets.pipeline import differing, run_batch, tables

pytestmark = pytest.mark.usefixtures("remembering_sandbox")

ASSETS = {
    *("augmented_instructions", "verifier_generation", "back_translations"),
    *("responses", "response_scores", "further_responses", "further_scores"),
}
NOTHING_FURTHER = {"near_misses_per_prompt": 0, "further_responses_per_prompt": 0}


def journal(*arguments):
    result = CliRunner().invoke(main, ["journal", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def journals(data):
    return sorted(data.glob("journals/*/b1/*.jsonl"))


@pytest.fixture(autouse=True)
def environment(copied, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(copied.data))


def run(batch, **numbers):
    url = batch.simulator.base_url
    replace = {"batch": {"replace": True}}
    assert run_batch(batch.data, url, overrides=numbers, resources=replace).success


@pytest.mark.long
def test_pruning_takes_what_is_old_and_in_the_table(copied):
    files = journals(copied.data)
    assert {path.parts[-3] for path in files} == ASSETS
    for path in files:
        age(path, 10)
    # As a run leaves it that was killed before it could load its calls.
    responses = next(path for path in files if "responses" in path.parts)
    record = json.loads(responses.read_text().splitlines()[0]) | {"call_id": "0" * 16}
    with responses.open("a") as file:
        file.write(json.dumps(record) + "\n")
    age(responses, 10)
    loaded = Warehouse(copied.data).read("llm_calls")

    assert "0 journals" in journal("prune", "--older-than", "11")
    would = journal("prune", "--older-than", "9", "--dry-run")
    assert "6 journals" in would and "would be removed" in would
    assert journals(copied.data) == files
    pruned = journal("prune", "--older-than", "9")
    assert "6 journals" in pruned and "would" not in pruned
    assert "kept     responses b1: 1 of its calls are not in llm_calls" in pruned
    assert journals(copied.data) == [responses]

    # A smaller batch asks for less; what was paid for before stays in the table.
    asked = copied.simulator.stats()["by_role"]
    run(copied, seeds_per_batch=1, **NOTHING_FURTHER)
    again = copied.simulator.stats()["by_role"]
    assert again["response"] == asked["response"]
    assert again["verifier"]["served"] > asked["verifier"]["served"]
    kept = set(Warehouse(copied.data).read("llm_calls")["call_id"])
    assert set(loaded["call_id"]) < kept


@pytest.mark.long
def test_compacting_loses_nothing(copied):
    run(copied, responses_per_prompt=6)
    assert len(journals(copied.data)) > len(ASSETS)
    state, asked = tables(copied.data, cost=True), copied.requested()
    assert "files of" in journal("compact", "--asset", "responses")
    journal("compact")
    assert {path.parts[-3] for path in journals(copied.data)} == ASSETS
    assert len(journals(copied.data)) == len(ASSETS)
    assert "0 journals compacted" in journal("compact")
    run(copied, responses_per_prompt=6)
    assert copied.requested() == asked
    assert differing(tables(copied.data, cost=True), state) == []
