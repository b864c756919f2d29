"""Repair: which functions are sent back, with what, and what is read of the answers."""

import json
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.cross_validation import cross_validate, judge
from autoif_assets.method.gates import accepted
from autoif_assets.method.probes import BREAKING, EDGE, OBEYING, OTHER
from autoif_assets.method.recipe import RECIPES, make_recipe
from autoif_assets.method.repairs import (
    NO_REPAIRS,
    REPAIRABLE,
    parse_repairs,
    repair_prompts,
    to_repair,
)
from autoif_assets.method.verifiers import functions_of
from autoif_assets_tests.method.frames import YES_NO, cases_of, completions, reasons, said_of

AUDITED = RECIPES["audited"]
PAPER = RECIPES["paper"]
RIGHT = "+++---"


def chosen_of(said, repairs=NO_REPAIRS, base="audited", **numbers):
    recipe = make_recipe(base, numbers)
    return to_repair(said, judge(said, recipe), repairs, recipe)


# --- who is sent back -----------------------------------------------------------------------


def test_a_function_that_is_wrong_on_cases_is_sent_back_with_them():
    said = said_of(dict.fromkeys("vwx", RIGHT) | {"z": "++-+--"}, YES_NO)
    found = chosen_of(said)
    assert found.columns == ["verifier_id", "instruction_id", "source", "problems"]
    assert found.select("verifier_id", "source").rows() == [("z", "def z")]
    assert found["problems"].to_list() == [
        "evaluate('C') returned False, it should return True.\n"
        "evaluate('D') returned True, it should return False."
    ]


def test_what_gave_no_verdict_is_said_with_its_error():
    said = said_of(dict.fromkeys("vwx", RIGHT) | {"z": "x" * 6}, YES_NO)
    detail = pl.when(pl.col("outcome") == "error").then(pl.lit("TypeError: no\nsuch {{ x }}"))
    said = replace(said, outcomes=said.outcomes.with_columns(detail=detail))
    (problems,) = chosen_of(said)["problems"]
    assert problems.count("gave no verdict (error: TypeError: no\nsuch {{ x }})") == 3
    said = replace(said, outcomes=said.outcomes.with_columns(detail=pl.lit(None, pl.String)))
    (problems,) = chosen_of(said)["problems"]
    assert problems.count("gave no verdict (error), it should return") == 3


def test_the_shortest_texts_are_shown_and_long_ones_are_cut():
    said = said_of(dict.fromkeys("vwx", RIGHT) | {"z": "---+++"}, YES_NO)
    long = {"A": "a" * 401, "B": "b" * 400, "C": "c", "D": "d" * 900, "E": "e" * 901, "F": "f'\n"}
    said = replace(said, cases=said.cases.with_columns(pl.col("input").replace_strict(long)))
    (problems,) = chosen_of(said)["problems"]
    assert problems.splitlines() == [
        "evaluate('c') returned False, it should return True.",
        'evaluate("f\'\\n") returned True, it should return False.',
        f"evaluate('{'b' * 400}') returned False, it should return True.",
    ]
    cut = {
        "A": "a" * 401,
        **{name: text * 900 for name, text in zip("BCDEF", "bcdef", strict=True)},
    }
    said = replace(said, cases=cases_of(YES_NO).with_columns(pl.col("input").replace_strict(cut)))
    (problems,) = chosen_of(said)["problems"]
    assert problems.splitlines()[0] == (
        f"evaluate('{'a' * 400}…') returned False, it should return True."
    )


def test_the_query_that_a_text_answers_is_shown():
    said = said_of(dict.fromkeys("vwx", RIGHT) | {"z": "++++--"}, YES_NO)
    said = replace(said, cases=said.cases.with_columns(query=pl.lit("Why's that?")))
    (problems,) = chosen_of(said)["problems"]
    assert problems == "evaluate('D', \"Why's that?\") returned True, it should return False."


def test_of_those_that_failed_the_best_are_sent_back():
    verdicts = dict.fromkeys([f"r{n}" for n in range(6)], RIGHT)
    said = said_of(
        verdicts | {"z1": "-++---", "z2": "--+---", "z3": "-++-+-", "z4": "-+++++"}, YES_NO
    )
    assert chosen_of(said, agreement_by_label=">= 0.9")["verifier_id"].to_list() == ["z1", "z2"]
    one = chosen_of(said, agreement_by_label=">= 0.9", repairs_per_instruction=1)
    assert one["verifier_id"].to_list() == ["z1"]
    # Of equals the first by id.
    said = said_of(verdicts | dict.fromkeys(["z2", "z1", "z3"], "--+---"), YES_NO)
    assert chosen_of(said)["verifier_id"].to_list() == ["z1", "z2"]


def test_each_instruction_has_its_own_number_of_repairs():
    one = said_of(dict.fromkeys("mnopqrst", RIGHT) | dict.fromkeys("xyz", "--+---"), YES_NO)
    also = {
        "functions": one.functions.with_columns(
            verifier_id=pl.col("verifier_id") + "2", instruction_id=pl.lit("j")
        ),
        "cases": one.cases.with_columns(
            case_id=pl.col("case_id") + "2", instruction_id=pl.lit("j")
        ),
        "outcomes": one.outcomes.with_columns(
            verifier_id=pl.col("verifier_id") + "2", input_id=pl.col("input_id") + "2"
        ),
    }
    both = replace(one, **{name: pl.concat([getattr(one, name), of]) for name, of in also.items()})
    found = chosen_of(both)
    assert found.select("instruction_id", "verifier_id").rows() == [
        *(("i", "x"), ("i", "y"), ("j", "x2"), ("j", "y2")),
    ]


def test_none_is_sent_back_twice():
    said = said_of(dict.fromkeys("mnopqrst", RIGHT) | dict.fromkeys("xyz", "--+---"), YES_NO)
    before = pl.DataFrame(
        [{"parent_id": "x", "status": "rejected", "reason": "no_function"}],
        schema=NO_REPAIRS.schema,
    )
    assert chosen_of(said, before)["verifier_id"].to_list() == ["y", "z"]


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        (dict.fromkeys("rst", RIGHT) | {"z": "l" * 6}, "load_error"),
        (dict.fromkeys("rst", RIGHT) | {"z": "--+---"}, "low_agreement"),
    ],
)
def test_reasons_that_a_model_can_do_something_about(verdicts, reason):
    said = said_of(verdicts, YES_NO)
    assert reasons(cross_validate(said, AUDITED)[0], "verifier_id")["z"] == reason
    assert reason in REPAIRABLE
    assert chosen_of(said)["verifier_id"].to_list() == ["z"]


@pytest.mark.parametrize(
    ("signs", "reason"), [("n" * 14, "nondeterministic"), ("+" * 14, "constant")]
)
def test_others_are_not_sent_back(signs, reason):
    probes = {f"o{n}": OTHER for n in range(8)}
    said = said_of(dict.fromkeys("rst", RIGHT + "-" * 8) | {"z": signs}, YES_NO, probes=probes)
    assert reasons(cross_validate(said, AUDITED)[0], "verifier_id")["z"] == reason
    assert chosen_of(said).is_empty()


WRITTEN = {f"w{n}": OBEYING for n in range(5)} | {f"y{n}": BREAKING for n in range(5)}


def test_who_is_outvoted_is_shown_what_most_say():
    signs = RIGHT + "+++++" + "-----"
    said = said_of(
        dict.fromkeys("rst", signs) | {"z": RIGHT + "+++++" + "+++--"}, YES_NO, probes=WRITTEN
    )
    assert reasons(cross_validate(said, AUDITED)[0], "verifier_id")["z"] == "outvoted"
    found = chosen_of(said)
    assert found.select("verifier_id", "problems").rows() == [
        (
            "z",
            "\n".join(f"evaluate('Y{n}') returned True, it should return False." for n in range(3)),
        )
    ]


def test_who_is_fragile_is_shown_where_it_breaks():
    said = said_of(
        dict.fromkeys("rst", RIGHT + "-") | {"z": RIGHT + "x"}, YES_NO, probes={"empty": EDGE}
    )
    assert reasons(cross_validate(said, AUDITED)[0], "verifier_id")["z"] == "fragile"
    assert chosen_of(said)["problems"].to_list() == [
        "evaluate('EMPTY') gave no verdict (error), it should return False."
    ]


def test_where_nobody_knows_what_is_right_nothing_is_sent_back():
    said = said_of({"v": RIGHT + "-", "z": RIGHT + "x"}, YES_NO, probes={"empty": EDGE})
    assert reasons(cross_validate(said, AUDITED)[0], "verifier_id")["z"] == "fragile"
    assert chosen_of(said).is_empty()


@pytest.mark.parametrize("verdicts", [{}, {"v": RIGHT}, dict.fromkeys("vw", "l" * 6)])
def test_where_none_failed_on_a_known_text_none_is_sent_back(verdicts):
    found = chosen_of(said_of(verdicts, YES_NO))
    assert found.is_empty()
    assert (
        found.schema == chosen_of(said_of({"v": RIGHT, "w": RIGHT, "z": "+++-++"}, YES_NO)).schema
    )


# --- what is asked and read -----------------------------------------------------------------


def test_the_prompt_shows_function_and_problems_as_they_are():
    chosen = pl.DataFrame(
        {
            "verifier_id": ["v"],
            "instruction_id": ["i"],
            "source": ["def evaluate(response):\n    return '{{ x }}' in response"],
            "problems": ["evaluate('{% if %}') returned True, it should return False."],
        }
    )
    instructions = pl.DataFrame({"instruction_id": ["i"], "instruction": ["Be {{ kind }}."]})
    asked = repair_prompts(chosen, instructions, make_recipe("audited", {"modules": ["emoji"]}))
    assert asked.select("instruction_id", "parent_id").rows() == [("i", "v")]
    for text in (chosen["source"][0], chosen["problems"][0], "Be {{ kind }}.", " and emoji"):
        assert text in asked["prompt"][0]
    assert repair_prompts(chosen.clear(), instructions, AUDITED).is_empty()


KEYS = {"instruction_id": pl.String, "parent_id": pl.String}


def read(*answers, known=(), check=lambda source: None):
    rows = [
        {"instruction_id": "i", "parent_id": f"p{n}", **answer} for n, answer in enumerate(answers)
    ]
    known_ids = pl.Series(list(known), dtype=pl.String)
    return parse_repairs(completions(*rows, **KEYS), check, str.strip, known_ids)


def wrote(source):
    return {"raw": json.dumps({"func": source})}


def test_every_answer_keeps_its_reason_and_its_parent():
    (known,) = read(wrote("old"))["verifier_id"]
    found = read(
        wrote("new"),
        wrote("new "),
        wrote("old"),
        wrote("old "),
        {"raw": "I cannot."},
        {"raw": json.dumps({"func": "cut"}), "finish_reason": "length"},
        {"raw": None, "finish_reason": None, "error": "400: no"},
        wrote("import os"),
        known=[known, None],
        check=lambda source: "forbidden_import:os" if "os" in source else None,
    )
    assert reasons(found, "parent_id") == {
        "p0": None,
        "p1": "duplicate",
        "p2": "unchanged",
        "p3": "unchanged",
        "p4": "no_function",
        "p5": "truncated",
        "p6": "call_refused",
        "p7": "forbidden_import",
    }
    assert set(found.columns) >= set(NO_REPAIRS.columns) - {"round"}


def test_no_answers_give_an_empty_frame():
    empty = read()
    assert empty.is_empty()
    assert empty.schema == read(wrote("new")).schema


def test_a_repair_is_a_function_with_a_parent_and_what_is_unchanged_is_no_vote():
    (old,) = read(wrote("old"))["verifier_id"]
    candidates = pl.DataFrame(
        {
            "verifier_id": [old, old, None],
            "instruction_id": ["i", "i", "i"],
            "source": ["old", "old", None],
            "reason": [None, "duplicate", "no_function"],
            "origin": "sampled",
        }
    )
    repairs = read(wrote("new"), wrote("old"), wrote("new"), wrote("old"), known=[old])
    found = functions_of(candidates, repairs)
    assert found.select("source", "origin", "parent_id", "samples").rows() == [
        ("old", "sampled", None, 2),
        ("new", "repair", "p0", 2),
    ]
    assert functions_of(candidates, NO_REPAIRS).rows() == functions_of(candidates).rows()


_SIGNS = st.text("+-xln", min_size=10, max_size=10)


@given(st.dictionaries(st.sampled_from("stuvwxyz"), _SIGNS, max_size=6), st.booleans())
def test_any_functions_give_at_most_so_many_repairs(verdicts, audited):
    probes = {"empty": EDGE, "blank": EDGE, "w": OBEYING, "y": BREAKING}
    said = said_of(verdicts, YES_NO, probes=probes)
    recipe = AUDITED if audited else PAPER
    judged = judge(said, recipe)
    found = to_repair(said, judged, NO_REPAIRS, recipe)
    assert found.height <= recipe.repairs_per_instruction
    assert found["verifier_id"].is_unique().all()
    assert not set(found["verifier_id"]) & set(accepted(judged.verifiers)["verifier_id"])
    assert found["problems"].null_count() == 0
