import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.queries import (
    augment_queries,
    difficulty,
    filter_queries,
    pass_at_k,
)
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets_tests.method.frames import reasons

PAPER = make_recipe("paper")
INSTRUCTIONS = pl.DataFrame({"instruction_id": ["i", "j"], "instruction": ["Use a.", "Use b."]})
QUERIES = pl.DataFrame({"query_id": [f"q{n:02}" for n in range(40)], "query": "why"}).with_columns(
    context=pl.format("[{}]", "query_id")
)


def test_each_instruction_gets_its_own_reproducible_sample():
    first = augment_queries(INSTRUCTIONS, QUERIES, PAPER, "b1")
    assert first.equals(
        augment_queries(
            INSTRUCTIONS.reverse(), QUERIES.sample(fraction=1, shuffle=True), PAPER, "b1"
        )
    )
    assert first.group_by("instruction_id").len()["len"].to_list() == [16, 16]
    assert first["prompt_id"].n_unique() == 32
    samples = [set(first.filter(instruction_id=i)["query_id"]) for i in ("i", "j")]
    assert samples[0] != samples[1]
    other = augment_queries(INSTRUCTIONS, QUERIES, PAPER, "b2")
    assert set(other.filter(instruction_id="i")["query_id"]) != samples[0]


def test_few_queries_are_all_used_and_none_give_an_empty_frame():
    few = augment_queries(INSTRUCTIONS, QUERIES.head(3), PAPER, "b")
    assert few.height == 6
    assert few["context"].to_list() == [f"[{query_id}]" for query_id in few["query_id"]]
    assert augment_queries(INSTRUCTIONS, QUERIES.clear(), PAPER, "b").is_empty()


def test_filtered_queries_say_what_each_prompt_lacks():
    prompts = pl.DataFrame(
        {"prompt_id": list("abcd"), "instruction_id": "i", "query_id": list("1234")}
    )
    assessed = pl.DataFrame(
        {
            "prompt_id": ["a", "a", "b", "c"],
            "is_judged": [True, True, True, False],
            "passes": [True, False, True, False],
            "is_positive": [True, False, False, False],
            "is_negative": [False, True, False, False],
        }
    )
    kept = filter_queries(prompts, assessed, PAPER)
    assert reasons(kept, "prompt_id") == {
        "a": None,
        "b": "no_good_response",
        "c": "no_passing_response",
        "d": "no_response",
    }
    assert kept.filter(prompt_id="a").select("responses", "passing", "failing", "kept").row(0) == (
        2,
        1,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("overrides", "rejected"),
    [
        ({}, {}),
        ({"difficulty": "drop_0_and_1"}, {"4": "too_easy"}),
        (
            {"difficulty": "band", "difficulty_min": 0.5, "difficulty_max": 0.5},
            {"1": "too_hard", "3": "too_easy", "4": "too_easy"},
        ),
        # With two tries three of four and all of four pass for sure.
        ({"difficulty": "drop_0_and_1", "difficulty_k": 2}, {"3": "too_easy", "4": "too_easy"}),
    ],
)
def test_difficulty_keeps_what_it_drops(overrides, rejected):
    """Prompt n has n passing responses of four; a fifth without a verdict does not count."""
    rows = [
        (str(n), f"{n}-{i}", *(("accepted", None, 1) if i < n else ("rejected", why, 0)))
        for n in range(5)
        for i in range(5)
        for why in ["low_pass_rate" if i < 4 else "no_verdict"]
    ]
    columns = ["prompt_id", "response_id", "status", "reason", "passed"]
    verdicts = pl.DataFrame(rows, schema=columns, orient="row")
    prompts = pl.DataFrame({"prompt_id": [str(n) for n in range(5)]}).with_columns(
        instruction_id=pl.lit("i"), query_id=pl.lit("q")
    )
    scores = verdicts.filter(status="accepted").select("response_id", "status", score=pl.lit(9.0))
    assessed = verdicts_with_scores(verdicts, scores)
    queries = filter_queries(prompts, assessed, make_recipe("paper", overrides))
    assert queries["judged"].to_list() == [4] * 5
    expected = {str(n): None for n in range(5)} | {"0": "no_passing_response"} | rejected
    assert reasons(queries, "prompt_id") == expected


@pytest.mark.parametrize(
    ("passing", "assessed", "k", "expected"),
    [
        (2, 4, 1, 0.5),
        (2, 4, 2, 1 - 1 / 6),  # of the six pairs one holds no pass
        (1, 4, 4, 1.0),
        (0, 4, 4, 0.0),
        (1, 2, 4, 1.0),  # only two were assessed
        (0, 0, 1, None),
    ],
)
def test_pass_at_k(passing, assessed, k, expected):
    found = difficulty(pl.Series([passing]), pl.Series([assessed]), k)[0]
    assert found is None if expected is None else found == pytest.approx(expected)


@given(
    st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))
)
def test_pass_at_k_is_the_share_of_draws_with_a_correct_one(case):
    samples, correct, k = case
    draws = list(itertools.combinations([True] * correct + [False] * (samples - correct), k))
    assert pass_at_k(samples, correct, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_needs_k_samples():
    assert pass_at_k(3, 3, 4) is None
