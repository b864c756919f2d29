from dataclasses import replace

import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.cross_validation import (
    constants,
    cross_validate,
    eligible,
    judge,
    majority,
)
from autoif_assets.method.gates import accepted
from autoif_assets.method.probes import BREAKING, EDGE, OBEYING, OTHER, PROBE_SCHEMA
from autoif_assets.method.recipe import RECIPES, make_recipe
from autoif_assets.method.repairs import NO_REPAIRS, to_repair
from autoif_assets.method.tried import ANSWER_SCHEMA, Tried
from autoif_assets.method.verifiers import OUTCOME_SCHEMA
from autoif_assets_tests.method.frames import (
    YES_NO,
    answers_of,
    cases_of,
    functions,
    outcomes,
    reasons,
    said_of,
    tried,
)

PAPER, AUDITED = RECIPES["paper"], RECIPES["audited"]


def frames(verifier_ids, cases):
    candidates = pl.DataFrame(
        {"verifier_id": verifier_ids, "instruction_id": "i", "source": verifier_ids},
        schema={"verifier_id": pl.String, "instruction_id": pl.String, "source": pl.String},
    )
    case_rows = [(case, "i", case.upper(), expected) for case, expected in cases.items()]
    schema = ["case_id", "instruction_id", "input", "expected"]
    types = [pl.String, pl.String, pl.String, pl.Boolean]
    return candidates, pl.DataFrame(
        case_rows, schema=dict(zip(schema, types, strict=True)), orient="row"
    )


def test_cases_first_then_functions_over_the_survivors():
    candidates, cases = frames(["v", "w", "x"], {"a": True, "b": False, "c": True})
    votes = outcomes(
        {
            "v": {"a": "pass", "b": "fail", "c": "fail"},
            "w": {"a": "pass", "b": "timeout", "c": "fail"},
            "x": {"a": "fail", "b": "fail", "c": "pass"},
        }
    )
    verifiers, checked = cross_validate(tried(candidates, cases, votes), PAPER)
    # c: one of three agrees. a and b: two of three; the timeout agrees with nothing.
    assert reasons(checked, "case_id") == {"a": None, "b": None, "c": "low_agreement"}
    assert reasons(verifiers, "verifier_id") == {
        "v": None,
        "w": "low_agreement",
        "x": "low_agreement",
    }
    assert verifiers.sort("verifier_id")["accuracy"].to_list() == [1.0, 0.5, 0.5]
    assert checked.filter(case_id="b")["outcomes"].to_list() == [
        [
            {"verifier_id": "v", "outcome": "fail"},
            {"verifier_id": "w", "outcome": "timeout"},
            {"verifier_id": "x", "outcome": "fail"},
        ]
    ]


def test_a_function_that_does_not_load_has_no_vote():
    candidates, cases = frames(["v", "w", "x"], {"a": True})
    votes = outcomes({"v": {"a": "pass"}, "w": {"a": "load_error"}, "x": {"a": "nondeterministic"}})
    verifiers, checked = cross_validate(tried(candidates, cases, votes), PAPER)
    assert checked["agreement"].to_list() == [1.0]
    assert reasons(verifiers, "verifier_id") == {
        "v": None,
        "w": "load_error",
        "x": "nondeterministic",
    }


def test_half_is_not_more_than_half():
    candidates, cases = frames(["v", "w"], {"a": True})
    votes = outcomes({"v": {"a": "pass"}, "w": {"a": "fail"}})
    verifiers, checked = cross_validate(tried(candidates, cases, votes), PAPER)
    assert reasons(checked, "case_id") == {"a": "low_agreement"}
    assert reasons(verifiers, "verifier_id") == dict.fromkeys(["v", "w"], "no_surviving_case")


def test_the_authors_profile_wants_numbers_first():
    recipe = make_recipe("authors_code")
    candidates, cases = frames(["v", "w"], {"a": True})
    votes = outcomes({"v": {"a": "pass"}, "w": {"a": "pass"}})
    verifiers, checked = cross_validate(tried(candidates, cases, votes), recipe)
    assert set(verifiers["reason"]) == {"too_few_verifiers"}
    assert set(checked["reason"]) == {"too_few_verifiers"}


def test_cases_without_functions_and_functions_without_cases_are_kept():
    candidates, cases = frames([], {"a": True})
    none = outcomes({})
    verifiers, checked = cross_validate(tried(candidates, cases, none), PAPER)
    assert verifiers.is_empty()
    assert reasons(checked, "case_id") == {"a": "no_verifier"}
    candidates, cases = frames(["v"], {})
    verifiers, checked = cross_validate(tried(candidates, cases, none), PAPER)
    assert reasons(verifiers, "verifier_id") == {"v": "too_few_cases"}
    assert checked.is_empty()


OUTCOME = st.sampled_from(["pass", "fail", "error", "timeout", "crash", "not_bool"])


@given(st.data())
def test_cross_validation_against_its_definition(data):
    verifier_ids = [f"v{n}" for n in range(data.draw(st.integers(1, 4)))]
    expected = {f"c{n}": data.draw(st.booleans()) for n in range(data.draw(st.integers(1, 4)))}
    table = {v: {c: data.draw(OUTCOME) for c in expected} for v in verifier_ids}
    agrees = {
        (v, c): table[v][c] == ("pass" if expected[c] else "fail") for v in table for c in expected
    }
    kept_cases = {c for c in expected if sum(agrees[v, c] for v in table) / len(verifier_ids) > 0.5}
    kept_verifiers = {
        v
        for v in table
        if kept_cases and sum(agrees[v, c] for c in kept_cases) / len(kept_cases) > 0.5
    }
    said = tried(*frames(verifier_ids, expected), outcomes(table))
    verifiers, cases = cross_validate(said, PAPER)
    assert set(accepted(cases)["case_id"]) == kept_cases
    assert set(accepted(verifiers)["verifier_id"]) == kept_verifiers
    assert verifiers.height == len(verifier_ids)
    assert cases.height == len(expected)


# --- what the paper does not ask ------------------------------------------------------------


def verdicts_of(said, base="paper", **numbers):
    """Reasons of verifiers and of cases."""
    verifiers, cases = cross_validate(said, make_recipe(base, numbers))
    return reasons(verifiers, "verifier_id"), reasons(cases, "case_id")


OTHERS = {f"o{n}": OTHER for n in range(8)}
OWN_TEXTS = {f"w{n}": OBEYING for n in range(5)} | {f"y{n}": BREAKING for n in range(5)}

# Gate → what the functions said, the numbers that switch it on, and why "v" goes.
GATES = {
    "constant": (
        said_of(
            {"v": "+++---++++++++", "w": "+++---++------", "x": "+++---++------"},
            YES_NO,
            probes=OTHERS,
            own={"v": [*"abcdef"]},
        ),
        {"reject_constants": True},
        "constant",
    ),
    "auditor": (
        said_of(
            {"v": "+++---++", "w": "+++-----", "x": "+++-----"},
            YES_NO,
            probes={"y0": BREAKING, "y1": BREAKING},
            answers={"y0": False, "y1": False},
        ),
        {"audited_texts_per_instruction": 8},
        "auditor_disagrees",
    ),
    "surviving": (
        said_of({"v": "++--", "w": "++--"}, {"a": True, "b": True, "c": True, "d": True}),
        {"surviving_cases": "> 0.5"},
        "few_cases_survive",
    ),
    "balance": (
        said_of({"v": "+++--", "w": "+++--"}, dict(list(YES_NO.items())[:5])),
        {"min_cases_per_label": 3},
        "unbalanced_cases",
    ),
    "labels": (
        said_of({"v": "++++-+", "w": "++++--", "x": "++++--"}, YES_NO | {"d": True}),
        {"agreement_by_label": ">= 0.8"},
        "low_agreement",
    ),
    "siblings": (
        said_of(
            {
                "v": "+++---" + "+++++" + "++---",
                "w": "+++---" + "+++++" + "-----",
                "x": "+++---" + "+++++" + "-----",
            },
            YES_NO,
            probes=OWN_TEXTS,
        ),
        {"sibling_agreement": ">= 0.9"},
        "outvoted",
    ),
    "edges": (
        said_of({"v": "+++---x", "w": "+++----", "x": "+++---+"}, YES_NO, probes={"empty": EDGE}),
        {"reject_fragile": True},
        "fragile",
    ),
}


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_rejects_for_its_reason_where_it_is_on_and_only_there(gate):
    said, numbers, reason = GATES[gate]
    assert verdicts_of(said)[0]["v"] is None
    assert verdicts_of(said, "authors_code", min_cases=1, min_verifiers=1)[0]["v"] is None
    assert verdicts_of(said, **numbers)[0]["v"] == reason


@pytest.mark.parametrize("gate", ["constant", "auditor", "labels", "siblings", "edges"])
def test_a_gate_leaves_the_others_alone(gate):
    said, numbers, _ = GATES[gate]
    verdicts, _ = verdicts_of(said, **numbers)
    assert verdicts["w"] is verdicts["x"] is None


def test_five_constants_of_eight_outvote_nobody():
    right, constant = "+++---", "++++++"
    verdicts = {f"r{n}": right + "--------" for n in range(3)}
    verdicts |= {f"c{n}": constant + "++++++++" for n in range(5)}
    said = said_of(verdicts, YES_NO, probes=OTHERS)
    kept, cases = verdicts_of(said)
    assert {name for name, reason in kept.items() if reason is None} >= {"c0", "c4"}
    assert cases["d"] == "low_agreement"
    kept, cases = verdicts_of(said, reject_constants=True)
    assert kept == {
        **{f"r{n}": None for n in range(3)},
        **{f"c{n}": "constant" for n in range(5)},
    }
    assert set(cases.values()) == {None}


def test_where_all_are_constants_that_is_the_reason():
    said = said_of({"v": "+" * 14, "w": "-" * 14}, YES_NO, probes=OTHERS)
    kept, cases = verdicts_of(said, reject_constants=True)
    assert kept == {"v": "constant", "w": "constant"}
    assert set(cases.values()) == {"no_verifier"}


@pytest.mark.parametrize(
    ("signs", "own", "constant"),
    [
        ("+" * 7, "", False),  # too few texts to tell
        ("+" * 8, "", True),
        ("-" * 8, "", True),
        ("+++++++-", "", False),
        ("-" + "+" * 8, "0", True),  # it knows its own case by heart
        ("-" + "+" * 7, "0", False),  # of seven others all count
        ("+" * 8, "0", True),
        ("x" * 4 + "+" * 8, "", True),  # without a verdict a text says nothing
        ("x" * 8, "", None),
    ],
)
def test_what_a_constant_is(signs, own, constant):
    cases = {str(n): True for n in range(len(signs))}
    found = constants(said_of({"v": signs}, cases, own={"v": own}))
    assert found["constant"].to_list() == ([] if constant is None else [constant])


def test_edge_texts_make_no_function_less_constant():
    probes = {"empty": EDGE, **OTHERS}
    found = constants(said_of({"v": "-" + "+" * 8}, {}, probes=probes))
    assert found["constant"].to_list() == [True]


def test_a_function_votes_for_each_sample_that_wrote_it():
    said = said_of({"v": "+++---", "w": "------"}, YES_NO, samples={"v": 7})
    kept, cases = verdicts_of(said)
    assert cases["a"] == "low_agreement"
    assert kept["w"] is None
    kept, cases = verdicts_of(said, count_samples=True)
    assert set(cases.values()) == {None}
    assert kept == {"v": None, "w": "low_agreement"}
    checked = cross_validate(said, make_recipe("paper", {"count_samples": True}))[1]
    assert checked.select("functions", "agreed", "agreement").rows()[0] == (2, 1, 7 / 8)


def test_labels_are_counted_for_themselves():
    # Nine of ten in all, and half of those that are to fail.
    cases = {f"t{n}": True for n in range(8)} | {"f0": False, "f1": False}
    said = said_of({"v": "++++++++-+", "w": "++++++++--", "x": "++++++++--"}, cases)
    on = make_recipe("paper", {"agreement_by_label": ">= 0.8"})
    verifiers, _ = cross_validate(said, on)
    assert verifiers.select("verifier_id", "accuracy_true", "accuracy_false", "reason").rows() == [
        ("v", 1.0, 0.5, "low_agreement"),
        ("w", 1.0, 1.0, None),
        ("x", 1.0, 1.0, None),
    ]
    exactly = make_recipe("paper", {"agreement_by_label": ">= 0.5"})
    assert set(cross_validate(said, exactly)[0]["status"]) == {"accepted"}


def test_a_label_without_cases_rejects_nobody_by_agreement():
    said = said_of({"v": "++", "w": "++"}, {"a": True, "b": True})
    verifiers, _ = cross_validate(said, make_recipe("paper", {"agreement_by_label": ">= 0.8"}))
    assert verifiers.select("accuracy_false", "reason").rows() == [(None, None)] * 2


@pytest.mark.parametrize(("least", "reason"), [(2, None), (3, "unbalanced_cases")])
def test_so_many_cases_of_each_label_must_survive(least, reason):
    # The third that is to pass is voted down.
    said = said_of({"v": "++----", "w": "++----"}, YES_NO)
    kept, cases = verdicts_of(said, min_cases_per_label=least)
    assert cases["c"] == "low_agreement"
    assert set(kept.values()) == {reason}


def test_siblings_are_compared_on_texts_written_for_the_instruction():
    signs = {"v": "++++++++++++++----------", "w": "+" * 14 + "+" * 10, "x": "+" * 14 + "+" * 10}
    probes = {f"o{n}": OTHER for n in range(8)} | {"e0": EDGE, "e1": EDGE}
    cases = {f"t{n}": True for n in range(14)}
    said = said_of(signs, cases, probes=probes)
    verifiers, _ = cross_validate(said, PAPER)
    assert verifiers["sibling_agreement"].to_list() == [1.0, 1.0, 1.0]
    own = said_of(signs, cases, probes=dict.fromkeys(probes, OBEYING))
    verifiers, _ = cross_validate(own, PAPER)
    assert verifiers["sibling_agreement"].to_list() == [14 / 24, 1.0, 1.0]


@pytest.mark.parametrize(("texts", "reason"), [(9, None), (8, "outvoted")])
def test_at_nine_of_ten_texts_a_function_is_with_its_siblings(texts, reason):
    # The case is a text that was written for the instruction, too.
    probes = {f"w{n}": OBEYING for n in range(texts)}
    signs = {"v": "+-" + "+" * (texts - 1)} | dict.fromkeys("wx", "+" * (texts + 1))
    said = said_of(signs, {"a": True}, probes=probes)
    kept, _ = verdicts_of(said, sibling_agreement=">= 0.9")
    assert kept == {"v": reason, "w": None, "x": None}


def test_where_less_than_two_thirds_agree_nobody_is_outvoted():
    said = said_of({"v": "+--", "w": "+++"}, {"a": True}, probes={"p": OBEYING, "q": OBEYING})
    kept, _ = verdicts_of(said, sibling_agreement=">= 0.9")
    assert kept == {"v": None, "w": None}
    assert cross_validate(said, PAPER)[0]["sibling_agreement"].to_list() == [1.0, 1.0]


def test_no_verdict_is_no_agreement_with_siblings():
    probes = {"p": OBEYING, "q": OBEYING}
    for others, agreement in (("w", [None, None]), ("wx", [0.0, 1.0, 1.0])):
        said = said_of({"v": "xt"} | dict.fromkeys(others, "++"), {}, probes=probes)
        assert cross_validate(said, PAPER)[0]["sibling_agreement"].to_list() == agreement


def test_a_probe_that_became_a_case_is_one_text_to_siblings():
    probes = {"p": OBEYING, "q": OBEYING}
    said = said_of(
        {"v": "+--"} | dict.fromkeys("wxy", "+++"), {"a": True}, probes=probes, answers={"p": True}
    )
    verifiers, cases = cross_validate(
        said, make_recipe("paper", {"audited_texts_per_instruction": 8})
    )
    assert cases["input"].to_list() == ["A", "P"]
    assert verifiers["sibling_agreement"].to_list() == [1 / 3, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("sign", ["x", "t"])
def test_a_function_is_fragile_by_edge_texts_alone(sign):
    probes = {"empty": EDGE, "blank": EDGE, "other": OTHER}
    said = said_of({"v": "+++---+-" + sign, "w": "+++---+" + sign + "-"}, YES_NO, probes=probes)
    kept, _ = verdicts_of(said, reject_fragile=True)
    assert kept == {"v": None, "w": "fragile"}


def test_no_verdict_on_a_blank_text_makes_no_function_fragile():
    probes = {"empty": EDGE, "other": OTHER}
    said = said_of({"v": "+++---x-", "w": "+++---+-"}, YES_NO, probes=probes)
    assert verdicts_of(said, reject_fragile=True)[0] == {"v": "fragile", "w": None}
    text = pl.when(pl.col("kind") == EDGE).then(pl.lit(" \n")).otherwise("input")
    blank = replace(said, probes=said.probes.with_columns(input=text))
    assert verdicts_of(blank, reject_fragile=True)[0] == {"v": None, "w": None}


def test_a_function_that_was_not_run_on_probes_is_judged_by_its_cases():
    probes = {"empty": EDGE, **OWN_TEXTS, **OTHERS}
    full = said_of(dict.fromkeys("vwx", "+++---" + "-" * 19), YES_NO, probes=probes)
    cases = full.cases.select(input_id="case_id")
    said = replace(full, outcomes=full.outcomes.join(cases, on="input_id", how="semi"))
    kept, _ = verdicts_of(said, "audited")
    assert set(kept.values()) == {None}


# --- the auditor ----------------------------------------------------------------------------

ASKED = {f"y{n}": BREAKING for n in range(4)}


def doubted(signs, answers, **beside):
    said = said_of(signs, YES_NO, probes=ASKED, answers=answers, **beside)
    kept, _ = verdicts_of(said, audited_texts_per_instruction=8)
    return {name for name, reason in kept.items() if reason == "auditor_disagrees"}


RIGHT = "+++---"
NO = dict.fromkeys(ASKED, False)


@pytest.mark.parametrize(
    ("signs", "answers", "who"),
    [
        ({"v": "++++", "w": "----"}, NO, {"v"}),
        ({"v": "++++", "w": "----"}, {}, set()),
        # Of one answer nothing is concluded.
        ({"v": "++++", "w": "----"}, {"y0": False}, set()),
        ({"v": "++++", "w": "----"}, {"y0": False, "y1": False}, {"v"}),
        # With half of the answers a function is not more often wrong than right.
        ({"v": "++--", "w": "----"}, {"y0": False, "y1": False, "y2": False}, {"v"}),
        # Where all agree, the auditor is not heard.
        ({"v": "++++", "w": "++++"}, NO, set()),
        # One of five is less than a quarter.
        ({"v": "++++", **dict.fromkeys("wxyz", "----")}, NO, set()),
        # One of four is a side.
        ({"v": "++++", **dict.fromkeys("wxy", "----")}, NO, {"v"}),
        # It is right with nobody on 0.7 of the texts: it is the one that is doubted.
        ({"v": "++--", "w": "--++"}, NO, set()),
    ],
)
def test_the_auditor_decides_between_sides(signs, answers, who):
    assert doubted({name: RIGHT + said for name, said in signs.items()}, answers) == who


def test_half_of_the_answers_is_enough():
    # v and w differ on all four; v is with the auditor on two of them.
    signs = {"v": RIGHT + "+-+-", "w": RIGHT + "-+-+", "x": RIGHT + "----"}
    assert doubted(signs, NO) == set()


def test_who_the_auditor_contradicts_has_no_vote():
    signs = {"v": "++++++++++", "w": "+++-------"}
    said = said_of(signs, YES_NO, probes=ASKED, answers=NO)
    kept, cases = verdicts_of(said, audited_texts_per_instruction=8)
    assert cases["d"] is None
    assert kept == {"v": "auditor_disagrees", "w": None}


def test_probes_that_majority_and_auditor_agree_on_become_cases():
    probes = {"w0": OBEYING, "y0": BREAKING, "y1": BREAKING, "y2": BREAKING}
    said = said_of(
        dict.fromkeys("vwx", "+++---" + "+--+") | {"z": "+++---" + "++--"},
        YES_NO,
        probes=probes,
        answers={"w0": True, "y0": False, "y1": True, "y2": False},
    )
    verifiers, cases = cross_validate(
        said, make_recipe("paper", {"audited_texts_per_instruction": 8})
    )
    made = cases.filter(origin="probe")
    # Of y1 and y2 they say different things.
    assert sorted(made.select("input", "expected", "query", "functions", "agreed").rows()) == [
        ("W0", True, None, 4, 4),
        ("Y0", False, None, 4, 3),
    ]
    assert made["case_id"].is_unique().all()
    assert verifiers.filter(verifier_id="v").select("cases", "agreed").rows() == [(8, 8)]
    assert verifiers.filter(verifier_id="z").select("cases", "agreed").rows() == [(8, 7)]


def test_they_count_for_the_balance():
    said = said_of(
        dict.fromkeys("vwx", "+++--" + "-") | {"z": "+++--" + "+"},
        dict(list(YES_NO.items())[:5]),
        probes={"y0": BREAKING},
        answers={"y0": False},
    )
    kept, _ = verdicts_of(said, audited_texts_per_instruction=8, min_cases_per_label=3)
    assert kept["v"] is None
    kept, _ = verdicts_of(replace(said, answers=said.answers.clear()), min_cases_per_label=3)
    assert kept["v"] == "unbalanced_cases"


def test_a_text_that_is_a_case_already_is_none_twice():
    said = said_of(
        dict.fromkeys("vwx", "++") | {"z": "-+"},
        {"a": True},
        probes={"w0": OBEYING},
        answers={"w0": True, "a": True},
    )
    same = said.probes.with_columns(input=pl.lit("A"))
    _, cases = cross_validate(
        replace(said, probes=same), make_recipe("paper", {"audited_texts_per_instruction": 8})
    )
    assert cases["case_id"].to_list() == ["a"]


def test_one_text_under_two_ids_becomes_one_case():
    # It was written for two instructions, and this one is tried on both.
    said = said_of(
        dict.fromkeys("vwx", "+++") | {"z": "+--"},
        {"a": True},
        probes={"w0": OBEYING, "o0": OTHER},
        answers={"w0": True, "o0": True},
    )
    same = said.probes.with_columns(input=pl.lit("one text"))
    verifiers, cases = cross_validate(
        replace(said, probes=same), make_recipe("paper", {"audited_texts_per_instruction": 8})
    )
    assert cases["input"].to_list() == ["A", "one text"]
    assert verifiers.filter(verifier_id="v")["cases"].to_list() == [2]


# --- few candidates -------------------------------------------------------------------------


def test_audited_keeps_one_good_function_alone():
    probes = OWN_TEXTS | {"empty": EDGE} | OTHERS
    said = said_of({"v": "+++---" + "+++++-----" + "-" + "-" * 8}, YES_NO, probes=probes)
    kept, cases = verdicts_of(said, "audited")
    assert kept == {"v": None}
    assert set(cases.values()) == {None}


def test_audited_decides_between_two_by_the_auditor():
    probes = OWN_TEXTS | {"empty": EDGE} | OTHERS
    right, lax = "+++---" + "+++++-----" + "-" * 9, "+++--+" + "+++++++---" + "-" * 9
    said = said_of({"v": right, "w": lax}, YES_NO, probes=probes)
    kept, cases = verdicts_of(said, "audited")
    # Nobody knows which of them is right on the case that they differ on.
    assert cases["f"] == "low_agreement"
    assert kept == {"v": "unbalanced_cases", "w": "unbalanced_cases"}
    heard = replace(said, answers=answers_of({"y0": False, "y1": False}))
    kept, cases = verdicts_of(heard, "audited")
    assert cases["f"] is None
    assert kept == {"v": None, "w": "auditor_disagrees"}


# --- any frames -----------------------------------------------------------------------------

_ANY_OUTCOME = st.sampled_from(
    [*["pass", "fail"] * 4, "error", "timeout", "crash", "not_bool", "load_error"]
)
_HOSTILE = ["", " ", "\n", "a'b\"c", "\\", "\0", "{{ instruction }}", "😀" * 3, "\u202e", "a" * 999]


@st.composite
def any_tried(draw):
    """Several instructions whose cases and probes they are all tried on, or not."""
    instructions = [f"i{n}" for n in range(draw(st.integers(0, 3)))]
    shared = {
        f"shared{n}": (draw(st.sampled_from([EDGE, OTHER])), draw(st.sampled_from(_HOSTILE)))
        for n in range(draw(st.integers(0, 3)))
    }
    made, cases, own, probes, answers, said = [], [], [], [], [], []
    for name in instructions:
        ids = [f"{name}v{n}" for n in range(draw(st.integers(0, 4)))]
        made.append(functions({id_: draw(st.integers(1, 5)) for id_ in ids}, name))
        labels = {f"{name}c{n}": draw(st.booleans()) for n in range(draw(st.integers(0, 5)))}
        texts = [draw(st.sampled_from(_HOSTILE)) + case for case in labels]
        cases.append(cases_of(labels, name).with_columns(input=pl.Series(texts, dtype=pl.String)))
        kinds = {
            f"{name}p{n}": (
                draw(st.sampled_from([OBEYING, BREAKING])),
                draw(st.sampled_from(_HOSTILE)),
            )
            for n in range(draw(st.integers(0, 4)))
        } | shared
        probes += [(id_, name, kind, text) for id_, (kind, text) in kinds.items()]
        every = [*labels, *kinds]
        if every:
            asked = draw(st.lists(st.sampled_from(every), unique=True))
            answers += [(name, id_, draw(st.booleans())) for id_ in asked]
        for id_ in ids:
            owned = draw(st.lists(st.sampled_from(list(labels)), unique=True)) if labels else []
            own += [(id_, case) for case in owned]
            said += [(id_, text, draw(_ANY_OUTCOME), None) for text in every]
    return Tried(
        pl.concat([functions({}), *made]),
        pl.concat([cases_of({}), *cases]),
        pl.DataFrame(own, {"verifier_id": pl.String, "input_id": pl.String}, orient="row"),
        pl.DataFrame(probes, PROBE_SCHEMA, orient="row"),
        pl.DataFrame(answers, ANSWER_SCHEMA, orient="row"),
        pl.DataFrame(said, dict(OUTCOME_SCHEMA), orient="row"),
    )


def verdict_rows(frames):
    """All that was found of functions and cases, in an order of their own."""
    # Polars divides a frame of one row by multiplying: the last digit may differ.
    verifiers, cases = (frame.with_columns(cs.float().round(12)) for frame in frames)
    return (
        verifiers.sort("verifier_id").rows(),
        cases.drop("outcomes").sort("case_id").rows(),
    )


@given(any_tried())
def test_every_function_and_case_keeps_one_row(said):
    verifiers, cases = cross_validate(said, AUDITED)
    assert verifiers["verifier_id"].to_list() == said.functions["verifier_id"].to_list()
    assert cases["case_id"].is_unique().all()
    assert cases["case_id"].to_list()[: said.cases.height] == said.cases["case_id"].to_list()
    assert set(cases["origin"][said.cases.height :]) <= {"probe"}
    assert verifiers["reason"].is_null().eq(verifiers["status"] == "accepted").all()
    for share in ("accuracy", "accuracy_true", "accuracy_false", "sibling_agreement"):
        assert verifiers[share].drop_nulls().is_between(0, 1).all()
    assert cases["agreement"].drop_nulls().is_between(0, 1).all()


@given(any_tried(), st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(said, random):
    def shuffled(frame):
        return frame[random.sample(range(frame.height), frame.height)]

    names = ("functions", "cases", "authors", "probes", "answers", "outcomes")
    other = replace(said, **{name: shuffled(getattr(said, name)) for name in names})
    assert verdict_rows(cross_validate(other, AUDITED)) == verdict_rows(
        cross_validate(said, AUDITED)
    )


@given(any_tried(), st.sampled_from(list(RECIPES)))
def test_instructions_are_judged_alone(said, name):
    recipe = make_recipe(name)
    parts = []
    for id_ in said.functions["instruction_id"].unique(maintain_order=True):
        own = {
            of: getattr(said, of).filter(instruction_id=id_)
            for of in ("functions", "cases", "probes", "answers")
        }
        ran = said.outcomes.join(own["functions"], on="verifier_id", how="semi")
        parts.append(cross_validate(replace(said, **own, outcomes=ran), recipe))
    verifiers, cases = cross_validate(said, recipe)
    known = cases.join(said.functions, on="instruction_id", how="semi")
    if parts:
        alone = (pl.concat(part[0] for part in parts), pl.concat(part[1] for part in parts))
        assert verdict_rows(alone) == verdict_rows((verifiers, known))
    else:
        assert verifiers.is_empty()


@given(any_tried(), st.sampled_from(["paper", "authors_code"]))
def test_what_the_paper_does_not_ask_changes_nothing_by_its_recipe(said, name):
    recipe = make_recipe(name)
    plain = replace(
        said,
        functions=said.functions.with_columns(samples=pl.lit(1, pl.Int64)),
        authors=said.authors.clear(),
        probes=said.probes.clear(),
        answers=said.answers.clear(),
        # One that contradicts itself does so on every text; probes are among them.
        outcomes=said.outcomes.join(said.cases, left_on="input_id", right_on="case_id", how="semi"),
    )
    barred = said.outcomes.filter(pl.col("outcome").is_in(["load_error", "nondeterministic"]))
    said = replace(said, outcomes=said.outcomes.join(barred, on="verifier_id", how="anti"))
    plain = replace(plain, outcomes=plain.outcomes.join(barred, on="verifier_id", how="anti"))
    verifiers, cases = cross_validate(said, recipe)
    expected, expected_cases = cross_validate(plain, recipe)
    verdicts = ["verifier_id", "cases", "agreed", "accuracy", "status", "reason"]
    assert verifiers.select(verdicts).rows() == expected.select(verdicts).rows()
    assert cases.rows() == expected_cases.rows()


@given(any_tried())
def test_shares_of_votes_add_up(said):
    shares = majority(eligible(said, AUDITED), said.outcomes)
    assert shares.select("instruction_id", "input_id").is_unique().all()
    assert (shares["passing"] + shares["failing"]).is_between(0, 1 + 1e-9).all()
    assert shares.filter(pl.col("verdict") & (pl.col("passing") < 0.66)).is_empty()
    assert shares.filter(~pl.col("verdict") & (pl.col("failing") < 0.66)).is_empty()


@pytest.mark.parametrize("name", RECIPES)
def test_of_nothing_comes_nothing(name):
    verifiers, cases = cross_validate(said_of({}, {}), make_recipe(name))
    assert verifiers.is_empty()
    assert cases.is_empty()
    full, full_cases = cross_validate(GATES["auditor"][0], make_recipe(name))
    assert verifiers.schema == full.schema
    assert cases.schema == full_cases.schema


def of_people(frame, *ids):
    """Say of functions or cases that people handed them in."""
    is_theirs = pl.col(frame.columns[0]).is_in(list(ids))
    origin = pl.when(is_theirs).then(pl.lit("user")).otherwise(pl.lit("sampled"))
    return frame.with_columns(origin=origin)


STRICT = make_recipe("audited", {"min_verifiers": 3, "min_cases": 10, "min_cases_per_label": 3})


@pytest.mark.parametrize("recipe", [PAPER, make_recipe("authors_code"), STRICT])
def test_a_function_that_people_hand_in_needs_neither_siblings_nor_cases(recipe):
    functions, cases = frames(["v"], {})
    functions = of_people(functions, "v")
    verifiers, _ = cross_validate(tried(functions, cases, outcomes({})), recipe)
    assert reasons(verifiers, "verifier_id") == {"v": None}
    assert verifiers.select("origin", "cases", "accuracy").rows() == [("user", 0, None)]
    # A model's cases that are against it die, and do not count against it.
    _, cases = frames([], {"a": True, "b": True, "c": False})
    votes = outcomes({"v": {"a": "pass", "b": "fail", "c": "pass"}})
    verifiers, checked = cross_validate(tried(functions, cases, votes), recipe)
    assert reasons(verifiers, "verifier_id") == {"v": None}
    if recipe.case_agreement != "> 0":
        assert reasons(checked, "case_id") == {
            "a": None,
            "b": "low_agreement",
            "c": "low_agreement",
        }


def test_a_function_that_people_hand_in_is_judged_by_what_it_does():
    ids = ["loads", "steady", "right", "wrong"]
    texts = {f"t{number}": number % 2 == 0 for number in range(8)}
    functions, cases = frames(ids, texts)
    functions = of_people(functions.with_columns(instruction_id=pl.col("verifier_id")), *ids)
    cases = pl.concat(
        cases.with_columns(
            case_id=pl.lit(f"{name} ") + pl.col("case_id"), instruction_id=pl.lit(name)
        )
        for name in ids
    )
    cases = of_people(cases, *cases["case_id"])
    right = {name: "pass" if passes else "fail" for name, passes in texts.items()}
    said = {
        "loads": dict.fromkeys(texts, "load_error"),
        "steady": dict.fromkeys(texts, "nondeterministic"),
        "right": right,
        "wrong": right | dict.fromkeys(("t1", "t3"), "pass"),
    }
    votes = outcomes(
        {name: {f"{name} {text}": one for text, one in of.items()} for name, of in said.items()}
    )
    verifiers, checked = cross_validate(tried(functions, cases, votes), STRICT)
    assert reasons(verifiers, "verifier_id") == {
        "loads": "load_error",
        "steady": "nondeterministic",
        "right": None,
        "wrong": "low_agreement",
    }
    # The only function says otherwise of two: they stay nevertheless.
    assert reasons(checked.filter(instruction_id="wrong"), "case_id") == {
        f"wrong {name}": None for name in texts
    }
    # It says no to all texts, also of those that people say obey.
    constant = outcomes({"right": {f"right {text}": "fail" for text in texts}})
    one = tried(
        functions.filter(verifier_id="right"), cases.filter(instruction_id="right"), constant
    )
    verifiers, checked = cross_validate(one, STRICT)
    assert reasons(verifiers, "verifier_id") == {"right": "constant"}
    assert set(checked["reason"]) == {"no_verifier"}


def test_peoples_cases_count_beside_a_models_and_need_no_votes():
    functions, cases = frames(["v", "w", "x"], {"a": True, "b": True, "c": True})
    votes = outcomes(
        {
            "v": {"a": "pass", "b": "fail", "c": "fail"},
            "w": {"a": "pass", "b": "fail", "c": "fail"},
            "x": {"a": "pass", "b": "pass", "c": "pass"},
        }
    )
    verifiers, checked = cross_validate(tried(functions, of_people(cases, "b"), votes), PAPER)
    assert reasons(checked, "case_id") == {"a": None, "b": None, "c": "low_agreement"}
    assert reasons(verifiers, "verifier_id") == {
        "v": "low_agreement",
        "w": "low_agreement",
        "x": None,
    }


def test_what_people_hand_in_is_not_sent_back_to_be_mended():
    functions, cases = frames(["v", "w"], {"a": True, "b": True})
    votes = outcomes({name: {"a": "pass", "b": "fail"} for name in ("v", "w")})
    of = tried(of_people(functions, "v"), of_people(cases, "b"), votes)
    judged = judge(of, PAPER)
    assert set(judged.verifiers["reason"]) == {"low_agreement"}
    chosen = to_repair(of, judged, NO_REPAIRS, make_recipe("audited"))
    assert chosen["verifier_id"].to_list() == ["w"]
