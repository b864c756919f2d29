"""Prompts for RL, and the verifiers that decide about them."""

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.holdout import Sides
from autoif_assets.method.recipe import PAPER, RecipeError, make_recipe
from autoif_assets.method.rl import reward_entries, reward_lines, rl_prompts


def made(counts, recipe=PAPER, held_out=(), base_rates=None):
    """Return rl_prompts of prompts p0, p1, … of instructions i0, i1, …, by (judged, passing)."""
    n = len(counts)
    ids = [f"i{k}" for k in range(n)]
    prompts = pl.DataFrame(
        {
            "prompt_id": [f"p{k}" for k in range(n)],
            "instruction_id": ids,
            "query_id": [f"q{k}" for k in range(n)],
            "query": ["Why?"] * n,
            "context": [None] * n,
            "prompt": ["Why? Shout."] * n,
        },
        schema_overrides={"context": pl.String},
    )
    counted = pl.DataFrame(
        {
            "prompt_id": prompts["prompt_id"],
            "judged": [judged for judged, _ in counts],
            "passing": [passing for _, passing in counts],
        }
    )
    rates = base_rates or [0.25] * n
    instructions = pl.DataFrame(
        {"instruction_id": ids, "base_rate": rates}, schema_overrides={"base_rate": pl.Float64}
    )
    return rl_prompts(prompts, counted, instructions, Sides(frozenset(held_out)), recipe)


def test_prompts_without_a_gradient_are_rejected():
    rows = made([(8, 0), (8, 1), (8, 7), (8, 8), (0, 0)])
    assert rows["reason"].to_list() == ["too_hard", None, None, "too_easy", "no_verdict"]
    assert rows["pass_rate"].to_list() == [0.0, 0.125, 0.875, 1.0, None]
    assert rows["instruction_ids"].to_list() == [[f"i{k}"] for k in range(5)]
    assert rows["base_rates"].to_list() == [[0.25]] * 5


def test_the_recipe_chooses():
    counts = [(10, 0), (10, 1), (10, 5), (10, 9), (10, 10)]
    everything = made(counts, make_recipe("paper", {"rl_difficulty": "all"}))
    assert everything["status"].to_list() == ["accepted"] * 5
    band = make_recipe(
        "paper", {"rl_difficulty": "band", "rl_difficulty_min": 0.2, "rl_difficulty_max": 0.8}
    )
    assert made(counts, band)["reason"].to_list() == [
        *("too_hard", "too_hard", None, "too_easy", "too_easy")
    ]
    with pytest.raises(RecipeError, match="rl_difficulty_min is above"):
        make_recipe("paper", {"rl_difficulty_min": 0.9, "rl_difficulty_max": 0.1})


def test_sides_and_unknown_base_rates_are_told():
    rows = made([(8, 4), (8, 4)], held_out=["i1"], base_rates=[None, 0.5])
    assert rows["split"].to_list() == ["train", "eval"]
    assert rows["base_rates"].to_list() == [[None], [0.5]]


@given(st.lists(st.integers(0, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))))
def test_accepted_are_those_that_some_and_not_all_pass(counts):
    rows = made(counts)
    assert (rows["status"] == "accepted").to_list() == [0 < c < n for n, c in counts]


AUDIT = {
    "origin": "sampled",
    "samples": 1,
    "accuracy": None,
    "accuracy_true": None,
    "accuracy_false": None,
    "sibling_agreement": None,
    "mutants": 0,
    "told_apart": 0,
    "answers": 0,
    "answers_agreed": 0,
}
SCHEMA = {
    **dict.fromkeys(("accuracy", "accuracy_true", "accuracy_false"), pl.Float64),
    "sibling_agreement": pl.Float64,
}
CASES = pl.DataFrame(
    [
        {"instruction_id": "i", "input": "a\u2028b", "query": None, "expected": True},
        {"instruction_id": "i", "input": "a\u2028b", "query": "q", "expected": False},
        {"instruction_id": "i", "input": "a\u2028b", "query": None, "expected": True},
    ]
)


def entries(audits, instructions=("i",), cases=CASES, **more):
    named = pl.DataFrame(
        [
            {"instruction_id": id, "instruction": f"Do {id}.", "category": None}
            for id in instructions
        ]
    )
    rows = [
        {"instruction_id": "i", "source": f"# {a['verifier_id']}", **AUDIT, **a} for a in audits
    ]
    frame = pl.DataFrame(rows, schema_overrides=SCHEMA)
    agreed = pl.DataFrame({"verifier_id": ["r", "s"], "response_agreement": [0.9, 0.8]})
    return list(reward_entries(named, frame, agreed, cases, {"memory_mb": 512}, **more))


def test_the_best_audited_come_first():
    (entry,) = entries(
        [
            {"verifier_id": "a", "samples": 5},
            {"verifier_id": "b", "accuracy": 0.9, "accuracy_true": 0.9, "accuracy_false": 0.9},
            {"verifier_id": "c", "accuracy": 0.95, "accuracy_true": 1.0, "accuracy_false": 0.8},
            {"verifier_id": "d", "sibling_agreement": 0.9},
            {"verifier_id": "e", "answers": 4, "answers_agreed": 3},
            {"verifier_id": "f", "answers": 4, "answers_agreed": 4},
            {"verifier_id": "g", "origin": "user"},
            {"verifier_id": "h"},
            {"verifier_id": "r", "samples": 1},
            {"verifier_id": "s", "sibling_agreement": 1.0},
        ]
    )
    assert "".join(one["verifier_id"] for one in entry["verifiers"]) == "gfersdbcah"
    assert entry["verifiers"][0]["audit"] == {
        **AUDIT,
        "origin": "user",
        "response_agreement": None,
    }


def test_an_entry_of_several_batches_is_one():
    (entry,) = entries(
        [
            {"verifier_id": "a"},
            {"verifier_id": "b", "samples": 2},
            {"verifier_id": "a", "samples": 3},
        ],
        instructions=("i", "i", "without verifiers"),
    )
    assert [one["verifier_id"] for one in entry["verifiers"]] == ["a", "b"]
    assert entry["cases"] == [
        {"input": "a\u2028b", "query": "q", "expected": False},
        {"input": "a\u2028b", "expected": True},
    ]


def test_lines_hold_what_they_need_and_nothing_ends_them_early():
    made = entries([{"verifier_id": "a"}], modules_of=lambda source: [source[2:]])
    lines = reward_lines(iter(made))
    assert lines.count(b"\n") == 1 and lines.isascii()
    assert len(lines.decode().splitlines()) == 1
    assert json.loads(lines) == made[0]
    assert made[0]["limits"] == {"memory_mb": 512, "modules": ["a"]}
