"""What trainers send and take."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.rewards import RewardDataError, answer_of
from autoif_assets.rewards.protocols import (
    NEUTRAL,
    aggregate,
    item_of,
    nemo_gym_item,
    nemo_gym_response,
    number_of,
    openrlhf_items,
    openrlhf_rewards,
    response_of,
    text_of,
    truth_of,
)

LABEL = json.dumps({"instruction_ids": ["i"], "query": "Why?", "pass_rate": 0.25})
PASSED = {"reward": 1.0, "components": {"i": "pass"}, "reasons": []}
FAILED = {"reward": 0.0, "components": {"i": "fail"}, "reasons": []}
UNDECIDED = {"reward": None, "components": {"i": "none"}, "reasons": ["i: no majority (1 crash)"]}


def test_labels_are_those_of_the_export():
    assert item_of(LABEL, "x") == {"instruction_ids": ["i"], "response": "x", "query": "Why?"}
    assert truth_of(json.loads(LABEL))["pass_rate"] == 0.25
    for wrong in ("42", "", "{", "[]", None, 3, {"query": "Why?"}):
        with pytest.raises(RewardDataError, match="none of this export"):
            truth_of(wrong)


def test_a_number_that_must_be_is_what_was_to_be_expected():
    assert number_of(PASSED, LABEL) == 1.0
    assert number_of(FAILED, LABEL) == 0.0
    assert number_of(UNDECIDED, LABEL) == 0.25
    assert number_of(UNDECIDED, {"instruction_ids": ["i"]}) == NEUTRAL


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("text", "text"),
        ([{"role": "assistant", "content": "text"}], "text"),
        ([{"role": "assistant", "content": "first"}, {"role": "tool", "content": "text"}], "text"),
        ([{"role": "assistant", "content": None, "tool_calls": []}], ""),
        ([{"role": "assistant", "content": [{"type": "text", "text": "te"}, {"text": "xt"}]}],
         "text"),
    ],
)  # fmt: skip
def test_completions_are_texts_or_messages(completion, text):
    assert text_of(completion) == text


@pytest.mark.parametrize(
    "completion", [None, [], 3, ["text"], [{"role": "assistant", "content": 3}]]
)
def test_other_completions_are_told(completion):
    with pytest.raises(RewardDataError, match="A completion is"):
        text_of(completion)


PROMPT = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "query",
    [
        f"{PROMPT}BECAUSE<|im_end|>",
        f"{PROMPT[20:]}BECAUSE<|im_end|><|endoftext|>",
        "<|begin_of_text|>x<|start_header_id|>assistant<|end_header_id|>\n\nBECAUSE<|eot_id|>",
        "<s>[INST] Why? [/INST] BECAUSE</s>",
    ],
)
def test_the_response_is_what_came_behind_the_prompt(query):
    assert answer_of(response_of(query, PROMPT)) == "BECAUSE"


def test_a_response_that_cannot_be_told_from_its_prompt_is_told():
    with pytest.raises(RewardDataError, match="neither begins with its prompt"):
        response_of("Why? Because", "Why not?")


@given(st.text(), st.text())
def test_a_prompt_is_taken_off_to_the_letter(prompt, response):
    assert response_of(prompt + response, prompt) == response


def test_openrlhf_takes_a_number_for_each():
    items = openrlhf_items([f"{PROMPT}YES", f"{PROMPT}NO"], [PROMPT] * 2, [LABEL] * 2)
    assert [one["response"] for one in items] == ["YES", "NO"]
    assert openrlhf_rewards([PASSED, UNDECIDED], [LABEL] * 2) == {
        "rewards": [1.0, 0.25],
        "scores": [1.0, 0.25],
        "extra_logs": {"no_verdict": [0.0, 1.0]},
    }
    for wrong in (([], [PROMPT], [LABEL]), (None, None, None), ("a", "b", "c")):
        with pytest.raises(RewardDataError, match="three lists"):
            openrlhf_items(*wrong)


def message(*texts):
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "role": "assistant", "content": content}


def verify(output, **more):
    return {
        "responses_create_params": {"input": []},
        "response": {"output": output},
        "verifier_metadata": {"instruction_ids": ["i"], "query": None},
        **more,
    }


def test_nemo_gym_is_answered_by_the_last_message():
    output = [
        {"type": "reasoning", "summary": []},
        message("first"),
        {"type": "function_call", "name": "x", "arguments": "{}"},
        message("YES", "!"),
    ]
    assert nemo_gym_item(verify(output))["response"] == "YES!"
    assert nemo_gym_item(verify([]))["response"] == ""
    for wrong in ({}, {"response": {}}, verify([], verifier_metadata=None), verify([], response=3)):
        with pytest.raises(RewardDataError):
            nemo_gym_item(wrong)


def test_nemo_gym_leaves_out_what_is_not_decided():
    body = verify([message("x")], extra=1)
    assert nemo_gym_response(body, PASSED) == {
        **body,
        "reward": 1.0,
        "reward_components": {"i": 1.0},
    }
    left_out = nemo_gym_response(body, UNDECIDED)
    assert (left_out["reward"], left_out["mask_sample"]) == (0.0, True)
    assert left_out["failure_kind"] == "verifier_error"
    assert "crash" in left_out["failure_reason"]
    told = aggregate([nemo_gym_response(body, one) for one in (PASSED, FAILED, UNDECIDED)])
    assert told["agent_metrics"] == {"mean/reward": 0.5, "count": 3, "masked": 1}
    assert aggregate([])["agent_metrics"] == {"count": 0, "masked": 0}
