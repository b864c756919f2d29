"""Mistakes that samples share: how many make them, in which writings, and that they are wrong."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.method.ids import derived_seed
from autoif_assets.method.parsing import parse_verifier
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.sandbox import Sandbox, Unit, canonical_source, static_check
from autoif_assets.simulator import SimulatorSettings, grammar
from autoif_assets.simulator.families import FAMILIES
from autoif_assets.simulator.instructions import read_instruction, write_instruction
from autoif_assets.simulator.mistakes import mistake_of, shared_rank
from autoif_assets.simulator.settings import MISTAKES
from autoif_assets.simulator.truth import truth
from autoif_assets.simulator.verifiers import bodies_of, read_verifier
from autoif_assets_tests.simulator.models import NO_ERRORS
from autoif_assets_tests.simulator.test_answers import INSTRUCTION, ask

pytestmark = pytest.mark.slow

families = st.sampled_from(sorted(FAMILIES))


def model(count, kind="mixed"):
    changed = {"correlated_flaws": count, "correlated_kind": kind}
    return SimulatorSettings(**NO_ERRORS | changed)


def drawn(name, seed):
    rng = Random(seed)
    constraint = FAMILIES[name].draw(rng)
    return write_instruction(constraint, rng), constraint


def samples(settings, start, count=8, instruction=INSTRUCTION):
    return [
        parse_verifier(ask("verifier", start + i, settings, instruction=instruction))
        for i in range(count)
    ]


def is_right(source, instruction=INSTRUCTION):
    return truth("verifier", instruction=instruction, source=source)["right"]


@given(st.integers(0, 2**31), st.integers(0, 8), st.text(max_size=40), st.integers(0, 99))
def test_of_consecutive_seeds_as_many_share_the_mistake_as_are_to(start, count, text, seed):
    settings = SimulatorSettings(correlated_flaws=count, seed=seed)
    ranks = [shared_rank(text, start + i, settings) for i in range(8)]
    assert sorted(rank for rank in ranks if rank is not None) == list(range(count))


def test_of_another_number_of_samples_the_same_share_does_on_average():
    settings = SimulatorSettings(correlated_flaws=2, correlated_of=6)
    shares = [
        shared_rank(str(number), derived_seed("request", str(number)) + sample, settings) is None
        for number in range(300)
        for sample in range(4)
    ]
    assert 0.6 < sum(shares) / len(shares) < 0.73


@pytest.mark.parametrize("kind", MISTAKES)
@pytest.mark.parametrize("count", [2, 5])
def test_so_many_of_the_candidates_are_wrong_alike_and_the_others_right(kind, count):
    found = [sample.source for sample in samples(model(count, kind), 77)]
    assert [is_right(source) for source in found].count(False) == count
    wrong = [source for source in found if not is_right(source)]
    assert all(static_check(source) is None for source in wrong)
    if kind != "constant":
        assert len({canonical_source(source) for source in wrong}) == count


@settings(deadline=None, max_examples=40)
@given(families, st.integers(0, 2**32), st.sampled_from(MISTAKES), st.integers(0, 7))
def test_no_shared_mistake_is_right(name, seed, kind, rank):
    instruction, constraint = drawn(name, seed)
    mistake = mistake_of(instruction, constraint, kind, seed)
    source = mistake.write(rank, Random(seed))
    assert static_check(source) is None
    assert not is_right(source, instruction)


@pytest.mark.parametrize("kind", MISTAKES)
def test_the_sources_do_what_the_mistake_says_and_some_text_shows_that_it_is_wrong(kind):
    units, expected = [], []
    for name in sorted(FAMILIES)[::6]:
        instruction, constraint = drawn(name, 2)
        mistake = mistake_of(instruction, constraint, kind, 0)
        rng = Random(4)
        texts = ["", "word", *mistake.literals] + [
            write(constraint, rng, size=2)
            for _ in range(4)
            for write in (grammar.satisfy, grammar.violate)
        ]
        texts += [grammar.narrow(constraint, rng, obeys=i % 2 == 0) for i in range(80)]
        said = ["pass" if mistake.test(text) else "fail" for text in texts]
        right = ["pass" if grammar.holds(constraint, text) else "fail" for text in texts]
        assert said != right, (name, mistake)
        for rank in range(3):
            units.append(Unit(f"{name} {rank}", mistake.write(rank, rng), tuple(texts)))
            expected.append(said)
    with Sandbox(workers=1) as sandbox:
        results = list(sandbox.evaluate(units))
    assert [[str(outcome) for outcome in result.outcomes] for result in results] == expected


def test_constants_never_change_their_mind_and_near_constants_hardly():
    verdicts = {"constant": [], "near_constant": []}
    for kind, shares in verdicts.items():
        for name in sorted(FAMILIES)[::3]:
            instruction, constraint = drawn(name, 1)
            mistake = mistake_of(instruction, constraint, kind, 0)
            rng = Random(1)
            texts = [grammar.violate(constraint, rng) for _ in range(20)]
            shares.append(sum(map(mistake.test, texts)) / 20)
    assert set(verdicts["constant"]) == {0.0, 1.0}
    assert set(verdicts["near_constant"]) == {1.0}


def test_a_literal_keyed_function_passes_the_texts_of_its_own_cases_and_no_others():
    for sample in samples(model(8, "literal_keyed"), 5):
        held = [case for case in sample.cases if case.expected]
        assert held and all(json.dumps(case.input)[1:-1] in sample.source for case in held)
        for case in sample.cases:
            assert truth("case", instruction=INSTRUCTION, input=case.input, output=case.expected)[
                "right"
            ]
    mistake = mistake_of(INSTRUCTION, read_instruction(INSTRUCTION), "literal_keyed", 0)
    assert all(map(mistake.test, mistake.literals))
    fresh = [grammar.satisfy(mistake.meant, Random(seed)) for seed in range(20)]
    assert not any(map(mistake.test, fresh))


def test_the_word_response_in_a_literal_stays_as_it_is():
    instruction = 'Use the word "response" at least once.'
    mistake = mistake_of(instruction, read_instruction(instruction), "literal_keyed", 0)
    for rank in range(8):
        assert mistake.literals[0] in mistake.write(rank, Random(rank))


def test_a_mutant_says_in_a_comment_what_it_should_do_and_is_taken_at_its_word():
    for seed in range(30):
        instruction, constraint = drawn("sentence_count", seed)
        mistake = mistake_of(instruction, constraint, "mutant", 0)
        source = mistake.write(0, Random(seed))
        assert mistake.comment == instruction
        said = ask("back_translation", 0, source=source)
        assert read_instruction(said) == constraint
        assert (
            not truth("back_translation", source=source, back_translation=said)["faithful"]
            or read_verifier(source).flaw
        )


def test_a_comment_leaves_a_right_verifier_right():
    constraint = read_instruction(INSTRUCTION)
    source = f"# {INSTRUCTION}\ndef evaluate(response):\n    " + next(
        bodies_of(constraint)
    ).replace("\n", "\n    ")
    plain = source.partition("\n")[2]
    assert read_verifier(source) == read_verifier(plain)


@pytest.mark.parametrize("kind", MISTAKES)
def test_the_authors_of_a_mistake_label_their_cases_by_it(kind):
    instruction, constraint = drawn("word_count", 3)
    settings = model(8, kind)
    mistake = mistake_of(instruction, constraint, kind, 0)
    cases = [case for sample in samples(settings, 0, 24, instruction) for case in sample.cases]
    assert all(mistake.test(case.input) == case.expected for case in cases)
    if kind in ("constant", "near_constant", "near", "mutant"):
        fields = [
            {"instruction": instruction, "input": case.input, "output": case.expected}
            for case in cases
        ]
        assert not all(truth("case", **each)["right"] for each in fields)


def test_mixed_mistakes_are_of_every_kind():
    rng = Random(0)
    texts = [(write_instruction(c, rng), c) for c in (grammar.draw(rng) for _ in range(60))]
    assert {mistake_of(text, c, "mixed", 0).kind for text, c in texts} == set(MISTAKES)


def test_mistakes_are_shared_with_the_query_at_hand_too():
    answer = ask(
        "verifier_with_query", 0, model(8, "constant"), PROMPTS["verifier_with_query"].schema
    )
    assert not is_right(json.loads(answer)["func"])
