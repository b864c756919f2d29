"""Audits: mutants, who is in use, the verdict matrix, and the instructions that are verified."""

from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.audits import (
    audit_texts,
    audit_verifiers,
    mutant_trials,
    mutants_of,
    pool,
    verdict_matrix,
)
from autoif_assets.method.back_translation import verify_instructions
from autoif_assets.method.probes import BREAKING, CASE, EDGE, OBEYING, OTHER
from autoif_assets.method.recipe import RECIPES, make_recipe
from autoif_assets_tests.method.frames import (
    answers_of,
    cases_of,
    functions,
    outcomes,
    reasons,
    signed,
)

AUDITED, PAPER = RECIPES["audited"], RECIPES["paper"]
NO_TRANSLATIONS = pl.DataFrame(schema={"verifier_id": pl.String, "nli_label": pl.String})


def verifiers_of(samples, instruction_id="i"):
    """Accepted ``verifiers``."""
    shares = ("accuracy", "accuracy_true", "accuracy_false", "sibling_agreement")
    return functions(samples, instruction_id).with_columns(pl.lit(1.0).alias(n) for n in shares)


def mutants_named(parents, instruction_id="i"):
    """Mutants by their ids, with their parents'."""
    rows = [(name, instruction_id, f"def {name}", parent) for name, parent in parents.items()]
    names = ("verifier_id", "instruction_id", "source", "parent_id")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def texts_of(cases, probes, instruction_id="i"):
    """``audit_texts`` of one instruction."""
    rows = [(name, instruction_id, name, None, None, expected) for name, expected in cases.items()]
    rows += [(name, instruction_id, name, None, kind, None) for name, kind in probes.items()]
    schema = {
        **dict.fromkeys(("input_id", "instruction_id", "input", "query", "kind"), pl.String),
        "expected": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


CASES = {"a": True, "b": False}
PROBES = {"p": OBEYING, "q": BREAKING, "o": OTHER, "e": EDGE}


def audits_of(
    verdicts, *, mutants=None, samples=None, labels=None, answers=None, probes=None, **numbers
):
    """``verifier_audits``; verdicts are a sign a text, those of mutants too."""
    probes = PROBES if probes is None else probes
    texts = texts_of(CASES, probes)
    said = signed(verdicts, texts["input_id"])
    known = {name: (samples or {}).get(name, 1) for name in verdicts if name not in (mutants or {})}
    return audit_verifiers(
        verifiers_of(known),
        texts,
        said,
        mutants_named(mutants or {}),
        pl.DataFrame(list((labels or {}).items()), NO_TRANSLATIONS.schema, orient="row"),
        answers_of(answers or {}),
        make_recipe("audited", numbers),
    )


def row_of(audits, name="v"):
    return audits.filter(verifier_id=name).to_dicts()[0]


# --- mutants --------------------------------------------------------------------------------


def changed(source, limit):
    return [SimpleNamespace(source=f"{source}{n}") for n in range(3)][:limit]


def test_mutants_are_named_by_instruction_and_source():
    both = pl.concat([verifiers_of({"v": 1}), verifiers_of({"w": 1}, "j")])
    made = mutants_of(both, changed, make_recipe("audited", {"mutants_per_verifier": 2}))
    assert made.select("instruction_id", "source", "parent_id").rows() == [
        ("i", "def v0", "v"),
        ("i", "def v1", "v"),
        ("j", "def w0", "w"),
        ("j", "def w1", "w"),
    ]
    assert made["verifier_id"].is_unique().all()
    assert not set(made["verifier_id"]) & {"v", "w"}


def test_equal_mutants_are_one_function_with_several_parents():
    def same(source, limit):
        return [SimpleNamespace(source="same")] * 2

    both = pl.concat([verifiers_of({"v": 1, "w": 1}), verifiers_of({"x": 1}, "j")])
    made = mutants_of(both, same, AUDITED)
    assert made["parent_id"].to_list() == ["v", "w", "x"]
    one, two, other = made["verifier_id"]
    assert one == two != other


def test_without_verifiers_or_wanted_mutants_there_are_none():
    full = mutants_of(verifiers_of({"v": 1}), changed, AUDITED)
    for made in (
        mutants_of(verifiers_of({}), changed, AUDITED),
        mutants_of(verifiers_of({"v": 1}), changed, RECIPES["paper"]),
        mutants_of(verifiers_of({"v": 1}), lambda source, limit: [], AUDITED),
    ):
        assert made.is_empty()
        assert made.schema == full.schema


# --- what verifiers are tried on ------------------------------------------------------------


def probes_with_places(*rows):
    """Accepted ``probe_texts``: id, instruction it was written for, kind and place."""
    schema = {"probe_id": pl.String, "instruction_id": pl.String, "kind": pl.String}
    return pl.DataFrame(rows, {**schema, "place": pl.Int64}, orient="row").with_columns(
        input="probe_id"
    )


def test_texts_are_surviving_cases_and_probes():
    cases = pl.concat([cases_of(CASES), cases_of({"c": True}, "j")]).with_columns(
        query=pl.lit("Why?")
    )
    probes = probes_with_places(
        ("p", "i", OBEYING, None), ("c", "j", CASE, 1), ("e", None, EDGE, 0), ("r", "k", OBEYING, 2)
    )
    found = audit_texts(cases, probes, verifiers_of({"v": 1, "w": 1}), answers_of({}), AUDITED)
    assert found.select("input_id", "instruction_id", "query", "kind", "expected").rows() == [
        ("a", "i", "Why?", None, True),
        ("b", "i", "Why?", None, False),
        ("p", "i", None, OBEYING, None),
        ("e", "i", None, EDGE, None),
        ("c", "i", None, OTHER, None),
        ("r", "i", None, OTHER, None),
    ]


def test_a_case_among_the_probes_is_its_instructions_case():
    probes = probes_with_places(("a", "i", CASE, 0))
    verifiers = verifiers_of({"v": 1})
    found = audit_texts(cases_of({"a": True}), probes, verifiers, answers_of({}), AUDITED)
    assert found.select("input_id", "kind", "expected").rows() == [("a", None, True)]


def test_without_mutants_only_what_nobody_else_tells_is_tried():
    """With the recipe of the paper, whose audits tell nothing that is not known, nothing is."""
    probes = probes_with_places(
        ("p", "i", OBEYING, None), ("e", None, EDGE, 0), ("r", "k", OBEYING, 1)
    )
    verifiers = pl.concat([verifiers_of({"v": 1}), verifiers_of({"w": 1}, "j")])
    answers = pl.concat([answers_of({"p": True, "a": False}), answers_of({"r": True}, "j")])
    found = audit_texts(cases_of(CASES), probes, verifiers, answers, PAPER)
    assert found.select("instruction_id", "input_id").rows() == [
        *(("i", "a"), ("i", "p"), ("i", "e"), ("j", "e"), ("j", "r"))
    ]
    none = audit_texts(cases_of(CASES), probes.clear(), verifiers, answers.clear(), PAPER)
    assert none.is_empty()
    assert none.schema == found.schema


# --- who is in use --------------------------------------------------------------------------


RIGHT = "+-+---"


def test_what_is_known_of_a_verifier():
    verdicts = {"v": "+-+--x", "w": RIGHT, "x": RIGHT}
    mutants = {"m1": "v", "m2": "v", "m3": "v"}
    verdicts |= {"m1": "++++++", "m2": RIGHT, "m3": "+-++--"}
    audits = audits_of(
        verdicts,
        mutants=mutants,
        samples={"v": 2},
        labels={"v": "neutral"},
        answers={"p": True, "q": True, "unheard": True},
    )
    assert audits["verifier_id"].to_list() == ["v", "w", "x"]
    found = row_of(audits)
    assert found["samples"] == 2
    assert (found["mutants"], found["told_apart"]) == (3, 1)
    assert (found["answers"], found["answers_agreed"]) == (2, 1)
    assert found["fragile_probes"] == 1
    assert found["nli_label"] == "neutral"
    plain = row_of(audits, "w")
    assert (plain["mutants"], plain["told_apart"], plain["fragile_probes"]) == (0, 0, 0)
    assert plain["nli_label"] is None
    assert plain["status"] == "accepted"


def test_a_verifier_goes_whose_mutant_is_more_often_with_the_majority():
    verdicts = dict.fromkeys("wxy", RIGHT) | {"v": "+-++--", "m": RIGHT}
    assert reasons(audits_of(verdicts, mutants={"m": "v"}), "verifier_id") == {
        **dict.fromkeys("wxy"),
        "v": "mutant_survives",
    }


@pytest.mark.parametrize(
    ("own", "mutant", "reason"),
    [
        (RIGHT, RIGHT, None),  # one that decides alike says nothing
        (RIGHT, "++++++", None),
        ("+-++--", "+-++--", None),
        ("+-++--", "+-+-+-", None),  # as often with the majority, elsewhere
        ("+-+++-", "+-++--", "mutant_survives"),
        ("+-++--", "xxxxxx", None),
        ("+-x---", RIGHT, "mutant_survives"),  # no verdict is a mistake, too
    ],
)
def test_when_a_mutant_does_better(own, mutant, reason):
    verdicts = dict.fromkeys("wxy", RIGHT) | {"v": own, "m": mutant}
    assert reasons(audits_of(verdicts, mutants={"m": "v"}), "verifier_id")["v"] == reason


def test_a_mutant_of_two_is_weighed_against_each():
    mutants = pl.concat([mutants_named({"m": "v"}), mutants_named({"m": "w"})])
    texts = texts_of(CASES, PROBES)
    signs = dict.fromkeys("wxy", RIGHT) | {"v": "+-++--", "m": RIGHT}
    said = signed(signs, texts["input_id"])
    audits = audit_verifiers(
        verifiers_of(dict.fromkeys("vwxy", 1)),
        texts,
        said,
        mutants,
        NO_TRANSLATIONS,
        answers_of({}),
        AUDITED,
    )
    assert audits["mutants"].to_list() == [1, 1, 0, 0]
    assert reasons(audits, "verifier_id") == {"v": "mutant_survives", **dict.fromkeys("wxy")}


def test_alone_a_verifier_is_with_the_majority():
    audits = audits_of({"v": RIGHT, "m": "++++++"}, mutants={"m": "v"})
    assert reasons(audits, "verifier_id") == {"v": None}
    assert (row_of(audits)["mutants"], row_of(audits)["told_apart"]) == (1, 1)


def test_samples_are_votes():
    verdicts = {"v": "+-++--", "w": RIGHT, "m": RIGHT}
    for samples, reason in (({"w": 2}, "mutant_survives"), ({"v": 2}, None), ({}, None)):
        found = audits_of(verdicts, mutants={"m": "v"}, samples=samples)
        assert reasons(found, "verifier_id")["v"] == reason


def test_a_contradiction_rejects_its_verifier_where_the_recipe_says_so():
    verdicts = dict.fromkeys("vwx", RIGHT)
    labels = {"v": "contradiction", "w": "entailment"}
    assert reasons(audits_of(verdicts, labels=labels), "verifier_id") == {
        "v": "contradiction",
        "w": None,
        "x": None,
    }
    kept = audits_of(verdicts, labels=labels, contradiction_rejects="instruction")
    assert set(kept["status"]) == {"accepted"}
    assert row_of(kept)["nli_label"] == "contradiction"


def test_of_no_verifiers_nothing_is_known():
    audits = audits_of({})
    assert audits.is_empty()
    assert audits.schema == audits_of({"v": RIGHT}).schema
    # Nor where there are neither cases nor probes.
    bare = audit_verifiers(
        verifiers_of({"v": 1}),
        texts_of({}, {}),
        outcomes({}),
        mutants_named({"m": "v"}),
        NO_TRANSLATIONS,
        answers_of({}),
        AUDITED,
    )
    assert row_of(bare)["mutants"] == 1
    assert row_of(bare)["status"] == "accepted"


_SIGNS = st.text("+-x", min_size=6, max_size=6)


@given(
    st.dictionaries(st.sampled_from("vwxyz"), _SIGNS, max_size=4),
    st.dictionaries(st.sampled_from("abcdef"), _SIGNS, max_size=4),
    st.data(),
)
def test_every_verifier_keeps_one_row(verdicts, changed_ones, data):
    mutants = {}
    if verdicts:
        names = st.sampled_from(sorted(verdicts))
        mutants = {f"m{name}": data.draw(names) for name in changed_ones}
    signs = {f"m{name}": of for name, of in changed_ones.items() if verdicts}
    audits = audits_of(verdicts | signs, mutants=mutants)
    assert audits["verifier_id"].to_list() == list(verdicts)
    assert audits["mutants"].sum() == len(mutants)
    assert (audits["told_apart"] <= audits["mutants"]).all()
    assert audits["fragile_probes"].is_between(0, 1).all()
    back = audits_of(dict(reversed((verdicts | signs).items())), mutants=mutants)
    assert back.sort("verifier_id").rows() == audits.sort("verifier_id").rows()


@given(
    st.dictionaries(st.sampled_from("vwxy"), _SIGNS, min_size=1, max_size=4),
    st.dictionaries(st.sampled_from("abc"), _SIGNS, max_size=3),
    st.data(),
)
def test_mutants_are_tried_on_what_tells_and_on_nothing_else(verdicts, signs, data):
    parents = st.sets(st.sampled_from(sorted(verdicts)), min_size=1)
    pairs = [(name, parent) for name in signs for parent in sorted(data.draw(parents))]
    mutants = pl.concat([mutants_named({}), *(mutants_named({m: v}) for m, v in pairs)])
    verifiers, texts = verifiers_of(dict.fromkeys(verdicts, 1)), texts_of(CASES, PROBES)
    said = signed(verdicts | signs, texts["input_id"])
    own = said.filter(pl.col("verifier_id").is_in(list(verdicts)))
    tried = list(mutant_trials(mutants, verifiers, texts, own))
    assert sorted(name for some, _ in tried for name in some["verifier_id"]) == sorted(signs)
    assert {on.height for some, on in tried if some.height} <= {len(CASES), texts.height}
    some_said = [
        said.join(some, on="verifier_id", how="semi").join(on, on="input_id", how="semi")
        for some, on in tried
    ]

    def audited(outcomes):
        return audit_verifiers(
            verifiers, texts, outcomes, mutants, NO_TRANSLATIONS, answers_of({}), AUDITED
        )

    assert audited(pl.concat([own, *some_said])).equals(audited(said))


# --- the matrix -----------------------------------------------------------------------------


def matrix_of(verdicts, probes, samples=None, instruction_id="i"):
    """``verdict_matrix`` of one instruction; a sign a placed text."""
    ids = probes.drop_nulls("place").sort("place")["probe_id"]
    said = signed(verdicts, ids)
    known = functions({name: (samples or {}).get(name, 1) for name in verdicts}, instruction_id)
    return verdict_matrix(known, probes, said)


PLACED = probes_with_places(
    ("e", None, EDGE, 0),
    ("own", "i", OBEYING, 2),
    ("broken", "i", BREAKING, 1),
    ("left out", "i", OBEYING, None),
    ("c", "j", CASE, 3),
    ("d", "j", OBEYING, 4),
)


def test_a_bit_a_text_in_the_order_of_places():
    (row,) = matrix_of({"v": "+-++x"}, PLACED).to_dicts()
    assert (row["texts"], row["verdicts"], row["known"]) == (5, "10110", "11110")
    # Of c and d, of which one has no verdict; and of what was to obey.
    assert (row["base_rate"], row["own_rate"]) == (1.0, 1.0)


def test_most_votes_decide_and_half_is_not_most():
    (row,) = matrix_of({"v": "+++++", "w": "--x-+"}, PLACED).to_dicts()
    assert (row["verdicts"], row["known"]) == ("00101", "11111")
    (row,) = matrix_of({"v": "+++++", "w": "--x-+"}, PLACED, {"v": 2}).to_dicts()
    assert row["verdicts"] == "11111"


def test_rates_are_of_others_texts_and_of_those_that_were_to_obey():
    (row,) = matrix_of({"v": "++--+"}, PLACED).to_dicts()
    assert (row["base_rate"], row["own_rate"]) == (0.5, 0.0)
    alone = PLACED.filter(pl.col("instruction_id") == "i")
    (row,) = matrix_of({"v": "+-"}, alone).to_dicts()
    assert (row["base_rate"], row["own_rate"]) == (None, 0.0)
    (row,) = matrix_of({"v": "xxxxx"}, PLACED).to_dicts()
    assert (row["verdicts"], row["known"]) == ("00000", "00000")
    assert (row["base_rate"], row["own_rate"]) == (None, None)


def test_every_instruction_with_verifiers_has_a_row_where_there_are_probes():
    both = pl.concat([functions({"v": 1, "w": 1}), functions({"x": 1}, "j")])
    texts = pool(PLACED, both)
    assert texts.group_by("instruction_id", maintain_order=True).agg("input_id").rows() == [
        ("i", ["e", "broken", "own", "c", "d"]),
        ("j", ["e", "broken", "own", "c", "d"]),
    ]
    none_said = verdict_matrix(both, PLACED, outcomes({}))
    assert none_said["instruction_id"].to_list() == ["i", "j"]
    assert set(none_said["known"]) == {"00000"}
    for empty in (
        verdict_matrix(both, PLACED.clear(), outcomes({})),
        verdict_matrix(both.clear(), PLACED, outcomes({})),
    ):
        assert empty.is_empty()
        assert empty.schema == none_said.schema


# --- verified instructions ------------------------------------------------------------------

INSTRUCTIONS = pl.DataFrame(
    {"instruction_id": ["i"], "instruction": ["Be kind."], "category": ["tone"]}
)
KNOWN = pl.DataFrame({"instruction_id": ["i", "j"], "origin": "sampled"})


def verified(labels, base_rate=0.5, own_rate=0.5, base="audited", verifiers=KNOWN, **numbers):
    """The reason of an instruction, or None."""
    translations = pl.DataFrame(
        [("i", label) for label in labels],
        {"instruction_id": pl.String, "nli_label": pl.String},
        orient="row",
    )
    schema = {"instruction_id": pl.String, "base_rate": pl.Float64, "own_rate": pl.Float64}
    matrix = pl.DataFrame([("i", base_rate, own_rate)], schema, orient="row")
    recipe = make_recipe(base, numbers)
    found = verify_instructions(INSTRUCTIONS, verifiers, KNOWN, translations, matrix, recipe)
    assert found.height == 1
    return found["reason"].item()


E, N, C = "entailment", "neutral", "contradiction"


@pytest.mark.parametrize(
    ("labels", "audited", "paper"),
    [
        ([E], None, None),
        ([E, E, C], None, C),
        ([E, C], C, C),
        ([E, N, C, C], C, C),
        ([E, N, N, C], None, C),
        ([C], C, C),
        ([E, None, C], C, C),  # what has no label is no vote
        ([None], "no_back_translation", "no_back_translation"),
        ([], "no_back_translation", "no_back_translation"),
    ],
)
def test_half_of_the_labels_reject_an_instruction_or_any(labels, audited, paper):
    assert verified(labels) == audited
    assert verified(labels, base="paper") == paper
    assert verified(labels, base="authors_code") == paper


def test_where_contradictions_took_all_verifiers_that_is_the_reason():
    assert verified([C, C], verifiers=KNOWN.clear()) == C
    assert verified([E], verifiers=KNOWN.clear()) == "no_verifier"


@pytest.mark.parametrize(
    ("base_rate", "own_rate", "reason"),
    [
        (0.9, 1.0, None),
        (0.91, 1.0, "vacuous"),
        (1.0, None, "vacuous"),
        (0.02, 0.0, None),
        (0.01, 0.0, "impossible"),
        (0.01, None, "impossible"),
        (0.0, 0.02, None),  # few texts do by chance, but those do that were to
        (None, None, None),
        (None, 0.0, None),
    ],
)
def test_instructions_that_hold_for_nearly_all_or_no_texts_go(base_rate, own_rate, reason):
    assert verified([E], base_rate, own_rate) == reason
    assert verified([E], base_rate, own_rate, base="paper") is None
