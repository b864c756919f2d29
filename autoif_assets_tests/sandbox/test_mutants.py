# ruff: noqa: E501  (a change and its texts read best on one line)
"""Verifiers that are wrong in one place."""

import ast
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.sandbox import (
    Sandbox,
    Unit,
    canonical_source,
    mutants,
    quoted_texts,
    static_check,
)
from autoif_assets_tests.sandbox.ordinary import SOURCES
from autoif_assets_tests.sandbox.test_static import DEEP

ALL = 10_000


def function(expression):
    return f"import re\n\ndef evaluate(r):\n    return {expression}"


def expressions(expression, kind):
    """What mutants of one kind return instead of an expression."""
    found = [each.source for each in mutants(function(expression), ALL) if each.kind == kind]
    return {ast.unparse(ast.parse(source).body[-1].body[-1].value) for source in found}


# The kind, an expression, what it becomes, and texts of which one at least tells each apart.
KINDS = [
    ("comparison", "len(r) < 3", {"len(r) <= 3"}, ["abc"]),
    ("comparison", "len(r) <= 3", {"len(r) < 3", "len(r) == 3"}, ["abc", "ab"]),
    ("comparison", "len(r) > 3", {"len(r) >= 3"}, ["abc"]),
    ("comparison", "len(r) >= 3", {"len(r) > 3", "len(r) == 3"}, ["abc", "abcd"]),
    ("comparison", "r.count('a') == 3", {"r.count('a') != 3", "r.count('a') >= 3", "r.count('a') <= 3"}, ["a", "aaaa"]),
    ("comparison", "len(r) != 3", {"len(r) == 3"}, ["abc"]),
    ("comparison", "r == 'a'", {"r != 'a'"}, ["a"]),
    ("comparison", "'a' in r", {"'a' not in r"}, ["a"]),
    ("comparison", "'a' not in r", {"'a' in r"}, ["a"]),
    ("comparison", "re.search('a', r) is None", {"re.search('a', r) is not None"}, ["a"]),
    ("comparison", "1 < len(r) < 4", {"1 <= len(r) < 4", "1 < len(r) <= 4"}, ["a", "abcd"]),
    ("constant", "len(r) > 3", {"len(r) > 4", "len(r) > 2"}, ["abc", "abcd"]),
    ("constant", "r.find('a') > -1", {"r.find('a') > 0", "r.find('a') > -2"}, ["", "a"]),
    ("constant", "len(r) > 0", {"len(r) > 1", "len(r) > -1"}, ["", "a"]),
    ("constant", "len(r) / 2 > 1.5", {"len(r) / 3 > 1.5", "len(r) / 1 > 1.5", "len(r) / 2 > 2.5", "len(r) / 2 > 0.5"}, ["ab", "abc", "abcd"]),
    ("and_or", "'a' in r and 'b' in r", {"'a' in r or 'b' in r"}, ["a"]),
    ("and_or", "'a' in r or 'b' in r", {"'a' in r and 'b' in r"}, ["a"]),
    ("not", "not r.endswith('.')", {"r.endswith('.')"}, ["a."]),
    ("case", "'a' in r.lower()", {"'a' in r"}, ["A"]),
    ("case", "'a' in r.casefold()", {"'a' in r"}, ["A"]),
    ("case", "r.strip().upper().startswith('A')", {"r.strip().startswith('A')"}, ["a"]),
    ("case", "bool(re.search('a', r, re.I | re.M))", {"bool(re.search('a', r, 0 | re.M))"}, ["A"]),
    ("any_all", "any((c == 'a' for c in r))", {"all((c == 'a' for c in r))"}, ["ab"]),
    ("any_all", "all((c == 'a' for c in r))", {"any((c == 'a' for c in r))"}, ["ab"]),
    ("slice", "r[0:1] == 'a'", {"r[1:1] == 'a'", "r[-1:1] == 'a'", "r[0:2] == 'a'", "r[0:0] == 'a'"}, ["ab"]),
    ("slice", "r[-1] == 'a'", {"r[0] == 'a'", "r[-2] == 'a'"}, ["ba"]),
    ("slice", "r[len(r) - 1:] == 'a'", {"r[len(r) - 1 + 1:] == 'a'", "r[len(r) - 1 - 1:] == 'a'"}, ["ba"]),
    ("slice", "r.split()[0] == 'a'", {"r.split()[1] == 'a'", "r.split()[-1] == 'a'"}, ["a b"]),
    ("words", "len(r.split()) > 2", {"len(r) > 2"}, ["a b"]),
    ("words", "len(r.split(' ')) > 2", {"len(r) > 2"}, ["a b"]),
    ("words", "len(r) > 2", {"len(r.split()) > 2"}, ["abc"]),
    ("words", "r.split().count('a') > 1", {"list(r).count('a') > 1"}, ["aa b"]),
    ("words", "list(r.strip()).count('a') > 1", {"r.strip().split().count('a') > 1"}, ["aa b"]),
]  # fmt: skip
EVERY_KIND = {"comparison", "constant", "and_or", "not", "case", "any_all", "slice", "words"}


@pytest.mark.parametrize(("kind", "expression", "expected", "texts"), KINDS)
def test_kinds(kind, expression, expected, texts):
    assert expressions(expression, kind) == expected
    assert {row[0] for row in KINDS} == EVERY_KIND


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
def test_texts_tell_each_kind_from_its_source():
    units = []
    for number, (kind, expression, _, texts) in enumerate(KINDS):
        source = function(expression)
        units.append(Unit(f"{number} source", source, texts))
        units += [
            Unit(f"{number} {place}", mutant.source, texts)
            for place, mutant in enumerate(mutants(source, ALL))
            if mutant.kind == kind
        ]
    with Sandbox(workers=1) as sandbox:
        outcomes = {result.id: result.outcomes for result in sandbox.evaluate(units)}
    for number, (_, expression, expected, _) in enumerate(KINDS):
        own = outcomes.pop(f"{number} source")
        assert all(outcome.is_verdict for outcome in own), expression
        others = [found for id_, found in outcomes.items() if id_.startswith(f"{number} ")]
        assert len(others) == len(expected)
        assert own not in others, expression


@pytest.mark.parametrize(
    "lines",
    [
        "words = r.split()\nreturn len(words) > 3",  # a list has no words
        "r = r.split()\nreturn len(r) > 3",  # nor does a name that is a list sometimes
        "return any(len(word) > 3 for word in r.split())",  # a word has one
        "return len(re.findall('a', r)) > 3",
    ],
)
def test_only_texts_are_split_into_words(lines):
    body = "\n    ".join(lines.splitlines())
    source = f"import re\n\ndef evaluate(r):\n    {body}"
    found = [each.source for each in mutants(source, ALL) if each.kind == "words"]
    assert not any(".split()" in text.replace("r.split()", "") for text in found)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("text = r.strip()\nreturn len(text) > 3", "len(text.split()) > 3"),
        ("return any(len(line) > 3 for line in r.splitlines())", "len(line.split()) > 3"),
        ("for part in r.split('\\n\\n'):\n    return len(part) > 3", "len(part.split()) > 3"),
        ("return len(r[1:]) > 3", "len(r[1:].split()) > 3"),
    ],
)
def test_names_of_texts_are_followed(lines, expected):
    body = "\n    ".join(lines.splitlines())
    found = mutants(f"def evaluate(r):\n    {body}", ALL)
    assert any(each.kind == "words" and expected in each.source for each in found)


def test_what_does_not_act_is_not_changed():
    plain = "def evaluate(r):\n    return len(r) > 1"
    noted = "'Doc 1.'\ndef evaluate(r: 'not 5' = '') -> bool:\n    7\n    return len(r) > 1"
    kinds = [each.kind for each in mutants(plain, ALL)]
    assert [each.kind for each in mutants(noted, ALL)] == kinds
    assert kinds


def test_truth_values_are_no_numbers():
    assert mutants("def evaluate(r):\n    return True") == []


LONG = "import re\ndef evaluate(r):\n    words = r.lower().split()\n" + "\n".join(
    f"    if not r[{n}:] and len(words) < {n} or any(w == 'a' for w in words):\n        return False"
    for n in range(2, 60)
)


def test_kinds_take_turns_and_spread_over_the_source():
    found = mutants(LONG)
    assert len(found) == 20
    assert {each.kind for each in found} == EVERY_KIND
    lines = canonical_line_changes(LONG, [each.source for each in found if each.kind == "constant"])
    assert min(lines) < 20 and max(lines) > 60


def canonical_line_changes(source, others):
    own = ast.unparse(ast.parse(source)).splitlines()
    changed = []
    for other in others:
        lines = other.splitlines()
        changed.append(next(n for n, line in enumerate(lines) if line != own[n]))
    return changed


@pytest.mark.slow
def test_a_smaller_limit_gives_the_beginning():
    found = mutants(LONG, 30)
    assert len(found) == 30
    for limit in (-1, 0, 1, 7, 29):
        assert mutants(LONG, limit) == found[: max(limit, 0)]


def check_mutants(source, found):
    canonical = [canonical_source(each.source) for each in found]
    assert len(set(canonical)) == len(canonical) and canonical_source(source) not in canonical
    assert {static_check(each.source) for each in found} <= {static_check(source)}
    assert {each.kind for each in found} <= EVERY_KIND


@pytest.mark.parametrize("source", SOURCES)
def test_mutants_of_ordinary_verifiers(source):
    found = mutants(source)
    check_mutants(source, found)
    for each in found:
        # A mutant of a mutant can be the source again, but is one change away.
        assert ast.dump(ast.parse(each.source)) != ast.dump(ast.parse(source))


PIECES = st.sampled_from([
    "len(r)", "r.split()", "r.lower()", "list(r)", "not r", "r[1:]", "r[:-1]", "3", "-1", "1.5",
    "0xffff", "1e999", "1j", "'a'", "b'a'", "f'{r} {1}'", "any(r)", "all(c for c in r)", "re.I",
    "(lambda q: q)(1)", "(q := r.strip())", "[*r]", "r if r else 1", "r[::2]", "r[:, 1]", "True",
])  # fmt: skip
OPERATORS = st.sampled_from([" < ", " == ", " in ", " is ", " and ", " or ", " + ", " ** ", "; q = "])  # fmt: skip


@given(st.lists(st.tuples(PIECES, OPERATORS), max_size=8), PIECES)
def test_mutants_of_any_expression(parts, last):
    source = function("".join(f"{piece}{operator}" for piece, operator in parts) + last)
    check_mutants(source, mutants(source, 8))
    assert all(isinstance(text, str) for text in quoted_texts(source))


@given(st.text(alphabet="()[]{}-~+.:,=<>\n\t 'aevx1\\\0é\ud800not lambdaif else def", max_size=300))
def test_any_text_gets_an_answer(source):
    check_mutants(source, mutants(source, 3))
    assert isinstance(quoted_texts(source), frozenset)


HUGE = "0x" + "f" * 9000  # more digits than Python writes in decimals


@pytest.mark.parametrize(
    "source",
    [*DEEP, "\0", "\ud800", "#" * 60_000, function(HUGE), f"def evaluate(r):\n    {HUGE} < r[1]"],
    ids=lambda source: ascii(source[:12]),
)
def test_hostile_text_has_no_mutants(source):
    assert mutants(source) == []
    assert isinstance(quoted_texts(source), frozenset)


def test_escapes_that_are_no_text_stay():
    source = "def evaluate(r):\n    return r[0] == '\\ud800\\0'"
    check_mutants(source, mutants(source))
    assert mutants(source)
    assert quoted_texts(source) == {"\ud800\0"}


@pytest.mark.parametrize(
    "source",
    [
        # No change of these is one: a constant that is a body has no meaning.
        "class A:\n    class B:\n" + "        1\n" * 300,
        # All are, and there are many of them.
        "def evaluate(r):\n" + "    r == 1\n" * 300,
        # No number is one more than this one.
        "def evaluate(r):\n" + "    r(1e300)\n" * 300,
    ],
)
def test_the_work_is_bounded_by_the_limit(source, monkeypatch):
    written = []
    unparse = ast.unparse
    monkeypatch.setattr(ast, "unparse", lambda tree: written.append(1) or unparse(tree))
    assert len(mutants(source, 2)) <= 2
    # Those of `canonical_source` as well, and the source itself twice.
    assert len(written) <= 2 * (2 * 3 + 1)


def test_a_source_that_is_too_long_when_written_anew():
    source = "def evaluate(r):\n" + " if r=='a':return 1\n" * 2400
    assert static_check(source) is None
    assert mutants(source) == []


def test_quoted_texts():
    source = (
        '"""Module."""\nNAMES = ["one", \'two\']\ndef evaluate(r):\n    """Doc."""\n'
        "    return r in NAMES or r == 'th' 'ree' or r == f'four {r}' or r == b'five'\n"
    )
    assert quoted_texts(source) == {"one", "two", "three", "four "}
    assert quoted_texts("def evaluate(") == frozenset()
