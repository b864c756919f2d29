"""Near misses and further samples: who is asked, what counts, and as what."""

import polars as pl
import pytest

from autoif_assets.method.ids import content_id, derived_seed
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.resampling import (
    FURTHER,
    NEAR,
    further_prompts,
    near_miss_prompts,
    parse_further,
    verdicts_with_scores,
    verify_further,
)
from autoif_assets_tests.method.frames import completions, outcomes, reasons

ASKING = make_recipe("paper", {"near_misses_per_prompt": 2, "further_responses_per_prompt": 4})
VERDICT = {
    "response_id": pl.String,
    "prompt_id": pl.String,
    "passed": pl.Int64,
    "status": pl.String,
    "reason": pl.String,
}
SCORE = {"response_id": pl.String, "score": pl.Float64, "status": pl.String}
KEYS = {"prompt_id": pl.String, "instruction_id": pl.String}
GOOD, FAIL = ("accepted", None, 2), ("rejected", "low_pass_rate", 0)
HALF, SILENT = ("rejected", "low_pass_rate", 1), ("rejected", "no_verdict", 0)


def prompts(*names):
    return pl.DataFrame(
        [(name, "i", f"q{name}", "Use no commas.", f"Why {name}?", f"[{name}]") for name in names],
        schema=["prompt_id", "instruction_id", "query_id", "instruction", "query", "context"],
        orient="row",
    )


def assessed(by_prompt, score=9.0):
    rows = [
        (f"{prompt}{n}", prompt, passed, status, reason)
        for prompt, verdicts in by_prompt.items()
        for n, (status, reason, passed) in enumerate(verdicts)
    ]
    verdicts = pl.DataFrame(rows, schema=VERDICT, orient="row")
    scores = verdicts.filter(status="accepted").select(
        "response_id",
        score=pl.lit(score),
        status=pl.lit("accepted" if score >= 8 else "rejected"),
    )
    return verdicts_with_scores(verdicts, scores)


STARVED = {
    "good": [GOOD, GOOD],
    "bad": [FAIL, FAIL],
    "both": [GOOD, FAIL],
    "half": [GOOD, HALF],
    "halves": [HALF, HALF],
    "silent": [SILENT, SILENT],
    "bad or silent": [FAIL, SILENT],
    "none": [],
}


def test_those_are_asked_again_that_make_no_pair():
    rows = prompts(*STARVED)
    found = assessed(STARVED)
    assert near_miss_prompts(rows, found, ASKING)["prompt_id"].to_list() == ["good", "half"]
    further = further_prompts(rows, found, ASKING, "b")
    assert further["prompt_id"].to_list() == ["bad", "bad or silent"]
    # Answers that are no good are nothing to prefer to a near miss.
    assert near_miss_prompts(rows, assessed(STARVED, score=5.0), ASKING).is_empty()


def test_no_near_misses_of_prompts_that_difficulty_drops():
    overrides = {**ASKING.model_dump(), "difficulty": "drop_0_and_1"}
    recipe = make_recipe("paper", overrides)
    rows, found = prompts(*STARVED), assessed(STARVED)
    assert near_miss_prompts(rows, found, recipe)["prompt_id"].to_list() == ["half"]
    # A further sample may pass, and then the prompt is no longer too hard.
    further = further_prompts(rows, found, recipe, "b")
    assert further["prompt_id"].to_list() == ["bad", "bad or silent"]


def test_by_default_nobody_is_asked():
    rows, found = prompts(*STARVED), assessed(STARVED)
    for recipe in (make_recipe("paper"), make_recipe("authors_code")):
        assert near_miss_prompts(rows, found, recipe).is_empty()
        assert further_prompts(rows, found, recipe, "b").is_empty()


def test_further_samples_have_seeds_of_their_own():
    rows = further_prompts(prompts("bad"), assessed({"bad": [FAIL]}), ASKING, "b")
    first = derived_seed("b", str(ASKING.seed), "response", rows["prompt"][0])
    assert rows["seed"].to_list() != [first]
    assert rows["prompt"][0].endswith("[Query] Why bad?")
    assert rows["context"].to_list() == ["[bad]"]
    other = further_prompts(prompts("bad"), assessed({"bad": [FAIL]}), ASKING, "c")
    assert other["seed"].to_list() != rows["seed"].to_list()


def test_a_near_miss_is_asked_to_break_the_instruction():
    rows = near_miss_prompts(prompts("p"), assessed({"p": [GOOD]}), ASKING)
    (prompt,) = rows["prompt"]
    assert prompt.endswith("[Instruction to break] Use no commas.\n[Query] Why p?")
    assert rows["context"].to_list() == ["[p]"]


def test_what_a_prompt_has_already_is_a_duplicate():
    def said(prompt, *texts):
        rows = [
            {"prompt_id": prompt, "instruction_id": "i", "raw": text, "sample": n}
            for n, text in enumerate(texts)
        ]
        return completions(*rows, **KEYS)

    known = pl.Series([content_id("response", "bad", "Old.")])
    asked = ((NEAR, said("good", "A, slip.")), (FURTHER, said("bad", "Old.", "New.", "New.")))
    found = pl.concat(parse_further(answers, origin, known) for origin, answers in asked)
    assert found.select("prompt_id", "sample", "origin", "reason").rows() == [
        ("good", 0, "near_miss", None),
        ("bad", 0, "further", "duplicate"),
        ("bad", 1, "further", None),
        ("bad", 2, "further", "duplicate"),
    ]


@pytest.mark.parametrize(
    ("origin", "said", "reason"),
    [
        ("near_miss", ["fail", "fail"], None),
        ("near_miss", ["fail", "fail", "timeout"], None),
        ("near_miss", ["pass", "fail", "fail"], "not_missed"),
        ("near_miss", ["pass", "pass"], "not_missed"),
        ("near_miss", ["fail", "crash"], "few_verdicts"),
        ("near_miss", ["error"], "no_verdict"),
        ("near_miss", [], "no_verifier"),
        ("further", ["pass", "pass"], None),
        ("further", ["fail", "fail"], "low_pass_rate"),
    ],
)
def test_a_near_miss_is_to_pass_nothing_and_a_further_sample_to_pass(origin, said, reason):
    responses = pl.DataFrame(
        {"response_id": ["r"], "prompt_id": "p", "instruction_id": "i", "origin": origin}
    )
    table = {f"v{n}": {"r": outcome} for n, outcome in enumerate(said)}
    found = verify_further(responses, outcomes(table), ASKING)
    assert reasons(found, "response_id") == {"r": reason}
    assert found["origin"].to_list() == [origin]


@pytest.mark.parametrize(
    ("origin", "verdict", "score", "serves"),
    [
        ("near_miss", ("accepted", None, 0), 9.0, (False, False, True)),
        # Neither a refusal nor what nobody scored is a near miss.
        ("near_miss", ("accepted", None, 0), 3.0, (False, False, False)),
        ("near_miss", ("accepted", None, 0), None, (False, False, False)),
        ("near_miss", ("rejected", "not_missed", 2), None, (False, False, False)),
        ("near_miss", ("rejected", "few_verdicts", 0), None, (False, False, False)),
        ("further", ("accepted", None, 2), 9.0, (True, True, False)),
        ("further", ("accepted", None, 2), 3.0, (True, False, False)),
        ("further", ("rejected", "low_pass_rate", 0), None, (False, False, True)),
        ("further", ("rejected", "low_pass_rate", 1), None, (False, False, False)),
    ],
)
def test_what_a_further_response_serves_as(origin, verdict, score, serves):
    status, reason, passed = verdict
    rows = [("r", "p", passed, status, reason, origin)]
    scores = [] if score is None else [("r", score, "accepted" if score >= 8 else "rejected")]
    found = verdicts_with_scores(
        pl.DataFrame(schema=VERDICT),
        pl.DataFrame(schema=SCORE),
        pl.DataFrame(rows, schema={**VERDICT, "origin": pl.String}, orient="row"),
        pl.DataFrame(scores, schema=SCORE, orient="row"),
    )
    assert found.select("passes", "is_positive", "is_negative").rows() == [serves]
    # Near misses were to fail, so they say nothing of how hard the prompt is.
    assert found["is_judged"].to_list() == [origin == "further"]
    assert found.select("origin", "score").rows() == [(origin, score)]
