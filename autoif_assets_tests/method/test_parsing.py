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


@pytest.mark.parametrize(
    "text",
    [
        "Use no commas.",
        '"Use no commas."',
        "Instruction: Use no commas.",
        "Here is the instruction:\n\nUse no commas.\n\nIt counts commas.",
        "- **Use no commas.**",
        "**Instruction:** Use no commas.",
        "**Instruction: Use no commas.**",
    ],
)
def test_back_translation(text):
    assert parse_back_translation(text) == "Use no commas."


def test_back_translation_of_code_is_none():
    assert parse_back_translation("```python\ndef evaluate(response):") is None


def test_a_back_translation_keeps_its_asterisks():
    text = "The answer must put ****** between **two** answers."
    assert parse_back_translation(text) == text


TWO_CASES = [
    {"input": "```python\nx = [1]\n```", "output": True},
    {"input": "**y**", "output": False},
]
FENCES = "def evaluate(response):\n    return response.count('```') == 2"


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "```json\n{}\n```",
        "A set like {{x}} or {{'a': 1}} is fine. Here:\n{}\nGood luck with {{it}} and [1].",
        "```python\ndef f(): return {{'a': [1]}}\n```\nand\n```json\n{}\n```",
    ],
)
def test_nothing_inside_a_string_is_edited(form):
    answer = json.dumps({"func": FENCES, "cases": TWO_CASES})
    parsed = parse_verifier(form.format(answer))
    assert (parsed.source, parsed.note) == (FENCES, None)
    assert [(case.input, case.expected) for case in parsed.cases] == [
        (case["input"], case["output"]) for case in TWO_CASES
    ]


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_a_verifier_in_triple_quotes(quotes):
    source = "def evaluate(response):\n    \"Say\"\n    return '\\n' in response"
    text = (
        f'{{"func": {quotes}\n{source}\n{quotes}, "cases": [{{"input": "a\\n", "output": true}}]}}'
    )
    for written in (text, f"```json\n{text}\n```", f"Here: {text} Done."):
        parsed = parse_verifier(written)
        assert parsed.source == source
        assert [(case.input, case.expected) for case in parsed.cases] == [("a\n", True)]


@pytest.mark.parametrize("cases", [json.dumps(TWO_CASES), json.dumps({"cases": TWO_CASES})])
def test_a_function_in_a_block_beside_its_cases(cases):
    text = f"The function:\n```python\n{SOURCE}\n```\nThe cases:\n```json\n{cases}\n```"
    parsed = parse_verifier(text)
    assert parsed.source == SOURCE
    assert [case.input for case in parsed.cases] == [case["input"] for case in TWO_CASES]
    alone = parse_verifier(f"```python\n{SOURCE}\n```")
    assert (alone.source, alone.cases) == (SOURCE, ())


def test_lost_backslashes_are_put_back_and_noted():
    text = '{"func": "def evaluate(r):\\n    return re.findall(r\'\\bcat\\f\', r)", "cases": []}'
    parsed = parse_verifier(text)
    assert parsed.source.endswith("re.findall(r'\\bcat\\f', r)")
    assert parsed.note == (
        "a lost backslash was put back (\\b); a lost backslash was put back (\\f)"
    )


@pytest.mark.parametrize(
    "source",
    [
        "def evaluate(response): return '\\n\\n' in response",
        "def evaluate(r): return \"\\t\" in r or r == '\\''  # a \"comment",
        'def evaluate(r):\n    return r == """\n```\nx\n```\n"""',
    ],
)
def test_what_can_be_python_stays(source):
    assert clean_source(source) == (source, None)


@pytest.mark.parametrize(
    "fenced", ["```python\n{}\n```", "```\n{}\n```\nIt counts.", "Here it is:\n```python\n{}\n```"]
)
def test_a_source_in_a_fence(fenced):
    assert clean_source(fenced.format(SOURCE)) == (SOURCE, None)
    once = "```python\\ndef evaluate(r):\\n    return True\\n```"
    assert clean_source(once)[0] == "def evaluate(r):\n    return True"


def test_a_case_that_is_no_text_is_rejected_alone():
    cases = [{"input": text, "output": True} for text in ("a\0", "b<|im_end|>", "c")]
    parsed = parse_verifier(json.dumps({"func": SOURCE, "cases": cases}))
    assert [case.problem for case in parsed.cases] == [
        "the input holds control characters",
        "the input holds control tokens",
        None,
    ]
