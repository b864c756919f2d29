import json
from importlib.resources import files

import polars as pl
import pytest

from autoif_assets.method.lengths import balanced, constrains_length

PACKAGED = files("autoif_assets.method") / "data" / "seed_instructions.jsonl"


def said(instruction, category=None):
    frame = pl.DataFrame({"i": [instruction], "c": [category]}, schema={"i": str, "c": str})
    return frame.select(constrains_length(pl.col("i"), pl.col("c"))).item()


@pytest.mark.parametrize(
    "instruction",
    [
        "Use no more than 75 words in the whole response.",
        "Answer in exactly four sentences.",
        "Stay within 280 characters, spaces included.",
        "Write a 3-paragraph answer.",
        "Answer in a single line.",
        "Use between 1,000 and 1,200 words.",
        "Be brief.",
        "Explain it in detail.",
        "Keep the answer shorter than the question.",
    ],
)
def test_instructions_about_length_are_known_by_their_words(instruction):
    assert said(instruction)


@pytest.mark.parametrize(
    "instruction",
    [
        'Use the word "because" at least three times.',
        'Use at least five words that begin with the letter "m".',
        "Include at least two words written entirely in capitals.",
        "Write everything in lowercase.",
        "Do not use any commas.",
        "Arrange the lines of the answer in alphabetical order.",
        "",
    ],
)
def test_other_counts_are_not_about_length(instruction):
    assert not said(instruction)
    assert said(instruction, "length")


def test_most_packaged_instructions_of_the_category_are_known_without_it():
    rows = [json.loads(line) for line in PACKAGED.read_text("utf-8").splitlines()]
    texts = {row["instruction"]: row["category"] for row in rows}
    found = {text for text in texts if said(text)}
    length = {text for text, category in texts.items() if category == "length"}
    assert length - found == {"Do not use any word longer than ten letters."} - found
    assert len(found - length) < len(texts) / 6


def test_of_many_only_the_first_twelve_are_looked_at():
    lengths = [100] * 12 + [1]
    assert list(balanced([("p", lengths, [1], (1, 1))])) == [("p", (0,), (0,))]


def test_those_with_the_fewest_ways_come_first():
    prompts = [("free", [5, 15], [5], (1, 1)), ("bound", [10], [20], (1, 1))]
    assert list(balanced(prompts)) == [("bound", (0,), (0,)), ("free", (1,), (0,))]
