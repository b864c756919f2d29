"""Categories of instructions that a model wrote."""

import polars as pl
import pytest

from autoif_assets.method.categories import (
    category_answer,
    category_prompts,
    known_categories,
    parse_categories,
    short_categories,
    with_categories,
)
from autoif_assets.method.recipe import make_recipe
from autoif_assets_tests.method.frames import completions

ASKING = make_recipe("paper", {"categorise": True})
SEEDS = pl.DataFrame(
    [
        ("Use no commas at all.", "punctuation"),
        ("Use no commas.", "punctuation"),
        ("Write three lines.", "Layout and form"),
        ("Be odd.", "other"),
        ("Be even.", None),
    ],
    schema=["instruction", "category"],
    orient="row",
)
NO_CATEGORIES = SEEDS.with_columns(category=pl.lit(None, pl.String))


def instructions(*rows):
    schema = ["instruction_id", "instruction", "category", "status"]
    return pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")


def read(*raws, seeds=SEEDS, **changes):
    frame = completions(*({"raw": raw, **changes} for raw in raws))
    ids = pl.Series("instruction_id", [f"i{n}" for n in range(len(raws))], dtype=pl.String)
    return parse_categories(frame.with_columns(ids), seeds)


def test_categories_are_those_of_the_seeds_each_with_its_shortest_instruction():
    assert known_categories(SEEDS).rows() == [
        ("Layout and form", "Write three lines."),
        ("punctuation", "Use no commas."),
    ]
    assert known_categories(SEEDS.reverse()).equals(known_categories(SEEDS))
    (said,) = category_answer(SEEDS)["properties"].values()
    assert said["enum"] == ["Layout and form", "punctuation", "other"]


def test_of_very_many_categories_the_most_common_are_offered():
    names = [f"c{n:03}" for n in range(150)]
    seeds = pl.DataFrame({"instruction": ["x" * 500] * 152, "category": [*names, "c149", "c148"]})
    known = known_categories(seeds)
    assert known["category"].to_list() == [*names[:98], "c148", "c149"]
    assert known["example"].str.len_chars().max() < 200


def test_accepted_instructions_without_a_category_are_asked_about():
    rows = instructions(
        ("a", "Use no commas.", "punctuation", "accepted"),
        ("b", "End with {{ Ah }}.", None, "accepted"),
        ("c", "End with Oh.", None, "rejected"),
    )
    asked = category_prompts(rows, SEEDS, ASKING)
    assert asked["instruction_id"].to_list() == ["b"]
    assert asked["prompt"][0].endswith("Instruction: End with {{ Ah }}.")
    assert "\n- Layout and form: Write three lines.\n- punctuation: Use no" in asked["prompt"][0]
    assert category_prompts(rows, SEEDS, make_recipe("paper")).is_empty()
    assert category_prompts(rows, NO_CATEGORIES, ASKING).is_empty()


@pytest.mark.parametrize(
    ("raw", "category"),
    [
        ('{"category": "punctuation"}', "punctuation"),
        ('It is this:\n```json\n{"category": " Punctuation. "}\n```', "punctuation"),
        ('{"category": "layout and form"}', "Layout and form"),
        ('{"category": "other"}', "other"),
        ('{"category": "style"}', "other"),
        ('{"category": ""}', "other"),
        ("punctuation", "punctuation"),
        ('"Layout and form".', "Layout and form"),
    ],
)
def test_an_answer_is_one_of_the_categories(raw, category):
    assert read(raw).rows() == [("i0", category, None)]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ('{"category": 3}', "no_category"),
        ('{"category": null}', "no_category"),
        ("It may be punctuation or style.", "no_category"),
        ("", "empty"),
        (None, "empty"),
    ],
)
def test_what_is_no_answer_is_no_category(raw, reason):
    assert read(raw).rows() == [("i0", None, reason)]


def test_a_call_that_failed_and_an_answer_that_was_cut_say_nothing():
    assert read('{"category": "other"}', error="400")["category"].to_list() == [None]
    assert read('{"category": "other"}', finish_reason="length")["reason"].to_list() == [
        "truncated"
    ]


def test_categories_that_differ_only_in_case_stay_two():
    seeds = pl.DataFrame({"instruction": ["A.", "B."], "category": ["Case", "case"]})
    found = read('{"category": "Case"}', '{"category": "case"}', seeds=seeds)
    assert found["category"].to_list() == ["Case", "case"]


def test_an_instruction_keeps_all_but_its_category():
    rows = instructions(
        ("a", "Use no commas.", "punctuation", "accepted"),
        ("b", "End with Ah.", None, "accepted"),
        ("b", "End with  Ah.", None, "rejected"),
        ("c", "End with Oh.", None, "accepted"),
    )
    found = pl.DataFrame({"instruction_id": ["a", "b", "c"], "category": ["x", "other", None]})
    given = with_categories(rows, found)
    assert given["category"].to_list() == ["punctuation", "other", None, None]
    assert given.drop("category").equals(rows.drop("category"))
    assert with_categories(rows, read()).equals(rows)


@pytest.mark.parametrize(
    ("there", "short"),
    [
        ([], []),
        (["a", "b", "c"], []),
        (["a", "a", "b", None, "other", "elsewhere"], ["c"]),
        (["a"] * 9 + ["b"], ["c", "b"]),
        (["c"], ["a", "b"]),
    ],
)
def test_categories_below_the_mean_are_short_the_fewest_first(there, short):
    seeds = pl.DataFrame({"instruction": ["x", "y", "z"], "category": ["a", "b", "c"]})
    assert short_categories(seeds, pl.Series(there, dtype=pl.String)) == short
    none = seeds.with_columns(category=pl.lit(None, pl.String))
    assert short_categories(none, pl.Series(there, dtype=pl.String)) == []


def test_of_many_short_categories_eight_are_named():
    seeds = pl.DataFrame({"instruction": ["x"] * 20, "category": [f"c{n:02}" for n in range(20)]})
    there = pl.Series([name for n, name in enumerate(seeds["category"]) for _ in range(n)])
    assert short_categories(seeds, there) == [f"c{n:02}" for n in range(8)]
