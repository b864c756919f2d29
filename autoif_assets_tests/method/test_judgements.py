"""Labels and scores are read where they are stated, and never as their opposite."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.judgements import NLI_LABELS, parse_nli_label, parse_score


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"label": "neutral"}', "neutral"),
        ('{"label": "Neutral."}', "neutral"),
        ('```json\n{"label": "neutral"}\n```', "neutral"),
        ('The premise {x} says so. {"label": "neutral"}', "neutral"),
        ('{"label": "neutral",}', "neutral"),
        ("Contradiction.", "contradiction"),
        ("CONTRADICTION", "contradiction"),
        ("The label is **entailment**", "entailment"),
        ("Label: entailment\nReason: every answer does.", "entailment"),
        ("I would classify this as a contradiction, because they differ.", "contradiction"),
        ("It is neutral (not entailment).", "neutral"),
        ("Neutral, not a contradiction.", "neutral"),
        ("They do not conflict. So the answer is neutral.", "neutral"),
        ("entailment or neutral", None),
        ("not entailment", None),
        ("Not a contradiction.", None),
        ("This isn't a contradiction.", None),
        ("It is hardly entailment.", None),
        ("Non-entailment", None),
        ("No contradiction", None),
        ("Contradiction is not present.", None),
        ("Contradiction: no", None),
        ("Contradiction? No.", None),
        ("Contradiction - none", None),
        ("Contradiction-free", None),
        ("Label: contradiction-free.", None),
        ("Entailment (unlikely)", None),
        ("Entailment, wrong", None),
        ("Entailment — hardly", None),
        ("Entailment, but actually the opposite", None),
        ("Contradiction, if at all", None),
        ("Contradiction (it is not)", None),
        ("Entailment (every answer that obeys the first obeys the second)", "entailment"),
        ("Neutral - the premise says nothing of it, and does not forbid it", "neutral"),
        ("Entailment (0.95)", "entailment"),
        ("The answer is $\\boxed{\\text{entailment}}$.", "entailment"),
        ('{"label": "not entailment"}', None),
        ('{"contradiction": false}', None),
        ('{"label": "neutral"} {"label": "entailment"}', None),
        ("Entailment. Or neutral. Neutral.", None),
        ('{"label": "yes"}', None),
        ('{"label": 3}', None),
        ("", None),
    ],
)
def test_nli_label(text, label):
    assert parse_nli_label(text) == label


@given(
    st.sampled_from(NLI_LABELS),
    st.sampled_from(
        [
            "not",
            "no",
            "isn't",
            "never",
            "hardly",
            "neither",
            "nor",
            "without",
            "rather than",
            "instead of",
            "far from",
            "non",
            "anything but",
            "doubtful",
            "impossible",
        ]
    ),
    st.sampled_from(["", "a ", "an ", "clearly ", "the "]),
    st.sampled_from(["", "This is ", "The label is ", "It is, so the answer: "]),
    st.sampled_from(["", ".", " here.", "!", "\n"]),
)
def test_a_negated_label_is_never_the_label(label, negation, article, lead, end):
    assert parse_nli_label(f"{lead}{negation} {article}{label}{end}") is None


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"reason": "It is 3 lines long.", "score": 9}', 9),
        ('{"score": "8"}', 8),
        ('{"reason": "It answers.", "answers": true, "score": "8/10"}', 8),
        ('{"score": "8 out of 10"}', 8),
        ('{"score": 7.5}', 7.5),
        ('{"score": 11}', None),
        ('{"score": -3}', None),
        ('{"score": "-3"}', None),
        ('{"score": true}', None),
        ('{"score": "3/5"}', None),
        ('{"score": [8]}', None),
        ('Given {x}: {"score": 8}', 8),
        ('{"score": 3} I mean {"score": 8}', 8),
        ('{"answers": true, "parts": {"score": 3}, "score": 8,}', 8),
        ("It answers the query in 3 steps.\n\nScore: 8", 8),
        ("Fine.\n**Score:** 7.5", 7.5),
        ("Fine.\nScore: 10/10", 10),
        ("Fine.\nScore (0-10): 9", 9),
        ("Fine.\nScore (out of 10): 9.", 9),
        ("Fine.\nScore on a scale of 0 to 10: 9", 9),
        ("Fine.\nThe score for this response is 9.", 9),
        ("Fine.\n评分：8分", 8),
        ("Fine.\n\\boxed{8}", 8),
        ("So $\\boxed{8/10}$.", 8),
        ("Fine.\nScore: 8\n\nThank you!", 8),
        ("Fine.\nScore: 8\nLet me know if you need anything else.", 8),
        ("I give it 9 out of 10.", 9),
        ("Good.\n8", 8),
        ("Good.\n8/10", 8),
        ("Score - 8", 8),
        ("Score: -8", None),
        ("Score: −8", None),
        ("-8", None),
        ("-8/10", None),
        ("\\boxed{-8}", None),
        ("Score: minus 3", None),
        ("Score: not 9", None),
        ("Score: 7-8", None),
        ("Score: 7 or 8", None),
        ("Score: 7 to 8", None),
        ("Score: 8 and 9", None),
        ("Score: 8\n\n---", 8),
        ("Score: 8\n\n***\nThank you!", 8),
        ("Score: 8/100", None),
        ("Score: 80%", None),
        ("18/10", None),
        ("Score: 9\nBut I am not sure about the second part.", None),
        ("Score: 100", None),
        ("It lists 12 items.", None),
        ("", None),
    ],
)
def test_score(text, score):
    assert parse_score(text) == score


@given(
    st.integers(-20, 20),
    st.sampled_from(
        ["{}", "Score: {}", "Score: {}/10", "\\boxed{{{}}}", "**Score (0-10): {}**", "{} out of 10"]
    ),
    st.sampled_from(["", "Fine, 3 of 4.\n"]),
    st.sampled_from(["", "\n", "\n\nThanks!", "\nI hope this helps."]),
)
def test_a_score_in_any_form_is_itself_or_none(number, form, before, after):
    expected = number if 0 <= number <= 10 else None
    assert parse_score(before + form.format(number) + after) == expected
    assert parse_score(before + json.dumps({"score": form.format(number)}) + after) in (
        expected,
        None,
    )
