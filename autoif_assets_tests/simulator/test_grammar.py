"""Every family draws, mistakes, writes and breaks what its checker checks."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.simulator import grammar
from autoif_assets.simulator.families import FAMILIES
from autoif_assets.simulator.instructions import read_instruction, write_instruction

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
@given(families, seeds, st.sampled_from(QUERIES), st.integers(1, 5))
def test_satisfying_and_violating_texts_are_what_they_claim(name, seed, query, size):
    constraint = constraints(name, seed)
    assert grammar.holds(constraint, grammar.satisfy(constraint, Random(seed), query, size))
    assert not grammar.holds(constraint, grammar.violate(constraint, Random(seed), query, size))


@settings(deadline=None)
@given(families, seeds, st.booleans())
def test_narrow_texts_lie_where_the_verdict_turns(name, seed, obeys):
    constraint = constraints(name, seed)
    text = grammar.narrow(constraint, Random(seed), obeys=obeys)
    assert grammar.holds(constraint, text) == obeys
    values = constraint.values
    if {"rel", "n"} <= set(values):
        counts = [values["n"]] if obeys else [values["n"] - 1, values["n"] + 1]
        assert any(
            FAMILIES[name].check(text, {**values, "rel": "exactly", "n": count}) for count in counts
        )


@settings(deadline=None)
@given(families, seeds)
def test_the_closest_texts_differ_in_a_letter(name, seed):
    constraint, rng = constraints(name, seed), Random(seed)
    good, bad = grammar.satisfy(constraint, rng), grammar.violate(constraint, rng)
    bad, good = grammar.closest(bad, good, lambda text: grammar.holds(constraint, text), rng)
    assert grammar.holds(constraint, good) and not grammar.holds(constraint, bad)
    assert abs(len(good) - len(bad)) <= 1
    assert sum(a != b for a, b in zip(good, bad, strict=False)) <= 1 or len(good) != len(bad)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_each_family_offers_several_wordings_and_a_near_miss(name):
    rng = Random(1)
    constraint = FAMILIES[name].draw(rng)
    assert len({write_instruction(constraint, rng) for _ in range(60)}) >= 2
    assert all(grammar.near(constraint, rng) != constraint for _ in range(20))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_read_and_checked(text):
    read_instruction(text)
    for family in FAMILIES.values():
        family.check(text, family.draw(Random(0)).values)


@pytest.mark.parametrize("size", [1, 2])
def test_more_capitals_than_a_text_has_words_are_written(size):
    constraint = FAMILIES["capital_letters"].constraint({"rel": "at least", "n": 40})
    text = grammar.satisfy(constraint, Random(1), "", size)
    assert sum(char.isupper() for char in text) >= 40
