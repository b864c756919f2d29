import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.json_text import parse_json
from autoif_assets.method.judgements import NLI_LABELS, parse_nli_label, parse_score
from autoif_assets.method.lists import parse_instruction_lines
from autoif_assets.method.parsing import parse_back_translation, parse_bool, parse_verifier
from autoif_assets.method.sources import clean_source

SOURCE = "def evaluate(response):\n    return len(response.split('\\n')) == 2"
ANSWER = {"func": SOURCE, "cases": [{"input": "a\nb", "output": True}]}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ANSWER),
        json.dumps(ANSWER, indent=2),
        f"```json\n{json.dumps(ANSWER)}\n```",
        f"Here you are:\n```\n{json.dumps(ANSWER)}\n```\nGood luck with {{it}}!",
        f"Sure! {json.dumps(ANSWER)} I hope this helps.",
        json.dumps(ANSWER).replace("}]}", "},],}"),
        json.dumps(ANSWER)[:-1],
        json.dumps([ANSWER]),
        json.dumps(ANSWER).replace("true", '"True"'),
        json.dumps(ANSWER).replace("true", '"true"'),
        json.dumps(ANSWER).replace("true", "True"),
    ],
    ids=[
        "bare",
        "indented",
        "fenced",
        "fence and prose",
        "prose",
        "trailing commas",
        "unclosed",
        "in a list",
        "string True",
        "string true",
        "Python True",
    ],
)
def test_a_verifier_is_read_however_it_is_wrapped(text):
    parsed = parse_verifier(text)
    assert parsed.problem is None
    assert parsed.source == SOURCE
    assert [(case.input, case.expected) for case in parsed.cases] == [("a\nb", True)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("I cannot help with that.", "no JSON object"),
        ('{"cases": []}', 'no text under "func"'),
        ('{"func": 3, "cases": []}', 'no text under "func"'),
        ("[1, 2]", "no JSON object"),
    ],
)
def test_an_unreadable_verifier_says_why(text, problem):
    assert parse_verifier(text).problem == problem
    assert parse_verifier(text).source is None


def test_bad_cases_are_kept_with_a_problem():
    cases = [{"input": 3, "output": True}, {"input": "x", "output": "maybe"}, {"input": "x"}, "x"]
    parsed = parse_verifier(json.dumps({"func": "def evaluate(r): pass", "cases": cases}))
    assert [case.problem for case in parsed.cases] == [
        "the input is not a text",
        "the output is not true or false",
        'a case lacks "input" or "output"',
        "a case is not a JSON object",
    ]


def test_a_source_escaped_twice_is_unescaped_once():
    assert clean_source(SOURCE.replace("\n", "\\n")) == (SOURCE, None)
    assert clean_source(SOURCE) == (SOURCE, None)
    assert clean_source(f"```python\n{SOURCE}\n```") == (SOURCE, None)


@given(st.text(max_size=60), st.booleans())
def test_any_function_text_survives_json(body, expected):
    source = f"def evaluate(response):\n    return {body!r} in response"
    answer = {"func": source, "cases": [{"input": body, "output": expected}]}
    for text in (json.dumps(answer), f"```json\n{json.dumps(answer)}\n```"):
        parsed = parse_verifier(text)
        assert parsed.source == source
        assert [(c.input, c.expected) for c in parsed.cases] == [(body, expected)]


@given(st.text(max_size=200))
def test_no_text_crashes_a_parser(text):
    parse_json(text)
    parse_verifier(text)
    parse_instruction_lines(text)
    parse_back_translation(text)
    assert parse_nli_label(text) in (None, *NLI_LABELS)
    score = parse_score(text)
    assert score is None or 0 <= score <= 10


@pytest.mark.parametrize("value", [True, "True", "true", " TRUE. ", 1, 1.0, "yes", '"true"'])
def test_true_in_all_its_spellings(value):
    assert parse_bool(value) is True


@pytest.mark.parametrize("value", [False, "False", "false", 0, "no"])
def test_false_in_all_its_spellings(value):
    assert parse_bool(value) is False


@pytest.mark.parametrize("value", [None, "maybe", 2, [], {}, ""])
def test_everything_else_is_no_verdict(value):
    assert parse_bool(value) is None


def test_instruction_lines():
    text = 'Here are some:\n\n- Use no commas.\n* "Write three lines."\n3. **Start with Oh.**\nBye!'
    assert parse_instruction_lines(text) == [
        "Use no commas.",
        "Write three lines.",
        "Start with Oh.",
    ]
    assert parse_instruction_lines("Use no commas.\nWrite 3 lines.") == [
        "Use no commas.",
        "Write 3 lines.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Use no commas.",
        '"Use no commas."',
        "Instruction: Use no commas.",
        "Here is the instruction:\n\nUse no commas.\n\nIt counts commas.",
        "- **Use no commas.**",
    ],
)
def test_back_translation(text):
    assert parse_back_translation(text) == "Use no commas."


def test_back_translation_of_code_is_none():
    assert parse_back_translation("```python\ndef evaluate(response):") is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"label": "neutral"}', "neutral"),
        ("Contradiction.", "contradiction"),
        ("The label is **entailment**", "entailment"),
        ("entailment or neutral", None),
        ('{"label": "yes"}', None),
        ("", None),
    ],
)
def test_nli_label(text, label):
    assert parse_nli_label(text) == label


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"reason": "It is 3 lines long.", "score": 9}', 9),
        ('{"score": "8"}', 8),
        ('{"score": 11}', None),
        ("It answers the query in 3 steps.\n\nScore: 8", 8),
        ("Fine.\n**Score:** 7.5", 7.5),
        ("Fine.\nScore: 10/10", 10),
        ("I give it 9 out of 10.", 9),
        ("Good.\n8", 8),
        ("Score: 9\nBut I am not sure about the second part.", None),
        ("Score: 100", None),
        ("It lists 12 items.", None),
        ("", None),
    ],
)
def test_score(text, score):
    assert parse_score(text) == score
