"""Every family says, reads, writes and breaks what its checker checks."""

import json
from importlib.resources import files
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.simulator import grammar
from autoif_assets.simulator.families import FAMILIES
from autoif_assets.simulator.reading import read_instruction

families = st.sampled_from(sorted(FAMILIES))
seeds = st.integers(0, 2**32)
QUERIES = (
    "",
    "How do I grow tomatoes on a balcony?",
    "用三句话介绍一下量子计算",
    "because every lantern needs oil, what colour is best?",
)


def constraints(name, seed):
    return FAMILIES[name].draw(Random(seed))


def test_there_are_enough_families_and_instructions():
    assert len(FAMILIES) >= 25
    drawn = {grammar.draw(Random(seed)) for seed in range(20_000)}
    assert len(drawn) > 2000
    assert len({family.category for family in FAMILIES.values()}) >= 10


@settings(deadline=None)
@given(families, seeds)
def test_an_instruction_reads_back_as_its_constraint(name, seed):
    constraint = constraints(name, seed)
    instruction = grammar.phrase(constraint, Random(seed))
    assert read_instruction(instruction) == constraint, instruction


@settings(deadline=None)
@given(families, seeds, st.sampled_from(QUERIES), st.integers(1, 5))
def test_satisfying_and_violating_texts_are_what_they_claim(name, seed, query, size):
    constraint = constraints(name, seed)
    assert grammar.holds(constraint, grammar.satisfy(constraint, Random(seed), query, size))
    assert not grammar.holds(constraint, grammar.violate(constraint, Random(seed), query, size))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_each_family_offers_several_wordings_and_a_near_miss(name):
    rng = Random(1)
    constraint = FAMILIES[name].draw(rng)
    assert len({grammar.phrase(constraint, rng) for _ in range(60)}) >= 2
    assert all(grammar.near(constraint, rng) != constraint for _ in range(20))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_read_and_checked(text):
    read_instruction(text)
    for family in FAMILIES.values():
        family.check(text, family.draw(Random(0)).values)


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
