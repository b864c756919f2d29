"""Thoughts are told from answers, in all marks that models put between them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.readable import trimmed
from autoif_assets.method.thoughts import split_reasoning

ASSISTANT = "<|start|>assistant"
PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<unused94>thought\n", "<unused95>"),
)
MARKS = sorted({mark for pair in PAIRS for mark in pair})


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("yes", "yes", None),
        ("  yes\n", "  yes\n", None),
        ("<think>a</think>yes", "yes", "a"),
        ("\n<think>\na\n</think>\n\nyes\n", "yes", "a"),
        ("<think>a</think><think>b</think>yes", "yes", "a\nb"),
        ("<think>never closed", "", "never closed"),
        ("<think>a</think><think>never closed", "", "a\nnever closed"),
        ("<think></think>yes", "yes", None),
        ("<think>a</think>\n\n    if x:\n        y\n", "    if x:\n        y", "a"),
        ("<think>a</think> Sure:\n- b", "Sure:\n- b", "a"),
        ("a\n</think>\n\nyes", "yes", "a"),
        ("I must keep it short.</think>Paris.", "Paris.", "I must keep it short."),
        ("a <think>b</think> c </think>yes", "yes", "a\nb\nc"),
        ("<THINK>a</THINK>yes", "yes", "a"),
        ("<reasoning>a</reasoning>yes", "yes", "a"),
        ("<thought>a</thought>yes", "yes", "a"),
        # What stands around the answer is no part of it.
        (
            "<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>yes<|end_of_solution|>",
            "yes",
            "a",
        ),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>yes", "yes", "a"),
        ("<|START_RESPONSE|>yes<|END_RESPONSE|>", "yes", None),
        ("My steps: a\n[BEGIN FINAL RESPONSE]\nyes\n[END FINAL RESPONSE]", "yes", "My steps: a"),
        ("<think>a</think>\n<answer>\nyes\n</answer>", "yes", "a"),
        (
            "<think>a</think><answer>1</answer><answer>2</answer>",
            "<answer>1</answer><answer>2</answer>",
            "a",
        ),
        ("<answer>yes</answer>", "<answer>yes</answer>", None),
        ("<answer></answer>", "<answer></answer>", None),
        # Words that are used for other things, too.
        ("<a><reasoning>b</reasoning></a>", "<a><reasoning>b</reasoning></a>", None),
        ("analysis of it", "analysis of it", None),
        (
            f"<|channel|>analysis<|message|>a<|end|>{ASSISTANT}<|channel|>final<|message|>yes",
            "yes",
            "a",
        ),
        (
            f"<|channel|>analysis<|message|>a<|end|>{ASSISTANT}<|channel|>commentary<|message|>b"
            f"<|end|>{ASSISTANT}<|channel|>final <|constrain|>json<|message|>{{}}<|return|>",
            "{}",
            "a\nb",
        ),
        (f"{ASSISTANT}<|channel|>final<|message|>yes<|return|>", "yes", None),
        ("<|channel|>analysis<|message|>never closed", "", "never closed"),
        ("analysisI must be brief.assistantfinalParis.", "Paris.", "I must be brief."),
    ],
)
def test_thoughts_are_told_from_the_answer(text, answer, reasoning):
    assert split_reasoning(text) == (answer, reasoning)


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
def test_each_pair_with_and_without_the_opening_mark(opening, closing):
    assert split_reasoning(f"{opening}a{closing}yes") == ("yes", "a")
    assert split_reasoning(f"a{closing}yes") == ("yes", "a")
    assert split_reasoning(f"{opening}a") == ("", "a")


@pytest.mark.parametrize("closing", [closing for _, closing in PAIRS])
def test_a_mark_inside_json_is_data(closing):
    answer = json.dumps({"func": f"def evaluate(r):\n    return {closing!r} in r"})
    assert split_reasoning(answer) == (answer, None)
    fenced = f"```json\n{answer}\n```"
    assert split_reasoning(fenced) == (fenced, None)
    for text in (answer, fenced):
        assert split_reasoning(f"<think>a</think>{text}") == (text, "a")


@given(st.lists(st.sampled_from((*MARKS, "a", " ", "\n", "yes", "<", "|>", "<|channel|>"))))
def test_nothing_is_made_up_and_no_closing_mark_is_left(parts):
    text = "".join(parts)
    answer, reasoning = split_reasoning(text)
    assert answer in text
    assert not [closing for _, closing in PAIRS if closing in answer]
    assert all(part in text for part in (reasoning or "").split("\n"))


@given(st.text())
def test_a_text_without_marks_stays(text):
    if not any(mark[-4:] in text.casefold() for mark in MARKS):
        assert split_reasoning(text) == (text, None)


@given(st.sampled_from(PAIRS), st.text(), st.text().filter(lambda t: "<" not in t))
def test_a_block_is_always_found(pair, thought, answer):
    opening, closing = pair
    if not any(mark[-4:].casefold() in (thought + answer).casefold() for mark in MARKS):
        assert split_reasoning(f"{opening}{thought}{closing}{answer}") == (
            trimmed(answer),
            thought.strip() or None,
        )
