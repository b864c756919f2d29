"""Verifiers, cases and labels that people hand in, through a whole batch."""

import json

import polars as pl
import pytest

from autoif_assets.resources import Inputs
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.simulator.models import MILD

from .pipeline import accepted, run_batch, tables

pytestmark = pytest.mark.slow

NO_COMMAS = "def evaluate(response):\n    return ',' not in response\n"
WRONG = "def evaluate(response):\n    return ',' in response\n"
CASES = [
    {"input": "one two three", "output": True},
    {"input": "one, two", "output": False},
]
SEEDS = [
    {"instruction": "Do not use any commas in your answer.", "verifier": NO_COMMAS, "cases": CASES},
    {"instruction": "Write no comma at all, please.", "verifier": [WRONG], "cases": CASES},
    {
        "instruction": "Answer in lowercase letters only.",
        "cases": [{"input": "Aa", "output": False}],
    },
    {"instruction": "Write exactly 3 sentences."},
]
LABELLED = [
    {"instruction": SEEDS[0]["instruction"], "response": "a, b", "follows": "no"},
    {"instruction": SEEDS[0]["instruction"], "response": "a b", "follows": "yes"},
    {"instruction": SEEDS[1]["instruction"], "response": "a b", "follows": "yes"},
    {"instruction": "An instruction of no batch.", "response": "a b", "follows": "yes"},
]


@pytest.fixture(scope="module", params=["paper", "audited"])
def made(request, tmp_path_factory):
    """The tables of a batch of the four seeds, and its result."""
    folder = tmp_path_factory.mktemp("trusted")
    for name, rows in (("seeds", SEEDS), ("labels", LABELLED)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    inputs = Inputs(seeds=str(folder / "seeds.jsonl"), labelled=str(folder / "labels.jsonl"))
    numbers = {"instructions_per_batch": 0, "seeds_per_batch": None}
    with Simulator(SimulatorSettings(**MILD)) as simulator:
        result = run_batch(
            folder / "data",
            simulator.base_url,
            recipe=request.param,
            overrides=numbers,
            inputs=inputs,
            upto="verified_instructions",
        )
        assert result.success
        labelled = run_batch(
            folder / "data",
            simulator.base_url,
            recipe=request.param,
            overrides=numbers,
            inputs=inputs,
            only="labelled_agreement",
        )
        assert labelled.success
    return tables(folder / "data"), labelled


@pytest.fixture
def t(made):
    return made[0]


def ids(t):
    return dict(t["augmented_instructions"].select("instruction", "instruction_id").iter_rows())


def test_nothing_is_asked_where_a_function_is_handed_in(t):
    of = ids(t)
    candidates = t["verifier_candidates"]
    counts = dict(candidates.group_by("instruction_id").len().iter_rows())
    assert [counts[of[seed["instruction"]]] for seed in SEEDS] == [1, 1, 6, 6]
    theirs = candidates.filter(origin="user")
    assert set(theirs["source"]) == {NO_COMMAS, WRONG}
    assert theirs["call_id"].null_count() == 2
    calls = t["llm_calls"].filter(asset="verifier_generation")
    wanted = calls.filter(pl.col("request").str.contains('"func"'))
    assert wanted.height == 2
    assert not any(SEEDS[0]["instruction"] in prompt for prompt in wanted["prompt"])


def test_what_people_hand_in_is_marked_and_judged(t):
    of = ids(t)
    verifiers = t["verifiers"].filter(origin="user")
    reasons = dict(verifiers.select("source", "reason").iter_rows())
    assert reasons == {NO_COMMAS: None, WRONG: "low_agreement"}
    cases = t["verifier_cases"].filter(origin="user")
    assert cases.height == 5
    assert accepted(cases).height == 5
    audits = t["verifier_audits"].filter(origin="user")
    assert set(audits["source"]) == {NO_COMMAS}
    # Of the one that contradicts people's cases nothing is mended by a model.
    assert of[SEEDS[1]["instruction"]] not in set(t["verifier_repairs"]["instruction_id"])
    verified = dict(t["verified_instructions"].select("instruction", "reason").iter_rows())
    assert verified[SEEDS[1]["instruction"]] == "no_verifier"
    # What hardly any text breaks is of no use for training, whoever says how to check it.
    assert verified[SEEDS[0]["instruction"]] in (None, "contradiction", "vacuous")


def test_labels_tell_of_verifiers_in_use_and_rejected(made):
    t, result = made
    rows = t["labelled_agreement"].join(
        t["verifiers"].select("verifier_id", "source"), on="verifier_id"
    )
    told = rows.select("source", "origin", "texts", "following", "agreed", "no_verdict").rows()
    assert sorted(told) == sorted([(NO_COMMAS, "user", 2, 1, 2, 0), (WRONG, "user", 1, 1, 0, 0)])
    gates = dict(rows.select("source", "gate").iter_rows())
    assert gates[WRONG] == "low_agreement"
    (event,) = result.asset_materializations_for_node("labelled_agreement")
    numbers = {
        name: event.metadata[f"labelled/{name}"].value
        for name in ("rows", "rows_of_batch", "wrongly_rejected", "in_use_wrong")
    }
    assert numbers["rows"] == 4
    assert numbers["rows_of_batch"] == 3
    assert numbers["in_use_wrong"] == 0
    assert numbers["wrongly_rejected"] == (gates[NO_COMMAS] != "in use")
    assert "take 20 or more" in event.metadata["labelled/warning"].value
    assert "| low_agreement | 1 | 0 | 0 | 0% |" in event.metadata["labelled/gates"].value
