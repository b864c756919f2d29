"""What is true about a text, asked directly; test_answers asks it about the model's texts."""

import pytest

from autoif_assets.simulator.truth import truth

INSTRUCTION = 'Use the word "because" at least three times.'


@pytest.mark.parametrize(
    "hypothesis, label",
    [
        ("Mention 'because' at least 3 times.", "entailment"),
        ('Use the word "because" exactly three times.', "contradiction"),
        ("Write everything in lowercase.", "contradiction"),
        ("Write an answer that is not empty.", "contradiction"),
        ("Write a clear and helpful answer.", "neutral"),
    ],
)
def test_labels_follow_from_reading_both_texts(hypothesis, label):
    assert truth("nli", premise=INSTRUCTION, hypothesis=hypothesis) == {"label": label}


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"kind": "weather"}, "the kinds are instruction, verifier"),
        ({"kind": "nli", "premise": "x"}, "premise, hypothesis"),
        ({"kind": "instruction", "instruction": 3}, "must be a str"),
    ],
)
def test_questions_that_have_no_truth_are_told_what_is_missing(fields, words):
    with pytest.raises(ValueError, match=words):
        truth(**fields)
