import polars as pl
import pytest

from autoif_assets.method.recipe import AUTHORS_CODE, PAPER, RECIPES, Threshold, make_recipe


def test_the_recipe_of_the_paper():
    assert PAPER.instructions_per_batch == 100
    assert PAPER.verifiers_per_instruction == PAPER.responses_per_prompt == 8
    assert PAPER.queries_per_instruction == 16
    assert (PAPER.query_min_chars, PAPER.query_max_chars) == (20, 300)
    bounds = [PAPER.case_agreement, PAPER.verifier_agreement, PAPER.response_pass_rate]
    assert bounds == ["> 0.5"] * 3
    assert PAPER.min_score == ">= 8"


def test_the_recipe_of_the_authors_code():
    assert (AUTHORS_CODE.min_verifiers, AUTHORS_CODE.min_cases) == (3, 10)
    assert AUTHORS_CODE.case_agreement == "> 0"
    assert AUTHORS_CODE.verifier_agreement == ">= 0.8"
    assert AUTHORS_CODE.response_pass_rate == "> 0"
    assert AUTHORS_CODE.min_score == "> 8"
    assert AUTHORS_CODE.chosen_pass_rate == ">= 0.5"


@pytest.mark.parametrize(
    ("bound", "expected"),
    [("> 0.5", [False, False, True, None]), (">= 0.5", [False, True, True, None])],
)
def test_bounds_are_strict_or_not(bound, expected):
    values = pl.DataFrame({"x": [0.4, 0.5, 0.6, None]})
    assert values.select(Threshold.parse(bound).accepts(pl.col("x")))["x"].to_list() == expected


def test_overrides_replace_single_values():
    recipe = make_recipe("authors_code", {"responses_per_prompt": 2, "min_score": ">=7"})
    assert recipe.responses_per_prompt == 2
    assert recipe.min_score == ">= 7"
    assert recipe.min_cases == 10


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("papre", {}, "the recipes are audited, paper, authors_code"),
        ("paper", {"respones": 2}, "there is no respones; did you mean responses_per_prompt"),
        (
            "paper",
            {"responses_per_prompt": 0},
            "responses_per_prompt is 0: input should be greater",
        ),
        ("paper", {"min_score": "9"}, "min_score: '9' is no bound; write \">= 9\""),
        ("paper", {"min_score": 9}, "min_score: '9' is no bound; write \">= 9\""),
        ("paper", {"min_score": None}, 'write ">= 8"'),
    ],
)
def test_a_wrong_number_is_named(name, overrides, message):
    with pytest.raises(ValueError, match=message):
        make_recipe(name, overrides)


def test_every_recipe_keeps_its_name_in_overridable_form():
    for name, recipe in RECIPES.items():
        assert make_recipe(name) == recipe


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"ifd_min_quantile": 0.5}, "needs likelihood_of"),
        ({"pair_order": "likelihood", "likelihood_of": "kept"}, "to be judged"),
        ({"difficulty_min": 0.9}, "difficulty_min is above difficulty_max"),
    ],
)
def test_overrides_that_do_not_fit_together_are_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        make_recipe("paper", overrides)
