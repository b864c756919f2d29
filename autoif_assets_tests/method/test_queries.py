import itertools

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoif_assets.method.holdout import is_eval_query, is_held_out
from autoif_assets.method.queries import (
    augment_queries,
    difficulty,
    filter_queries,
    pass_at_k,
)
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets_tests.method.frames import matrix, reasons

PAPER = make_recipe("paper")
INSTRUCTIONS = pl.DataFrame({"instruction_id": ["i", "j"], "instruction": ["Use a.", "Use b."]})
OLD = ["q02", "q20", "q38", "q17"]
QUERIES = pl.DataFrame({"query_id": [f"q{n:02}" for n in range(40)], "query": "why"}).with_columns(
    context=pl.format("[{}]", "query_id")
)

NO_MATRIX = matrix({})


def test_each_instruction_gets_its_own_reproducible_sample():
    first = augment_queries(INSTRUCTIONS, QUERIES, NO_MATRIX, PAPER, "b1")
    assert first.equals(
        augment_queries(
            INSTRUCTIONS.reverse(),
            QUERIES.sample(fraction=1, shuffle=True),
            NO_MATRIX,
            PAPER,
            "b1",
        )
    )
    assert first.group_by("instruction_id").len()["len"].to_list() == [16, 16]
    assert first["prompt_id"].n_unique() == 32
    samples = [set(first.filter(instruction_id=i)["query_id"]) for i in ("i", "j")]
    assert samples[0] != samples[1]
    other = augment_queries(INSTRUCTIONS, QUERIES, NO_MATRIX, PAPER, "b2")
    assert set(other.filter(instruction_id="i")["query_id"]) != samples[0]


def test_few_queries_are_all_used_and_none_give_an_empty_frame():
    few = augment_queries(INSTRUCTIONS, QUERIES.head(3), NO_MATRIX, PAPER, "b")
    assert few.height == 6
    assert few["context"].to_list() == [f"[{query_id}]" for query_id in few["query_id"]]
    assert augment_queries(INSTRUCTIONS, QUERIES.clear(), NO_MATRIX, PAPER, "b").is_empty()


MANY = pl.DataFrame(
    {
        "instruction_id": [f"i{n:03}" for n in range(80)],
        "instruction": [f"Use {n} commas." for n in range(80)],
    }
)
POOL = pl.DataFrame({"query_id": [f"q{n:03}" for n in range(300)], "query": "why", "context": None})


def drawn_by_side(recipe, pool=POOL):
    """Return the queries of instructions that are trained on, and of those that are held out."""
    drawn = augment_queries(MANY, pool, NO_MATRIX, recipe, "b1").join(
        MANY.with_columns(held_out=is_held_out(MANY, recipe)), on="instruction_id"
    )
    return [set(drawn.filter(held_out=side)["query_id"]) for side in (False, True)]


@pytest.mark.slow
@given(
    st.floats(0.01, 0.9),
    st.integers(0, 30),
    st.sets(st.sampled_from(POOL["query_id"].to_list()), min_size=60),
)
def test_no_query_is_drawn_by_both_sides(share, seed, names):
    recipe = make_recipe("paper", {"eval_share": share, "seed": seed})
    # Where one side has no query at all, both draw from all.
    assume(len({is_eval_query(name, seed) for name in names}) == 2)
    train, held_out = drawn_by_side(recipe, POOL.filter(pl.col("query_id").is_in(sorted(names))))
    assert not train & held_out
    # As the pool grows, no query changes sides.
    more_train, more_held_out = drawn_by_side(recipe)
    assert not train & more_held_out
    assert not held_out & more_train


def test_held_out_instructions_get_as_many_queries_as_others():
    drawn = augment_queries(MANY, POOL, NO_MATRIX, PAPER, "b1")
    assert set(drawn.group_by("instruction_id").len()["len"]) == {16}
    few = (
        augment_queries(MANY, POOL.head(100), NO_MATRIX, PAPER, "b1")
        .group_by("instruction_id")
        .len()
    )
    held_out = MANY.filter(is_held_out(MANY, PAPER))["instruction_id"]
    counts = {name: count for name, count in few.iter_rows() if name in set(held_out)}
    assert all(0 < count < 16 for count in counts.values())
    assert len(counts) == len(held_out) > 0


def test_instructions_that_the_same_texts_obey_draw_from_one_side():
    held_out = MANY.with_columns(held_out=is_held_out(MANY, PAPER))
    train, out = (held_out.filter(held_out=side)["instruction_id"][0] for side in (False, True))

    def drawn(vectors):
        frame = augment_queries(MANY, POOL, matrix(vectors), PAPER, "b1")
        return {name: set(frame.filter(instruction_id=name)["query_id"]) for name in (train, out)}

    half = "1" * 10 + "0" * 10
    apart, tied = drawn({train: half, out: half[::-1]}), drawn({train: half, out: half})
    assert apart == drawn({})
    assert all(is_eval_query(query, PAPER.seed) for query in apart[out])
    assert not any(is_eval_query(query, PAPER.seed) for query in tied[out])
    assert tied[train] == apart[train]


@pytest.mark.parametrize("overrides", [{"split_queries": False}, {"eval_share": 0}])
def test_without_division_all_draw_from_all(overrides):
    recipe = make_recipe("paper", {"queries_per_instruction": 300, **overrides})
    drawn = augment_queries(MANY, POOL, NO_MATRIX, recipe, "b1")
    assert drawn.height == MANY.height * POOL.height
    # What earlier code drew for this batch, so that a batch of that time asks nothing anew.
    old = augment_queries(INSTRUCTIONS, QUERIES, NO_MATRIX, make_recipe("paper", overrides), "b1")
    assert old.filter(instruction_id="i")["query_id"].to_list()[:4] == OLD


def test_a_handful_of_queries_serves_both_sides():
    recipe = make_recipe("paper", {"eval_share": 0.5})
    train, held_out = drawn_by_side(recipe, POOL.head(2))
    assert train and held_out


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
