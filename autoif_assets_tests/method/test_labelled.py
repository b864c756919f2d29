import polars as pl

from autoif_assets.method.ids import content_id
from autoif_assets.method.labelled import (
    IN_USE,
    LABELLED_SCHEMA,
    agreement_by_gate,
    judged_verifiers,
    labelled_agreement,
    labelled_texts,
)
from autoif_assets_tests.method.frames import outcomes

ROWS = {
    "instruction": pl.String,
    "response": pl.String,
    "query": pl.String,
    "follows": pl.Boolean,
}


def labelled(*rows):
    return labelled_texts(pl.DataFrame(rows, schema=ROWS, orient="row"))


def test_texts_are_of_the_instruction_that_says_the_same_and_stay_as_they_are():
    texts = labelled(
        ("Use  no\ncommas. ", " a, b \n", None, False),
        ("Use no commas.", " a, b \n", None, False),
        ("Use no commas.", " a, b \n", "Why?", True),
        ("Use no commas.", " a, b \n", "", True),
        ("Be kind.", " a, b \n", None, True),
    )
    ids = [content_id("instruction", text) for text in ("Use no commas.", "Be kind.")]
    assert texts["instruction_id"].to_list() == [ids[0]] * 3 + [ids[1]]
    assert texts["query"].to_list() == [None, "Why?", "", None]
    assert set(texts["input"]) == {" a, b \n"}
    assert texts["input_id"].is_unique().all()
    assert labelled().schema == LABELLED_SCHEMA


VERIFIERS = pl.DataFrame(
    {
        "verifier_id": ["used", "wrong", "constant", "mutant", "elsewhere"],
        "instruction_id": ["i", "i", "i", "i", "j"],
        "source": ["s"] * 5,
        "origin": ["user", "sampled", "sampled", "repair", "sampled"],
        "reason": [None, None, "constant", None, None],
    }
)
AUDITS = pl.DataFrame(
    {
        "verifier_id": ["wrong", "used", "mutant", "elsewhere"],
        "reason": [None, None, "mutant_survives", None],
    }
)
TEXTS = pl.DataFrame(
    {
        "instruction_id": "i",
        "input_id": ["a", "b", "c"],
        "input": ["A", "B", "C"],
        "query": None,
        "expected": [True, False, False],
    },
    schema=LABELLED_SCHEMA,
)
SAID = outcomes(
    {
        "used": {"a": "pass", "b": "fail", "c": "fail"},
        "wrong": {"a": "pass", "b": "pass", "c": "timeout"},
        "constant": {"a": "fail", "b": "fail", "c": "fail"},
        "mutant": {"a": "pass", "b": "fail", "c": "fail"},
    }
)


def test_the_first_gate_that_rejects_a_verifier_is_its_gate():
    judged = judged_verifiers(VERIFIERS, AUDITS)
    assert dict(judged.select("verifier_id", "gate").iter_rows()) == {
        "used": IN_USE,
        "wrong": IN_USE,
        "constant": "constant",
        "mutant": "mutant_survives",
        "elsewhere": IN_USE,
    }


def test_each_verifier_is_compared_with_the_labels_of_its_instruction():
    made = labelled_agreement(judged_verifiers(VERIFIERS, AUDITS), TEXTS, SAID)
    numbers = ("verifier_id", "origin", "texts", "following", "agreed", "no_verdict", "share")
    assert made.select(numbers).rows() == [
        ("used", "user", 3, 1, 3, 0, 1.0),
        ("wrong", "sampled", 3, 1, 1, 1, 1 / 3),
        ("constant", "sampled", 3, 1, 2, 0, 2 / 3),
        ("mutant", "repair", 3, 1, 3, 0, 1.0),
    ]


def test_gates_tell_what_they_reject_wrongly_and_what_they_let_pass():
    made = labelled_agreement(judged_verifiers(VERIFIERS, AUDITS), TEXTS, SAID)
    assert agreement_by_gate(made).rows() == [
        (IN_USE, 2, 1, 1, 4 / 6),
        ("constant", 1, 0, 0, 2 / 3),
        ("mutant_survives", 1, 1, 1, 1.0),
    ]
    # Labels of one kind cannot tell a constant from a right one.
    one_sided = TEXTS.filter(expected=False)
    said = SAID.join(one_sided, on="input_id", how="semi")
    made = labelled_agreement(judged_verifiers(VERIFIERS, AUDITS), one_sided, said)
    gates = {
        gate: (agreed, tested) for gate, _, agreed, tested, _ in agreement_by_gate(made).rows()
    }
    assert gates["constant"] == (1, 0)


def test_without_labels_there_are_no_rows():
    made = labelled_agreement(judged_verifiers(VERIFIERS, AUDITS), labelled(), outcomes({}))
    assert made.is_empty()
    assert agreement_by_gate(made).is_empty()
