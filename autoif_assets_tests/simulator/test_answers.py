"""What each role answers, and the shares in which it goes wrong."""

import json
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.method.judgements import parse_score
from autoif_assets.method.parsing import parse_verifier
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.simulator import SimulatorSettings, grammar
from autoif_assets.simulator.answers import complete, instance_of, misread
from autoif_assets.simulator.instructions import read_instruction, write_instruction
from autoif_assets.simulator.requests import RecognisedPrompt, recognise
from autoif_assets.simulator.truth import OFF_TOPICS, REFUSALS, assess, truth

NO_ERRORS = {
    name: 0.0
    for name in SimulatorSettings.__dataclass_fields__
    if name.endswith("_rate") and not name.startswith("fault")
}
PERFECT = SimulatorSettings(**NO_ERRORS)
INSTRUCTION = 'Use the word "because" at least three times.'
QUERY = "How do I keep basil alive through the winter?"
VARIABLES = {
    "count": "12",
    "examples": f"- {INSTRUCTION}\n- Do not use any commas.",
    "instruction": INSTRUCTION,
    "modules": "",
    "language": "",
    "source": "def evaluate(response):\n    return len(response) <= 200",
    "premise": INSTRUCTION,
    "hypothesis": 'Mention "because" no fewer than 3 times.',
    "query": QUERY,
    "response": "Basil likes light because it is a summer plant.",
}


def render(role, **changes):
    values = {**VARIABLES, **changes}
    return PROMPTS[role].render(**{name: values[name] for name in PROMPTS[role].variables})


def ask(role, seed=0, model=PERFECT, schema=None, **changes):
    return complete(recognise(render(role, **changes)), seed, model, schema)


@settings(deadline=None)
@given(st.sampled_from(sorted(PROMPTS)), st.text(max_size=200), st.integers(0, 99))
def test_any_variable_gets_an_answer(role, text, seed):
    changes = dict.fromkeys(VARIABLES, text)
    assert isinstance(ask(role, seed, SimulatorSettings(), **changes), str)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_a_prompt_of_no_role_gets_prose(text):
    assert complete(RecognisedPrompt("unknown", {"prompt": text}), 0, PERFECT)


@pytest.mark.parametrize("role", sorted(PROMPTS))
def test_an_answer_depends_on_model_prompt_and_seed_alone(role):
    first = [ask(role, seed, SimulatorSettings()) for seed in range(30)]
    assert first == [ask(role, seed, SimulatorSettings()) for seed in range(30)]
    other_model = [ask(role, seed, SimulatorSettings(seed=1)) for seed in range(30)]
    assert first != other_model
    assert len(set(first)) > 1


@pytest.mark.parametrize("role", [role for role, prompt in PROMPTS.items() if prompt.schema])
def test_structured_answers_fit_the_role_s_schema(role):
    schema = PROMPTS[role].schema
    for seed in range(20):
        answer = json.loads(ask(role, seed, schema=schema))
        assert set(answer) == set(schema["required"])


def test_near_misses_break_the_instruction_and_stay_with_the_query():
    answers = [ask("near_miss", seed) for seed in range(60)]
    facts = [truth("response", instruction=INSTRUCTION, query=QUERY, response=a) for a in answers]
    assert {(fact["follows"], fact["quality"]) for fact in facts} == {(False, "violating")}
    model = SimulatorSettings(**{**NO_ERRORS, "violation_rate": 0.3})
    follows = [
        assess(INSTRUCTION, QUERY, ask("near_miss", seed, model)).follows for seed in range(300)
    ]
    assert 0.2 < sum(follows) / 300 < 0.4


def test_self_instruct_writes_the_lines_it_was_asked_for():
    model = SimulatorSettings(**{**NO_ERRORS, "uncheckable_rate": 0.25})
    lines = ask("self_instruct", model=model, count="400").splitlines()
    assert len(lines) == 400
    assert all(line.startswith("- ") for line in lines)
    unknown = [line for line in lines if read_instruction(line[2:]) is None]
    assert 0.15 < len(unknown) / len(lines) < 0.35


def test_verifiers_and_cases_are_right_when_no_error_is_asked_for():
    for seed in range(40):
        parsed = parse_verifier(ask("verifier", seed))
        verdict = truth("verifier", instruction=INSTRUCTION, source=parsed.source)
        assert verdict["right"]
        for case in parsed.cases:
            fields = {"instruction": INSTRUCTION, "input": case.input, "output": case.expected}
            assert truth("case", **fields)["right"]


@pytest.mark.parametrize(
    "rate, kind", [("wrong_verifier_rate", "verifier"), ("defect_rate", "verifier")]
)
def test_wrong_verifiers_come_at_the_rate_that_is_set(rate, kind):
    model = SimulatorSettings(**{**NO_ERRORS, rate: 0.4})
    right = Counter()
    for seed in range(300):
        source = json.loads(ask("verifier", seed, model, PROMPTS["verifier"].schema))["func"]
        right[truth(kind, instruction=INSTRUCTION, source=source)["right"]] += 1
    assert 0.3 < right[False] / 300 < 0.5


def test_wrong_cases_come_at_the_rate_that_is_set():
    model = SimulatorSettings(**{**NO_ERRORS, "wrong_case_rate": 0.3})
    right = Counter()
    for seed in range(100):
        for case in parse_verifier(ask("verifier", seed, model)).cases:
            fields = {"instruction": INSTRUCTION, "input": case.input, "output": case.expected}
            right[truth("case", **fields)["right"]] += 1
    assert 0.2 < right[False] / right.total() < 0.4


def test_some_instructions_are_misread_the_same_way_every_time():
    rng = Random(0)
    model = SimulatorSettings(misread_rate=0.3)
    constraints = [grammar.draw(rng) for _ in range(300)]
    texts = [write_instruction(constraint, rng) for constraint in constraints]
    read = [misread(text, item, model) for text, item in zip(texts, constraints, strict=True)]
    assert read == [misread(t, c, model) for t, c in zip(texts, constraints, strict=True)]
    wrong = sum(a != b for a, b in zip(read, constraints, strict=True))
    assert 0.2 < wrong / 300 < 0.4


def test_instructions_of_no_family_get_no_working_verifier():
    for seed in range(40):
        parsed = parse_verifier(ask("verifier", seed, instruction="Sound like the sea."))
        verdict = truth("verifier", instruction="Sound like the sea.", source=parsed.source or "")
        assert not verdict["right"] and verdict["flaw"] == "defect"


def test_back_translation_and_nli_close_the_circle():
    for seed in range(40):
        source = parse_verifier(ask("verifier", seed)).source
        said = ask("back_translation", seed, source=source)
        assert truth("back_translation", source=source, back_translation=said)["faithful"]
        assert json.loads(ask("nli", seed, schema={**PROMPTS["nli"].schema}, hypothesis=said)) == {
            "label": "entailment"
        }


def test_responses_follow_break_and_stray_at_the_rates_that_are_set():
    model = SimulatorSettings(**{**NO_ERRORS, "violation_rate": 0.3, "off_topic_rate": 0.2})
    kinds, follows = Counter(), Counter()
    for seed in range(300):
        response = ask("response", seed, model)
        quality = assess(INSTRUCTION, QUERY, response)
        kinds[quality.kind] += 1
        follows[quality.follows] += 1
    assert 0.12 < kinds["off_topic"] / 300 < 0.28
    assert 0.2 < follows[False] / 300 < 0.4


def test_scores_tell_good_from_bad():
    good = complete(recognise(render("response")), 3, PERFECT)
    elsewhere = grammar.satisfy(read_instruction(INSTRUCTION), Random(1), OFF_TOPICS[0])
    for seed in range(20):
        assert parse_score(ask("score", seed, response=good)) >= 7
        for bad in (elsewhere, REFUSALS[0], "%%/\\~^#|<>=+%%"):
            assert parse_score(ask("score", seed, response=bad)) <= 4


def test_malformed_answers_and_refusals_come_when_asked_for():
    malformed = SimulatorSettings(**{**NO_ERRORS, "malformed_rate": 1.0})
    texts = [ask("verifier", seed, malformed) for seed in range(60)]
    parsed = [parse_verifier(text).source for text in texts]
    assert any(source is None for source in parsed), "some cannot be repaired"
    assert any(source is not None for source in parsed), "some can"
    refusing = SimulatorSettings(**{**NO_ERRORS, "refusal_rate": 1.0})
    assert ask("response", 0, refusing) in REFUSALS


def test_a_policy_prompt_is_answered_in_the_form_it_asks_for():
    for prompt in (f"{QUERY}\n{INSTRUCTION}", f"{QUERY} {INSTRUCTION}", f"{INSTRUCTION}\n{QUERY}"):
        text = complete(recognise(prompt), 0, PERFECT)
        assert assess(INSTRUCTION, QUERY, text).kind == "good"


def test_a_schema_of_no_role_gets_an_instance():
    schema = {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "size": {"type": "integer", "minimum": 3, "maximum": 3},
            "names": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "kind": {"enum": ["a"]},
        },
    }
    made = instance_of(schema, Random(0))
    assert isinstance(made["ok"], bool)
    assert (made["size"], made["kind"], made["names"]) == (3, "a", ["text", "text"])
