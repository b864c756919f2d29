import dataclasses

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.estimate import ESTIMATE_SCHEMA, Yields, batches_missing, estimate
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import PAPER, make_recipe

SEEDS = pl.DataFrame(
    {
        "instruction": ["x" * 50] * 10,
        "category": ["c" * 6, "d" * 6] * 5,
        "verifier": [None] * 10,
    },
    schema_overrides={"verifier": pl.String},
)
QUERIES = pl.DataFrame(
    {"query": ["q" * 100] * 40, "context": [None] * 40}, schema_overrides={"context": pl.String}
)
RECIPE = make_recipe(
    "paper",
    {
        "instructions_per_batch": 30,
        "instructions_per_call": 20,
        "seeds_per_batch": 8,
        "verifiers_per_instruction": 5,
        "queries_per_instruction": 2,
        "responses_per_prompt": 3,
    },
)
YIELDS = Yields(
    rewrites=0.4,
    verifiers=0.6,
    verified=0.5,
    passing=0.25,
    chars_per_token=5.0,
    completion_tokens={
        "self_instruct": 10.0,
        "category": 7.0,
        "verifier": 100.0,
        "boundary_cases": 90.0,
        "repair": 80.0,
        "audit": 5.0,
        "back_translation": 20.0,
        "nli": 6.0,
        "response": 200.0,
        "score": 400.0,
    },
)


def prompt_tokens(role, variables):
    return (len(PROMPTS[role].source) + variables) / 5


def test_a_batch_worked_out_by_hand():
    rows = {row["role"]: row for row in estimate(RECIPE, SEEDS, 9, QUERIES, YIELDS).to_dicts()}
    # Two calls for 30 rewrites; 8 of the 9 fresh seeds and 12 of the rewrites go on; each has 3
    # verifiers left; half of the instructions with 2 queries; a quarter of 60 responses pass.
    assert {role: (row["requests"], row["completions"]) for role, row in rows.items()} == {
        "self_instruct": (2, 2),
        "category": (0, 0),
        "verifier": (20, 100),
        "boundary_cases": (0, 0),
        "repair": (0, 0),
        "audit": (0, 0),
        "back_translation": (60, 60),
        "nli": (60, 60),
        "response": (20, 60),
        "near_miss": (0, 0),
        "score": (15, 15),
        "likelihood": (0, 0),
    }
    # 400 tokens of a judge that may write 256 are 256.
    assert {role: row["completion_tokens"] for role, row in rows.items()} == {
        "self_instruct": 400,
        "category": 0,
        "verifier": 10_000,
        "boundary_cases": 0,
        "repair": 0,
        "audit": 0,
        "back_translation": 1200,
        "nli": 360,
        "response": 12_000,
        "near_miss": 0,
        "score": 15 * 256,
        "likelihood": 0,
    }
    assert rows["response"]["most_completion_tokens"] == 60 * 2048
    variables = {
        "self_instruct": 10 * 53,
        "category": 0,
        "verifier": 50,
        "boundary_cases": 0,
        "repair": 0,
        "audit": 0,
        "back_translation": 500,
        "nli": 50 + 100,
        "response": 150,
        "near_miss": 150,
        "score": 150 + 1000,
    }
    del rows["likelihood"]
    assert {role: row["prompt_tokens"] for role, row in rows.items()} == {
        role: round(rows[role]["requests"] * prompt_tokens(role, chars))
        for role, chars in variables.items()
    }


def test_no_function_is_asked_for_where_people_hand_one_in():
    handed = SEEDS.with_columns(verifier=pl.Series(["[]", None] * 5))
    rows = {row["role"]: row for row in estimate(RECIPE, handed, 9, QUERIES, YIELDS).to_dicts()}
    # Half of the 8 seeds come with one.
    assert rows["verifier"]["requests"] == 16
    assert rows["back_translation"]["requests"] == 60


def test_what_an_audit_asks_is_counted():
    audited = {
        "categorise": True,
        "boundary_cases": True,
        "repair_rounds": 1,
        "repairs_per_instruction": 2,
        "audited_texts_per_instruction": 8,
        "obeying_probes_per_instruction": 8,
        "breaking_probes_per_instruction": 4,
    }
    recipe = make_recipe("paper", {**RECIPE.model_dump(), **audited})
    yields = dataclasses.replace(YIELDS, repaired=0.25, contested=0.5)
    rows = {row["role"]: row for row in estimate(recipe, SEEDS, 9, QUERIES, yields).to_dicts()}
    assert {role: (row["requests"], row["completions"]) for role, row in rows.items()} == {
        "self_instruct": (2, 2),
        "category": (12, 12),
        "verifier": (20, 100),
        "boundary_cases": (20, 20),
        "repair": (10, 10),
        "audit": (80, 80),
        "back_translation": (60, 60),
        "nli": (60, 60),
        # 60 responses to 20 prompts, and 8 texts for each of 20 instructions.
        "response": (40, 60 + 160),
        "near_miss": (20, 80),
        "score": (15, 15),
        "likelihood": (0, 0),
    }
    # Both categories, each with an instruction beside it.
    assert rows["category"]["prompt_tokens"] == round(12 * prompt_tokens("category", 50 + 112))
    assert rows["category"]["completion_tokens"] == 12 * 7


def test_nobody_is_asked_for_a_category_where_the_seeds_have_none():
    recipe = make_recipe("paper", {**RECIPE.model_dump(), "categorise": True})
    seeds = SEEDS.with_columns(category=pl.lit(None, pl.String))
    assert estimate(recipe, seeds, 9, QUERIES, YIELDS).filter(role="category")["requests"][0] == 0


def test_asking_again_is_counted_where_it_is_wanted():
    recipe = make_recipe(
        "paper",
        {
            **RECIPE.model_dump(),
            "near_misses_per_prompt": 2,
            "further_responses_per_prompt": 6,
            "score_failing": True,
        },
    )
    yields = dataclasses.replace(YIELDS, all_good=0.2, all_failing=0.3, useful=0.5, failing=0.4)
    rows = {row["role"]: row for row in estimate(recipe, SEEDS, 9, QUERIES, yields).to_dicts()}
    # Of 20 prompts 4 have only good responses, 6 only bad ones.
    assert (rows["near_miss"]["requests"], rows["near_miss"]["completions"]) == (4, 8)
    assert (rows["response"]["requests"], rows["response"]["completions"]) == (26, 60 + 36)
    # A quarter and two fifths of 60, and half of 8 and 36.
    assert rows["score"]["requests"] == 15 + 24 + 4 + 18


@pytest.mark.parametrize(
    ("read", "responses"),
    # A quarter of 60 and half of 36 further ones; those, two fifths, all further, half of 8.
    [("none", 0), ("kept", 15 + 18), ("judged", 15 + 24 + 36 + 4)],
)
def test_likelihoods_take_two_requests_a_response(read, responses):
    recipe = make_recipe(
        "paper",
        {
            **RECIPE.model_dump(),
            "near_misses_per_prompt": 2,
            "further_responses_per_prompt": 6,
            "likelihood_of": read,
        },
    )
    yields = dataclasses.replace(YIELDS, all_good=0.2, all_failing=0.3, useful=0.5, failing=0.4)
    row = estimate(recipe, SEEDS, 9, QUERIES, yields).filter(role="likelihood")
    # One of the two has the prompt of 150 characters before the 200 tokens of the response.
    wanted = (2 * responses, 2 * responses, responses * (200 + 230), 2 * responses, 2 * responses)
    assert row.drop("role").row(0) == wanted


def test_a_local_nli_model_is_asked_nothing():
    table = estimate(RECIPE, SEEDS, 9, QUERIES, YIELDS, nli=False)
    assert table.filter(role="nli").drop("role").row(0) == (0, 0, 0, 0, 0)
    assert table.filter(role="score")["requests"].item() == 15


shares = st.floats(0, 1)


@given(
    fresh=st.integers(0, 10),
    seeds=st.integers(0, 10),
    queries=st.integers(0, 40),
    yields=st.builds(
        Yields, rewrites=shares, verifiers=shares, verified=shares, passing=shares,
        chars_per_token=st.floats(1, 8),
    ),
)  # fmt: skip
def test_an_estimate_is_within_what_the_recipe_allows(fresh, seeds, queries, yields):
    table = estimate(PAPER, SEEDS.head(seeds), fresh, QUERIES.head(queries), yields)
    assert table.schema == ESTIMATE_SCHEMA
    # Another template of a verifier is no stage of its own.
    roles = [role for role in PROMPTS if role != "verifier_with_query"]
    assert table["role"].to_list() == [*roles, "likelihood"]
    assert table.drop("role").min_horizontal().min() >= 0
    assert (table["completion_tokens"] <= table["most_completion_tokens"]).all()
    requests = dict(table.select("role", "requests").iter_rows())
    assert requests["verifier"] <= fresh + PAPER.instructions_per_batch
    assert requests["nli"] == requests["back_translation"] <= 8 * requests["verifier"] + 8
    if queries == 0:
        assert requests["response"] == requests["score"] == 0


@pytest.mark.parametrize(
    ("wanted", "yields", "unmade", "missing"),
    [
        (100, [10], 0, 9),
        (100, [10, 30], 0, 3),
        (100, [10, 30], 2, 1),
        (100, [10, 30], 9, 0),
        (100, [10, 0], 0, 18),
        (40, [10, 30], 0, 0),
        (41, [10, 30], 0, 1),
    ],
)
def test_missing_batches(wanted, yields, unmade, missing):
    assert batches_missing(wanted, yields, unmade) == missing


@pytest.mark.parametrize("yields", [[], [0, 0]])
def test_nothing_is_said_where_nothing_is_known(yields):
    with pytest.raises(ValueError, match="autoif run"):
        batches_missing(10, yields, 3)


@given(st.integers(1, 10**6), st.lists(st.integers(1, 10**4), min_size=1, max_size=20))
def test_the_batches_suffice_and_one_fewer_would_not(wanted, yields):
    missing = batches_missing(wanted, yields, 0)
    mean = sum(yields) / len(yields)
    assert sum(yields) + missing * mean >= wanted - 1e-6
    assert missing == 0 or sum(yields) + (missing - 1) * mean < wanted


def test_what_was_said_before_a_query_is_read_with_it():
    alone = estimate(RECIPE, SEEDS, 9, QUERIES, YIELDS)
    longer = estimate(RECIPE, SEEDS, 9, QUERIES.with_columns(context=pl.lit("c" * 500)), YIELDS)
    more = longer["prompt_tokens"] - alone["prompt_tokens"]
    read_by = dict(zip(alone["role"], more, strict=True))
    assert {role for role, tokens in read_by.items() if tokens} == {"response", "score"}
    assert read_by["response"] == 20 * 500 / YIELDS.chars_per_token
    assert longer.drop("prompt_tokens").equals(alone.drop("prompt_tokens"))
