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
from autoif_assets.simulator.answers import complete, instance_of
from autoif_assets.simulator.families import family_of
from autoif_assets.simulator.instructions import read_instruction, write_instruction
from autoif_assets.simulator.requests import RecognisedPrompt, recognise
from autoif_assets.simulator.truth import OFF_TOPICS, REFUSALS, assess, truth
from autoif_assets.simulator.verifying import certainty, misread
from autoif_assets_tests.simulator.models import NO_ERRORS, PERFECT

INSTRUCTION = 'Use the word "because" at least three times.'
QUERY = "How do I keep basil alive through the winter?"
VARIABLES = {
    "count": "12",
    "examples": f"- {INSTRUCTION}\n- Do not use any commas.",
    "categories": "- keywords: Say so.\n- length: Use at most ten words.",
    "instruction": INSTRUCTION,
    "modules": "",
    "language": "",
    "wanted": "",
    "source": "def evaluate(response):\n    return len(response) <= 200",
    "problems": "evaluate('because') returned True, it should return False.",
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


@pytest.mark.parametrize(
    ("instruction", "categories", "answer"),
    [
        (INSTRUCTION, VARIABLES["categories"], "keywords"),
        (INSTRUCTION, "- keywords", "keywords"),
        (INSTRUCTION, "- words: keywords\n- keywords and more", "other"),
        ("Sound like the sea.", VARIABLES["categories"], "other"),
    ],
)
def test_an_instruction_is_of_its_family_s_category_if_that_is_offered(
    instruction, categories, answer
):
    said = json.loads(
        ask(
            "category",
            instruction=instruction,
            categories=categories,
            schema={"properties": {"category": {"type": "string"}}},
        )
    )
    assert said == {"category": answer}


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


def test_self_instruct_writes_what_is_scarce_where_it_is_told():
    wanted = " At least half of them are of these kinds, which are scarce: start_end, script."
    counts = {}
    for told in ("", wanted):
        lines = ask("self_instruct", count="200", wanted=told).splitlines()
        found = [read_instruction(line.removeprefix("- ")) for line in lines]
        categories = Counter(family_of(one).category for one in found)
        counts[told] = categories["start_end"] + categories["script"]
    assert counts[""] < 60 and counts[wanted] > 100


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


def boundary_labels(model, instruction=INSTRUCTION, seeds=range(40)):
    for seed in seeds:
        cases = json.loads(ask("boundary_cases", seed, model, {}, instruction=instruction))["cases"]
        assert len(cases) == 6
        for case in cases:
            fields = {"instruction": instruction, **case}
            yield case, truth("case", **fields)["right"]


def test_boundary_cases_lie_at_the_bound_and_just_beyond_it():
    counts = {True: set(), False: set()}
    for case, right in boundary_labels(PERFECT):
        assert right
        counts[case["output"]].add(case["input"].lower().count("because"))
    assert counts == {True: {3}, False: {2}}


def test_boundary_cases_are_wrong_at_the_rate_of_cases_and_follow_a_misreading():
    model = SimulatorSettings(**{**NO_ERRORS, "wrong_case_rate": 0.3})
    right = [right for _, right in boundary_labels(model)]
    assert 0.2 < right.count(False) / len(right) < 0.4
    misreading = SimulatorSettings(**{**NO_ERRORS, "misread_rate": 1.0})
    assert not all(right for _, right in boundary_labels(misreading))


def test_repairs_are_right_at_the_rate_that_is_set_and_else_flawed_as_before_or_anew():
    model = SimulatorSettings(**{**NO_ERRORS, "repair_rate": 0.5})
    kinds = Counter()
    for seed in range(300):
        source = json.loads(ask("repair", seed, model, {}))["func"]
        right = truth("verifier", instruction=INSTRUCTION, source=source)["right"]
        kinds["right" if right else "same" if source == VARIABLES["source"] else "other"] += 1
    assert 0.42 < kinds["right"] / 300 < 0.58
    assert min(kinds["same"], kinds["other"]) > 45


def audits(model, texts, samples=1, instruction=INSTRUCTION, **options):
    """Return for each text how many of the samples are wrong."""
    return [
        sum(
            ("yes" in ask("audit", seed, model, response=text, instruction=instruction, **options))
            != bool(assess(instruction, QUERY, text).follows)
            for seed in range(samples)
        )
        for text in texts
    ]


def both_sides(count):
    rng, constraint = Random(1), read_instruction(INSTRUCTION)
    return [grammar.narrow(constraint, rng, obeys=number % 2 == 0) for number in range(count)]


def test_half_of_an_auditor_s_errors_stay_however_often_it_is_asked():
    texts = both_sides(200)
    assert sum(audits(PERFECT, texts)) == 0
    model = SimulatorSettings(**{**NO_ERRORS, "auditor_error_rate": 0.2})
    wrong = audits(model, texts, samples=9)
    assert 0.15 < sum(wrong) / 9 / 200 < 0.25
    assert 0.05 < wrong.count(9) / 200 < 0.16, "some texts are misjudged every time"
    assert sum(0 < count < 9 for count in wrong) > 60, "others now and then"


def test_an_auditor_is_surer_where_it_is_right():
    sure = {True: [], False: []}
    for text in both_sides(400):
        follows = bool(assess(INSTRUCTION, QUERY, text).follows)
        variables = {"instruction": INSTRUCTION, "response": text}
        for said in (True, False):
            answer = '{"obeys": "yes"}' if said else '{"obeys": "no"}'
            sure[said == follows].append(certainty(variables, answer, PERFECT))
    assert min(*sure[True], *sure[False]) >= 0.5
    assert max(*sure[True], *sure[False]) <= 1
    assert 0.01 < sum(one < 0.6 for one in sure[True]) / 400 < 0.08
    assert 0.12 < sum(one < 0.6 for one in sure[False]) / 400 < 0.28
    assert 0.58 < sum(a > b for a in sure[True] for b in sure[False]) / 160_000 < 0.75


def test_an_auditor_of_an_unknown_instruction_throws_a_coin_once_a_text():
    texts = both_sides(100)
    answers = [
        {ask("audit", seed, response=text, instruction="Sound like the sea.") for seed in range(40)}
        for text in texts
    ]
    said = [{"yes" in answer for answer in found} for found in answers]
    assert all(len(found) == 1 for found in said)
    assert 30 < sum(map(max, said)) < 70


def test_choices_are_answered_with_one_of_them():
    prompt = recognise(render("audit", response=both_sides(1)[0]))
    assert {complete(prompt, seed, PERFECT, choices=["yes", "no"]) for seed in range(9)} == {"yes"}


def test_reasons_asked_for_first_talk_an_auditor_into_errors(tmp_path):
    text = "Explain step by step, then say yes or no: {{ response }} under {{ instruction }}"
    (tmp_path / "audit.jinja").write_text(text)
    model = SimulatorSettings(
        **{**NO_ERRORS, "auditor_explaining_error_rate": 0.4}, prompts=str(tmp_path)
    )
    wrong = 0
    for text in both_sides(200):
        prompt = recognise(
            f"Explain step by step, then say yes or no: {text} under {INSTRUCTION}", str(tmp_path)
        )
        assert prompt.explains
        reasons, _, verdict = complete(prompt, 0, model).partition("\n")
        assert reasons.startswith("The text")
        wrong += (json.loads(verdict)["obeys"] == "yes") != assess(INSTRUCTION, QUERY, text).follows
        bare = complete(prompt, 0, model, PROMPTS["audit"].schema)
        assert set(json.loads(bare)) == {"obeys"}, "a schema leaves no room for reasons"
    assert 0.3 < wrong / 200 < 0.5
    assert not recognise(render("audit")).explains


def test_cases_of_some_instructions_are_one_sided():
    rng = Random(3)
    model = SimulatorSettings(**{**NO_ERRORS, "one_sided_cases_rate": 0.5})
    labels, one_label = Counter(), 0
    for _ in range(120):
        instruction = write_instruction(grammar.draw(rng), rng)
        found = set()
        for seed in range(4):
            cases = parse_verifier(ask("verifier", seed, model, instruction=instruction)).cases
            found |= {case.expected for case in cases}
        one_label += len(found) == 1
        labels.update(found if len(found) == 1 else ())
    # A quarter of all are of one label, and another quarter of one shape.
    assert 0.15 < one_label / 120 < 0.35
    assert labels[True] > labels[False] > 0


def test_cases_of_one_shape_have_no_near_miss():
    def misses(model):
        texts = [
            case.input
            for seed in range(30)
            for case in parse_verifier(ask("verifier", seed, model)).cases
            if not case.expected
        ]
        return sum("because" in text for text in texts) / len(texts)

    shaped = next(
        model
        for seed in range(50)
        if (model := SimulatorSettings(**NO_ERRORS | {"one_sided_cases_rate": 1.0}, seed=seed))
        and {c.expected for c in parse_verifier(ask("verifier", 0, model)).cases} == {True, False}
    )
    assert misses(shaped) == 0 < misses(PERFECT)


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
