"""Selections with known answers."""

import polars as pl
import pytest

from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets.method.responses import filter_queries
from autoif_assets.method.selection import contrast_queries, difficulty

from .frames import reasons


@pytest.mark.parametrize(
    ("passing", "judged", "k", "expected"),
    [
        (2, 4, 1, 0.5),
        (2, 4, 2, 1 - 1 / 6),  # of the six pairs one holds no pass
        (1, 4, 4, 1.0),
        (0, 4, 4, 0.0),
        (1, 2, 4, 1.0),  # only two were judged
        (0, 0, 1, None),
    ],
)
def test_pass_at_k(passing, judged, k, expected):
    found = difficulty(pl.Series([passing]), pl.Series([judged]), k)[0]
    assert found is None if expected is None else found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("numbers", "rejected"),
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
def test_difficulty_keeps_what_it_drops(numbers, rejected):
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
    judged = verdicts_with_scores(verdicts, scores)
    queries = filter_queries(prompts, judged, make_recipe("paper", numbers))
    assert queries["judged"].to_list() == [4] * 5
    expected = {str(n): None for n in range(5)} | {"0": "no_passing_response"} | rejected
    assert reasons(queries, "prompt_id") == expected


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
    ("numbers", "words"),
    [
        ({"ifd_min_quantile": 0.5}, "needs likelihood_of"),
        ({"pair_order": "likelihood", "likelihood_of": "kept"}, "to be judged"),
        ({"difficulty_min": 0.9}, "difficulty_min is above difficulty_max"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(numbers, words):
    with pytest.raises(ValueError, match=words):
        make_recipe("paper", numbers)
