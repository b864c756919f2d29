"""Online pairs and the scorecard, on cases with known answers."""

import polars as pl
import pytest

from autoif_assets.method.online import (
    contrast_queries,
    online_pairs,
    scorecard,
    spin_pairs,
)
from autoif_assets.method.pairs import PAIR_COLUMNS
from autoif_assets.method.recipe import make_recipe
from autoif_assets_tests.method.frames import INSTRUCTIONS, reasons

VERDICTS = {
    "response_id": pl.String,
    "prompt_id": pl.String,
    "split": pl.String,
    "passed": pl.Int64,
    "pass_rate": pl.Float64,
    "status": pl.String,
    "reason": pl.String,
}


def sampled(*samples):
    """Return responses and verdicts of ``(prompt, instruction, text, reason, verdict)``."""
    responses = pl.DataFrame(
        [
            (prompt, instruction, text and f"{prompt}{text}", reason)
            for prompt, instruction, text, reason, _ in samples
        ],
        schema=dict.fromkeys(("prompt_id", "instruction_id", "response_id", "reason"), pl.String),
        orient="row",
    )
    verdicts = pl.DataFrame(
        [
            (
                f"{prompt}{text}",
                "accepted" if verdict == "pass" else "rejected",
                None if verdict == "pass" else verdict,
            )
            for prompt, _, text, reason, verdict in samples
            if reason is None
        ],
        schema={"response_id": pl.String, "status": pl.String, "reason": pl.String},
        orient="row",
    )
    return responses, verdicts


NUMBERS = make_recipe("paper", {"policy_responses_per_prompt": 4, "bootstrap_samples": 500})
CATEGORIES = pl.DataFrame(
    {"instruction_id": ["i", "j"], "category": ["length", None]},
    schema={"instruction_id": pl.String, "category": pl.String},
)


def test_the_scorecard_of_a_known_case():
    card = scorecard(
        *sampled(
            # 2 of 4 pass: a repeated passing text counts twice.
            ("p", "i", "a", None, "pass"),
            ("p", "i", "a", "duplicate", None),
            ("p", "i", "b", None, "low_pass_rate"),
            ("p", "i", "c", "truncated", None),
            # 0 of 1 with a verdict; silence is no sample, nor is what the server refused or ended.
            ("q", "j", "a", None, "low_pass_rate"),
            ("q", "j", "b", None, "no_verdict"),
            ("q", "j", None, "call_refused", None),
            ("q", "j", "c", "aborted", None),
            ("q", "j", "d", "unfinished", None),
        ),
        CATEGORIES,
        NUMBERS,
    )
    assert card["category"].to_list() == ["all", "length", "none"]
    assert card["samples"].to_list() == [5, 4, 1]
    assert card["pass_at_1"].to_list() == [0.25, 0.5, 0.0]
    assert card["pass_at_k"].to_list() == [1.0, 1.0, None]
    assert card.row(0, named=True)["pass_at_1_low"] == 0.0
    assert card.row(0, named=True)["pass_at_1_high"] == 0.5


def test_the_interval_is_reproducible_and_draws_instructions():
    samples = [
        (f"p{i}-{n}", f"i{i}", "a", None, "pass" if i % 2 else "low_pass_rate")
        for i in range(20)
        for n in range(10)
    ]
    categories = pl.DataFrame(
        {"instruction_id": [f"i{i}" for i in range(20)], "category": ["c"] * 20}
    )
    card = scorecard(*sampled(*samples), categories, NUMBERS)
    assert card.equals(scorecard(*sampled(*samples[::-1]), categories, NUMBERS))
    row = card.row(0, named=True)
    # The 20 instructions decide, not the 200 prompts: sqrt(.25 / 20) * 1.96 = 0.22, not 0.07.
    assert 0.25 <= row["pass_at_1_low"] <= 0.35
    assert 0.65 <= row["pass_at_1_high"] <= 0.75


def test_nothing_sampled_gives_no_row():
    assert scorecard(*sampled(), CATEGORIES, NUMBERS).height == 0


def paired(**overrides):
    """Return the online pairs of three prompts; one is held out, and one on neither side."""
    verdicts = pl.DataFrame(
        [
            ("good", "p", "train", 2, 1.0, "accepted", None),
            ("half", "p", "train", 1, 0.5, "rejected", "low_pass_rate"),
            ("bad", "p", "train", 0, 0.0, "rejected", "low_pass_rate"),
            ("silent", "p", "train", 0, None, "rejected", "no_verdict"),
            ("good3", "r", "neither", 2, 1.0, "accepted", None),
            ("bad3", "r", "neither", 0, 0.0, "rejected", "low_pass_rate"),
            ("good2", "q", "eval", 2, 1.0, "accepted", None),
            ("bad2", "q", "eval", 0, 0.0, "rejected", "low_pass_rate"),
        ],
        schema=VERDICTS,
        orient="row",
    )
    outcome = pl.when(pl.col("passed") == 0).then(pl.lit("fail")).otherwise(pl.lit("pass"))
    verdicts = verdicts.with_columns(
        outcomes=pl.concat_list(pl.struct(verifier_id=pl.lit("v"), outcome=outcome))
    )
    responses = verdicts.select("response_id", response="response_id")
    prompts = pl.DataFrame(
        {
            "prompt_id": ["p", "q"],
            "instruction_id": ["i", "j"],
            "query_id": ["u", "u"],
            "instruction": ["Use no commas.", "Answer in two words."],
            "context": ['[{"role":"system","content":"Be brief."}]', None],
            "prompt": ["P", "Q"],
        }
    )
    supervised = pl.DataFrame({"prompt_id": ["p", "q"], "passing": [8, 8], "judged": [10, 10]})
    examples = pl.DataFrame(
        {
            "prompt_id": ["p", "p", "q"],
            "instruction_id": ["i", "i", "j"],
            "response_id": ["good", "taught", "taught2"],
            "response": ["good", "taught", "taught2"],
            "pass_rate": [1.0, 1.0, 1.0],
            "score": [9.0, 9.0, 9.0],
        }
    )
    recipe = make_recipe("paper", overrides)
    return online_pairs(prompts, responses, verdicts, supervised, examples, recipe, "b/p")


def test_pairs_leave_out_the_held_out_side_and_silent_verifiers():
    pairs = paired()
    shown = ("prompt", "chosen", "rejected", "failed_verifiers", "origin", "status")
    assert pairs.select(shown).rows() == [("P", "good", "bad", ["v"], "sampled", "accepted")]
    assert not pairs["constrains_length"].any()


def test_spin_adds_the_training_responses_as_chosen_once():
    pairs = paired(spin_pairs=True, rejected_per_prompt=9, pairs_per_prompt=99)
    assert pairs["pair_id"].is_unique().all()
    found = set(pairs.select("chosen", "rejected", "rejected_pass_rate", "origin").rows())
    assert found == {("good", "bad", 0.0, "sampled")} | {
        (chosen, rejected, None, "spin")
        for chosen in ("good", "taught")
        for rejected in ("half", "bad", "silent")
        if (chosen, rejected) != ("good", "bad")
    }
    assert set(pairs["prompt"]) == {"P"}
    assert pairs["context"].null_count() == 0
    assert set(pairs["status"]) == {"accepted"}


def test_spin_pairs_prefer_the_training_response_to_the_policys_own():
    examples = pl.DataFrame(
        {
            "prompt_id": ["p", "q"],
            "instruction_id": "i",
            "response_id": ["t", "u"],
            "response": ["teacher", "alone"],
            "pass_rate": [1.0, 1.0],
            "score": [9.0, 9.0],
        }
    )
    policy = pl.DataFrame(
        {
            "prompt_id": ["p", "p", "other"],
            "instruction_id": "i",
            "response_id": ["t", "o", "x"],
            "response": ["teacher", "own", "nothing to learn"],
        }
    )
    pairs = spin_pairs(INSTRUCTIONS, examples, policy, make_recipe("paper"), "b")
    assert pairs.columns == ["prompt_id", "pair_id", *PAIR_COLUMNS]
    assert pairs.drop("pair_id", "chosen_id", "rejected_id").to_dicts() == [
        {
            "prompt_id": "p",
            "chosen": "teacher",
            "rejected": "own",
            "chosen_pass_rate": 1.0,
            "rejected_pass_rate": None,
            "chosen_score": 9.0,
            "rejected_score": None,
            "chosen_length": 7,
            "rejected_length": 3,
            "failed_verifiers": [],
            "margin": None,
            "constrains_length": False,
            "origin": "spin",
        }
    ]


def test_contrast_keeps_prompts_with_a_large_gap():
    queries = pl.DataFrame({"prompt_id": list("abc"), "passing": [8, 8, 4], "judged": [10, 10, 4]})
    passed, failed = ("accepted", None), ("rejected", "low_pass_rate")
    silent = ("rejected", "no_verdict")
    verdicts = pl.DataFrame(
        [
            *[("a", *passed)] * 3,
            *[("a", *failed)] * 7,
            *[("b", *passed)] * 7,
            *[("b", *failed)] * 3,
            ("c", *silent),
        ],
        schema=["prompt_id", "status", "reason"],
        orient="row",
    )
    kept = contrast_queries(queries, verdicts, 0.5)
    assert reasons(kept, "prompt_id") == {"a": None, "b": "small_gap", "c": "no_policy_verdict"}
    assert kept["gap"].to_list() == [pytest.approx(0.5), pytest.approx(0.1), None]


@pytest.mark.parametrize(
    ("gap", "reason"),
    # The supervision model passes 8 of 10, the policy 1 of 3 with a verdict.
    [(None, None), (0.4, None), (0.5, "small_gap")],
)
def test_contrast_rejects_pairs_of_prompts_where_the_policy_does_nearly_as_well(gap, reason):
    pairs = paired(contrast_min_gap=gap)
    assert pairs["reason"].to_list() == [reason]
    assert pairs["status"].to_list() == ["rejected" if reason else "accepted"]
