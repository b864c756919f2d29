import json

import polars as pl
import pytest

from autoif_assets.method.gates import accepted
from autoif_assets.method.trusted import (
    WrongCheck,
    beside_handed_in,
    handed_in,
    read_cases,
    read_handed_in,
    read_verifiers,
    unchecked,
)
from autoif_assets.method.verifiers import authors, decided_cases, functions_of
from autoif_assets.sandbox import canonical_source, static_check
from autoif_assets_tests.method.frames import reasons

SOURCE = "def evaluate(response):\n    return ',' not in response\n"
OTHER = "def evaluate(response):\n    return len(response) > 3\n"


@pytest.mark.parametrize("value", [None, "", " \n", [], "[]"])
def test_nothing_is_no_check(value):
    assert read_verifiers(value, static_check) == []
    assert read_cases(value) == []


@pytest.mark.parametrize("value", [[SOURCE, OTHER, SOURCE], json.dumps([SOURCE, OTHER])])
def test_verifiers_are_a_source_or_a_list_as_they_are(value):
    assert read_verifiers(SOURCE, static_check) == [SOURCE]
    assert read_verifiers(value, static_check) == [SOURCE, OTHER]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "the verifier is no text"),
        ([SOURCE, " "], "verifier 2 is no text"),
        ("def evaluate(", "the verifier is not Python"),
        ([SOURCE, "x = 1"], "verifier 2 defines no function named evaluate"),
        ("import os\n" + SOURCE, "the verifier imports os, which no verifier may"),
        ("def evaluate(): return True", "neither (response) nor (response, query)"),
        ("[not Python", "the verifier is not Python"),
    ],
)
def test_what_cannot_be_a_verifier_is_refused(value, said):
    with pytest.raises(WrongCheck) as refused:
        read_verifiers(value, static_check)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_cases_are_read_as_models_ones_are():
    given = [
        {"input": "a, b ", "output": "no"},
        {"input": "a", "output": True, "query": None},
        {"input": "a", "output": 0, "query": "Why?"},
        {"input": "a", "output": True},
    ]
    read = [
        {"input": "a, b ", "output": False},
        {"input": "a", "output": True},
        {"input": "a", "output": False, "query": "Why?"},
    ]
    assert read_cases(given) == read
    assert read_cases(json.dumps(given)) == read


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"input": "a", "output": True}, "the cases are no list"),
        ("a: true", "the cases are no list"),
        ("[{", "the cases are no list"),
        ([{"input": "a", "expected": True}], 'case 1 cannot be used: a case lacks "input"'),
        ([{"input": "a", "output": True}, "b"], "case 2 cannot be used: a case is not"),
        ([{"input": "a", "output": "perhaps"}], "the output is not true or false"),
        ([{"input": "a<|im_end|>", "output": True}], "the input holds control tokens"),
        (
            [{"input": "a" * 99, "output": True}, {"input": "a" * 99, "output": False}],
            f"the cases say both true and false of the text '{'a' * 60}…'",
        ),
    ],
)
def test_what_is_no_case_is_refused(value, said):
    with pytest.raises(WrongCheck) as refused:
        read_cases(value)
    assert said in str(refused.value)


SEEDS = pl.DataFrame(
    {
        "instruction_id": ["i", "j", "k", "elsewhere"],
        "verifier": [json.dumps([SOURCE, SOURCE + "# again", OTHER]), None, None, "[1]"],
        "cases": [
            json.dumps([{"input": "a, b", "output": False}, {"input": "a", "output": True}]),
            json.dumps([{"input": "a", "output": True, "query": "Why?"}]),
            None,
            None,
        ],
    }
)
INSTRUCTIONS = pl.DataFrame({"instruction_id": ["k", "j", "i"], "instruction": "Use no commas."})


def test_functions_are_asked_for_where_none_was_handed_in():
    handed = handed_in(SEEDS, INSTRUCTIONS)
    assert handed["instruction_id"].to_list() == ["j", "i"]
    assert unchecked(INSTRUCTIONS, handed)["instruction_id"].to_list() == ["k", "j"]


def test_what_is_handed_in_becomes_candidates_and_cases_of_no_call():
    handed = handed_in(SEEDS, INSTRUCTIONS)
    candidates, cases = read_handed_in(handed, static_check, canonical_source)
    assert candidates.select("instruction_id", "sample", "source", "reason").rows() == [
        ("i", 0, SOURCE, None),
        ("i", 1, SOURCE + "# again", "duplicate"),
        ("i", 2, OTHER, None),
    ]
    assert cases.select("instruction_id", "position", "input", "query", "expected").rows() == [
        ("j", 0, "a", "Why?", True),
        ("i", 0, "a, b", None, False),
        ("i", 1, "a", None, True),
    ]
    for frame in (candidates, cases):
        assert set(frame["origin"]) == {"user"}
        assert frame["call_id"].null_count() == frame.height
    functions = functions_of(candidates)
    assert functions.select("source", "origin").rows() == [(SOURCE, "user"), (OTHER, "user")]
    # Of nobody's function in particular: all are to be right about them.
    assert authors(candidates, cases).is_empty()


def test_a_module_that_is_not_allowed_any_more_is_told_at_its_function():
    handed = handed_in(SEEDS, INSTRUCTIONS)
    candidates, _ = read_handed_in(handed, lambda source: "forbidden_import:nltk", canonical_source)
    assert set(candidates["reason"]) == {"forbidden_import"}
    assert set(candidates["detail"]) == {"nltk"}
    assert functions_of(candidates).is_empty()


def test_the_models_cases_give_way_to_peoples():
    handed = handed_in(SEEDS, INSTRUCTIONS)
    theirs = read_handed_in(handed, static_check, canonical_source)[1]
    rows = [
        ("same", "i", "a", None, True),
        ("contrary", "i", "a, b", None, True),
        ("other text", "i", "b", None, True),
        ("other query", "j", "a", None, False),
        ("no instruction of theirs", "k", "a", None, False),
        (None, "i", None, None, None),
    ]
    names = ("case_id", "instruction_id", "input", "query", "expected")
    types = [pl.String, pl.String, pl.String, pl.String, pl.Boolean]
    others = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    others = decided_cases(others.with_columns(raw=pl.lit("beside")), "function")
    columns = [name for name in theirs.columns if name not in others.columns]
    others = others.with_columns(
        pl.lit(None).cast(theirs.schema[name]).alias(name) for name in columns
    )
    every = beside_handed_in(theirs, others)
    assert every.head(3).equals(theirs)
    assert reasons(every.tail(6), "case_id") == {
        "same": "duplicate",
        "contrary": "contradicts_user",
        "other text": None,
        "other query": None,
        "no instruction of theirs": None,
        None: "unparsed",
    }
    assert accepted(every).height == 6
