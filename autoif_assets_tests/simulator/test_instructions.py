"""Instructions are written and read back, those of other authors included."""

import json
from importlib.resources import files
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.simulator.families import FAMILIES
from autoif_assets.simulator.instructions import read_instruction, write_instruction


@settings(deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(0, 2**32))
def test_an_instruction_reads_back_as_its_constraint(name, seed):
    constraint = FAMILIES[name].draw(Random(seed))
    instruction = write_instruction(constraint, Random(seed))
    assert read_instruction(instruction) == constraint, instruction


@pytest.mark.parametrize(
    "instruction, family, values",
    [
        ("Keep your reply under 50 words.", "word_count", {"rel": "at most", "n": 49}),
        ("Please limit your answer to 3 sentences.", "sentence_count", {"rel": "at most", "n": 3}),
        ("Use more than two semicolons.", "mark_times", {"mark": ";", "rel": "at least", "n": 3}),
        ("Answer without using the letter ‘e’.", "no_letter", {"letter": "e"}),
        ("Include the word “tea” twice.", "word_times", {"word": "tea", "rel": "exactly", "n": 2}),
        ("Use the words 'b' and 'a'.", "include_both", {"first": "a", "second": "b"}),
        ("Do not use any commas.", "no_mark", {"mark": ","}),
    ],
)  # fmt: skip
def test_wordings_of_other_authors_are_read(instruction, family, values):
    constraint = read_instruction(instruction)
    assert constraint is not None
    assert (constraint.family, constraint.values) == (family, values)


@pytest.mark.parametrize(
    "instruction",
    [
        "",
        "Write in the voice of a pirate.",
        "Write each word with exactly five letters in the second sentence.",
        "Answer in exactly four sentences, each starting with a vowel and ending in a rhyme.",
        "Use only words that rhyme with moon.",
    ],
)
def test_what_no_family_knows_is_not_guessed(instruction):
    assert read_instruction(instruction) is None


def test_most_packaged_seeds_are_recognised_in_their_category():
    text = files("autoif_assets.method").joinpath("data/seed_instructions.jsonl").read_text("utf-8")
    seeds = [json.loads(line) for line in text.splitlines()]
    read = [(seed, read_instruction(seed["instruction"])) for seed in seeds]
    known = [(seed, constraint) for seed, constraint in read if constraint]
    assert len(known) > 0.6 * len(seeds)
    agreeing = [
        seed for seed, found in known if FAMILIES[found.family].category == seed["category"]
    ]
    assert len(agreeing) > 0.9 * len(known)
