import polars as pl
import pytest

from autoif_assets.method.ids import content_id
from autoif_assets.method.instructions import (
    augment_instructions,
    categories_wanted,
    self_instruct_prompts,
)
from autoif_assets.method.recipe import make_recipe
from autoif_assets_tests.method.frames import completions, reasons

PAPER = make_recipe("paper")


def seeds(*texts):
    return pl.DataFrame(
        {
            "instruction_id": [content_id("instruction", text) for text in texts],
            "instruction": list(texts),
            "category": "length",
        },
        schema=dict.fromkeys(("instruction_id", "instruction", "category"), pl.String),
    )


def elsewhere(*texts):
    return pl.DataFrame({"instruction": list(texts)}, schema={"instruction": pl.String})


SEEDS = seeds("Use no commas.", "Write three lines.")


def augment(*rows, seeds=SEEDS, others=(), recipe=PAPER):
    return augment_instructions(completions(*rows), seeds, elsewhere(*others), recipe, "b")


def test_prompts_ask_for_all_instructions_and_show_seeds():
    recipe = make_recipe("paper", {"instructions_per_batch": 120, "seed_examples_per_call": 1})
    prompts = self_instruct_prompts(SEEDS, recipe, "b")
    assert [text in prompts["prompt"][0] for text in SEEDS["instruction"]].count(True) == 1
    assert [f"write {n} new" in p for n, p in zip((50, 50, 20), prompts["prompt"], strict=True)]
    assert prompts["seed"].n_unique() == 3
    assert prompts.equals(self_instruct_prompts(SEEDS.reverse(), recipe, "b"))
    assert prompts["seed"].to_list() != self_instruct_prompts(SEEDS, recipe, "c")["seed"].to_list()


def test_scarce_categories_are_asked_for_where_the_recipe_wants_them_even():
    scarce = SEEDS.with_columns(category=pl.Series(["length", "casing"]))
    others = pl.DataFrame(
        {"instruction": ["A.", "B.", "Use no commas."], "category": ["casing", "casing", "length"]}
    )
    even = make_recipe("paper", {"coverage": "even"})
    # One of the seeds is another batch's; casing has three and length one.
    assert categories_wanted(scarce, others, even, "b") == ["length"]
    assert categories_wanted(scarce, others.clear(), even, "b") == []
    assert categories_wanted(scarce, others, PAPER, "b") is None
    (plain, asked) = (
        self_instruct_prompts(SEEDS, even, "b", categories)["prompt"][0]
        for categories in ([], ["length", "script"])
    )
    sentence = " At least half of them are of these kinds, which are scarce: length, script."
    assert asked == plain + sentence
    assert plain.endswith(" new instructions.")


def test_none_wanted_is_no_prompt():
    recipe = make_recipe("paper", {"instructions_per_batch": 0})
    assert self_instruct_prompts(SEEDS, recipe, "b").is_empty()


def test_seeds_come_first_and_keep_their_category():
    frame = augment({"raw": "- Begin with Oh."})
    assert frame.select("instruction", "origin", "category", "position", "call_id").rows() == [
        ("Use no commas.", "seed", "length", 0, None),
        ("Write three lines.", "seed", "length", 1, None),
        ("Begin with Oh.", "self_instruct", None, 2, "c"),
    ]
    assert set(frame["status"]) == {"accepted"}


def test_every_line_of_the_model_is_kept_with_its_reason():
    frame = augment(
        {
            "raw": "- Begin with Oh.\n- Begin with  Oh.\n- use no commas\n- Use no commas.\n"
            "- Old one."
        },
        {"raw": f"- {'x' * 501}", "sample": 1},
        {"raw": "- End with Ah.\n- Start ea", "sample": 2, "finish_reason": "length"},
        {"raw": None, "sample": 3, "error": "400"},
        {"raw": "```\n```", "sample": 4},
        {"raw": "- Say so.<|im_end|>\n- Say why.", "sample": 5},
        {"raw": "- Say ho", "sample": 6, "finish_reason": "abort"},
        others=["Old one."],
    )
    made = frame.filter(origin="self_instruct")
    assert made.select("sample", "reason").rows() == [
        (0, None),
        (0, "duplicate"),
        (0, "near_duplicate"),
        (0, "duplicate"),
        (0, "duplicate_of_batch"),
        (1, "too_long"),
        (2, None),
        (2, "truncated"),
        (3, "call_refused"),
        (4, "no_instruction"),
        (5, "control_tokens"),
        (5, None),
        (6, "aborted"),
    ]
    assert frame["position"].to_list() == list(range(frame.height))


def test_a_repeat_of_a_seed_that_another_batch_carries():
    frame = augment({"raw": "- Use no commas."}, others=["Use no commas."])
    assert reasons(frame, "instruction") == {
        "Write three lines.": None,
        "Use no commas.": "duplicate_of_seed",
    }


def test_an_instruction_stays_in_the_batch_that_has_it():
    first = augment({"raw": "- Begin with Oh."})
    taken = first.filter(status="accepted")["instruction"].to_list()
    second = augment({"raw": "- Begin with Oh.\n- End with Ah."}, others=taken)
    assert second.filter(status="accepted")["instruction"].to_list() == ["End with Ah."]
    again = augment({"raw": "- Begin with Oh."}, others=["End with Ah."])
    assert again.equals(first)


@pytest.mark.parametrize("limit", [0, 1, 2, 9])
def test_a_batch_carries_as_many_seeds_as_it_may(limit):
    frame = augment({"raw": "- A."}, recipe=make_recipe("paper", {"seeds_per_batch": limit}))
    assert frame.filter(origin="seed").height == min(limit, 2)


def test_more_lines_than_asked_for_are_kept_aside():
    recipe = make_recipe("paper", {"instructions_per_batch": 2})
    frame = augment({"raw": "- Use no commas.\n- Aa.\n- Bb.\n- Cc."}, recipe=recipe)
    assert frame.filter(origin="self_instruct")["reason"].to_list() == [
        "duplicate",
        None,
        None,
        "over_limit",
    ]
    assert frame.filter(origin="seed")["status"].to_list() == ["accepted"] * 2


def test_nothing_at_all():
    assert augment(seeds=seeds()).is_empty()
