"""Verifier sources: recognised exactly, and right or wrong when they are really run."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.sandbox import Limits, Sandbox, Unit, static_check
from autoif_assets.simulator import grammar
from autoif_assets.simulator.families import FAMILIES
from autoif_assets.simulator.verifiers import (
    STYLES,
    Verifier,
    all_writings,
    read_verifier,
    spoil_source,
    write_buggy,
    write_verifier,
)

QUERY = "How do I grow tomatoes on a balcony?"


def texts(constraint, count=3):
    rng = Random(str(constraint))
    own = [
        write(constraint, rng, QUERY, 1 + i)
        for i in range(count)
        for write in (grammar.satisfy, grammar.violate)
    ]
    return own + [grammar.satisfy(grammar.draw(rng), rng, QUERY) for _ in range(count)]


def run(units):
    with Sandbox(workers=1, limits=Limits(call_cpu_s=1.0)) as sandbox:
        return list(sandbox.evaluate(units))


def disagreements(constraints, sources, count=3):
    """Run each source on texts of its constraint and return where it differs from the checker."""
    inputs = [tuple(texts(constraint, count)) for constraint in constraints]
    units = [Unit(id=str(i), source=source, inputs=inputs[i]) for i, source in enumerate(sources)]
    wrong = []
    for constraint, source, given_texts, result in zip(
        constraints, sources, inputs, run(units), strict=True
    ):
        for text, outcome in zip(given_texts, result.outcomes, strict=True):
            expected = "pass" if grammar.holds(constraint, text) else "fail"
            if outcome != expected:
                wrong.append((constraint, source, text, str(outcome), result.details[:1]))
    return wrong


@pytest.mark.slow
def test_every_right_body_agrees_with_the_trusted_checker():
    constraints, sources = [], []
    for index, (name, family) in enumerate(sorted(FAMILIES.items())):
        constraint = family.draw(Random(name))
        # Every body once, in changing styles; the next test runs the styles.
        writings = list(all_writings(constraint))
        for position in range(len(family.code)):
            sources.append(writings[position * len(STYLES) + (index + position) % len(STYLES)])
            constraints.append(constraint)
    assert disagreements(constraints, sources) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sentence_count", "json_object", "word_times"])
def test_every_style_agrees_with_the_trusted_checker(name):
    constraint = FAMILIES[name].draw(Random(3))
    sources = list(all_writings(constraint))
    assert disagreements([constraint] * len(sources), sources) == []


@pytest.mark.slow
def test_every_subtly_wrong_body_is_wrong_on_some_text():
    constraints, sources = [], []
    for name, family in sorted(FAMILIES.items()):
        constraint = family.draw(Random(name))
        for source in list(all_writings(constraint, buggy=True))[:: len(STYLES)]:
            constraints.append(constraint)
            sources.append(source)
    wrong = {source for _, source, *_ in disagreements(constraints, sources, 15)}
    assert set(sources) - wrong == set()


@pytest.mark.slow
def test_defects_keep_a_source_from_giving_verdicts():
    rng = Random(5)
    constraint = FAMILIES["word_count"].draw(rng)
    spoilt = {spoil_source(write_verifier(constraint, rng), rng) for _ in range(60)}
    usable = [source for source in spoilt if static_check(source) is None]
    assert 0 < len(usable) < len(spoilt)
    results = run([Unit(id=source, source=source, inputs=("Some words.",)) for source in usable])
    assert all(not outcome.is_verdict for result in results for outcome in result.outcomes)


@settings(deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(0, 2**32))
def test_a_right_source_reads_back_as_its_constraint(name, seed):
    rng = Random(seed)
    constraint = FAMILIES[name].draw(rng)
    assert read_verifier(write_verifier(constraint, rng)) == Verifier(constraint, None)


@settings(deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(0, 2**32))
def test_a_wrong_source_is_never_read_as_right(name, seed):
    rng = Random(seed)
    constraint = FAMILIES[name].draw(rng)
    spoilt = spoil_source(write_verifier(constraint, rng), rng)
    assert read_verifier(spoilt).flaw == "defect"
    buggy = write_buggy(constraint, rng)
    assert buggy is None or read_verifier(buggy) == Verifier(constraint, "bug")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_sources_come_in_several_styles_and_need_no_more_than_the_standard_library(name):
    constraint = FAMILIES[name].draw(Random(2))
    sources = set(all_writings(constraint))
    assert len(sources) == len(STYLES) * len(FAMILIES[name].code)
    assert {static_check(source) for source in sources} == {None}


@settings(deadline=None)
@given(st.text(max_size=400))
def test_any_text_can_be_read_as_a_verifier(source):
    assert read_verifier(source).constraint is None
