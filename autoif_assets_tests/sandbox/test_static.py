# ruff: noqa: E501  (pairs of sources read best side by side)
"""What is said of a source without running it."""

import ast
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.sandbox import canonical_source, needs_query, static_check

GOOD = "def evaluate(r): return True"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (GOOD, None),
        ("import re, json\nfrom collections import abc\n" + GOOD, None),
        ("def evaluate(r, strict=False, *rest, quiet=True): return True", None),
        ("def evaluate(*texts): return True", None),
        ("evaluate = lambda r: True", None),
        ("if True:\n    def evaluate(r): return True", None),
        ("", "no_evaluate"),
        ("def check(r): return True", "no_evaluate"),
        ("def outer():\n    def evaluate(r): return True", "no_evaluate"),
        ("def evaluate(): return True", "wrong_arity"),
        ("def evaluate(r, q): return True", "wrong_arity"),
        ("def evaluate(r, query): return True", None),
        ("def evaluate(r, query, strict=False, *, loud=True): return True", None),
        ("def evaluate(r, query, q): return True", "wrong_arity"),
        ("def evaluate(query, r): return True", "wrong_arity"),
        ("def evaluate(*, r): return True", "wrong_arity"),
        ("def evaluate(r, *, q): return True", "wrong_arity"),
        ("def evaluate(r, q): return True\ndef evaluate(r): return True", None),
        ("import os\n" + GOOD, "forbidden_import:os"),
        ("def evaluate(r):\n    from os.path import join\n    return True", "forbidden_import:os"),
        ("from . import x\n" + GOOD, "forbidden_import:."),
        ("import nltk\n" + GOOD, "forbidden_import:nltk"),
        ("def evaluate(r) return True", "syntax_error"),
        ("def evaluate(r): return '\ud800'", "syntax_error"),
        ("\0" + GOOD, "syntax_error"),
        ("'\\d'\n" + GOOD, None),
        ("#" * 50_001, "source_too_long"),
    ],
)
def test_reasons(source, reason):
    assert static_check(source) == reason


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("def evaluate(r, query): return True", True),
        ("def evaluate(r, query, strict=False, *, loud=True): return True", True),
        ("if True:\n    def evaluate(r, query): return True", False),
        ("def evaluate(r, query=None): return query is None", False),
        ("def evaluate(r): return 'query' in r", False),
        ("def evaluate(r, query): return True\ndef evaluate(r): return True", False),
        ("def check(r, query): return True", False),
        ("def evaluate(r, query): return (", False),
        ("query", False),
        ("evaluate = lambda r, query: True", False),
        ("[" * 5000 + "query", False),
        ("", False),
    ],
)
def test_who_needs_the_query(source, needed):
    assert needs_query(source) is needed


def test_optional_modules():
    assert static_check("import nltk.corpus\n" + GOOD, modules=["nltk"]) is None


DEEP = [
    "(" * 9000 + ")" * 9000,
    "[" * 40000,
    "{" * 40000,
    "x = " + "-" * 40000 + "1",
    "x = " + "~" * 40000 + "1",
    "x = " + "not " * 12000 + "1",
    "x = " + "lambda:" * 7000 + "1",
    "x = 1" + "+1" * 20000,
    "x = 1" + "**1" * 16000,
    "x = a" + ".a" * 20000,
    "x = a" + "()" * 20000,
    "x = a" + "[0]" * 16000,
    "x = 1" + " if 1 else 1" * 4000,
    "x = 1" + " and 1 or 1" * 4000,
    "x = 1" + " < 1" * 12000,
    "if 1: pass\n" + "elif 1: pass\n" * 3500,
    "x = " + "f'{" * 9000,
    "x = " + "await " * 8000 + "1",
    "".join(f"{' ' * n}if 1:\n" for n in range(300)) + " " * 301 + "pass",
    "x = " + "*" * 40000 + "a",
    "@a" * 20000,
    "match 1:\n case " + "[" * 20000,
    "x = " + "a=" * 20000 + "1",
    "def evaluate(r): " + "return (" * 5000,
    "x" + ":a" * 20000,
    "'" * 49999,
    '"""' + "\\" * 40000,
    "x = " + "'a' " * 10000,
]


@pytest.mark.parametrize("source", DEEP, ids=lambda source: ascii(source[:12]))
def test_deep_nesting_does_not_crash(source):
    """In a thread too, whose stack is what the platform gives it."""
    found = []

    def check():
        found.append((static_check(source), canonical_source(source)))

    thread = threading.Thread(target=check)
    thread.start()
    thread.join()
    ((reason, canonical),) = found
    assert reason is not None
    assert isinstance(canonical, str)


@given(st.text(alphabet="()[]{}-~+.:,=\n\t 'aevx1\\\0é\ud800not lambdaif else def", max_size=300))
def test_any_text_gets_an_answer(source):
    reason = static_check(source)
    assert reason is None or isinstance(reason, str)
    assert isinstance(canonical_source(source), str)


SAME = [
    (
        'def evaluate(response):\n    """Checks."""\n    words = response.split(",")\n'
        "    return len(words) > 0x10",
        "def evaluate( r ):  # a comment\n  w = r.split(',')\n  return (len(w) > 16)",
    ),
    (
        "def helper(x): return x\ndef evaluate(r): return helper(r) == 'a'",
        "def check(word):\n    'Doc.'\n    return word\ndef evaluate(text): return check(text) == \"a\"",
    ),
    (
        "def evaluate(r: str) -> bool:\n    n: int = 1_000\n    return n > 1e3",
        "def evaluate(r):\n    k = 1000\n    return k > 1000.0",
    ),
    (
        "def evaluate(r):\n    try:\n        pass\n    except ValueError as e:\n        raise e\n"
        "    def f():\n        nonlocal r\n        r = 1\n    return [a for a in r if a]",
        "def evaluate(t):\n    try:\n        pass\n    except ValueError as error:\n        raise error\n"
        "    def g():\n        nonlocal t\n        t = 1\n    return [c for c in t if c]",
    ),
]  # fmt: skip

DIFFERENT = [
    ("def evaluate(r): return len(r) > 1", "def evaluate(r): return len(r) > 2"),
    ("def evaluate(r):\n    a = 1\n    b = 2\n    return a", "def evaluate(r):\n    a = 1\n    b = 2\n    return b"),
    ("def evaluate(r): return x", "def evaluate(r): return y"),
    ("def evaluate(r):\n    v0 = 1\n    return r", "def evaluate(r):\n    v0 = 1\n    return v0"),
    ("def evaluate(r, key=1): return f(key=key)", "def evaluate(r, kee=1): return f(key=kee)"),
    (
        "def evaluate(r):\n    def f():\n        sum = 0\n    return sum([1])",
        "def evaluate(r):\n    def f():\n        x = 0\n    return x([1])",
    ),
    ("def evaluate(r):\n    a = 1\n    return eval('a')", "def evaluate(r):\n    b = 1\n    return eval('a')"),
    ("def evaluate(r: List[str]): return True", "def evaluate(r): return True"),
    ("def evaluate(r): return True", "def evaluate(r): return 1"),
    ("def evaluate(r): return 1.0", "def evaluate(r): return 1"),
    ("import re\ndef evaluate(r): return re", "import json\ndef evaluate(r): return json"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same_function_same_text(one, other):
    assert canonical_source(one) == canonical_source(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_function_different_text(one, other):
    assert canonical_source(one) != canonical_source(other)


@pytest.mark.parametrize("source", [source for pair in SAME + DIFFERENT for source in pair])
def test_canonical_text_is_python_and_stays(source):
    text = canonical_source(source)
    ast.parse(text)
    assert canonical_source(text) == text


def test_what_does_not_parse_is_stripped():
    assert canonical_source("  def evaluate(\n\n") == "def evaluate("


NAMES = st.sampled_from(["a", "b", "word", "text", "v0", "v1", "len", "re", "count"])


@given(NAMES, NAMES, NAMES)
def test_renaming_is_one_to_one(a, b, c):
    template = "def evaluate({0}):\n    {1} = {0}\n    {2} = {1}\n    return {2}"
    plain = canonical_source(template.format("p", "q", "s"))
    found = canonical_source(template.format(a, b, c))
    kept = {"len"} & {a, b, c}
    if len({a, b, c}) == 3 and not kept:
        assert found == plain
    else:
        assert found != plain
