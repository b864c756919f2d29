"""What trainers send and take, told apart from how it reaches here: HTTP, or a call."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from autoif_assets.rewards.answers import OPENINGS
from autoif_assets.rewards.decisions import Reward
from autoif_assets.rewards.errors import RewardDataError

NEUTRAL = 0.5
"""Stands for a reward that is not decided, where a number is a must and none better is known."""


def truth_of(label: object) -> dict[str, Any]:
    """Read what the export writes as a label: the ids, the query and the pass rate of a prompt.

    Raises:
        RewardDataError: It is something else.
    """
    value: Any = label
    if isinstance(label, str | bytes):
        try:
            value = json.loads(label)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping) or "instruction_ids" not in value:
        raise RewardDataError(
            f"The label {str(label)[:80]!r} is none of this export: expected the JSON object with "
            "instruction_ids that its files have. Point the trainer at the files of exports/reward."
        )
    return dict(value)


def item_of(label: object, response: str) -> dict[str, Any]:
    """Return the item that a scorer takes."""
    truth = truth_of(label)
    return {
        "instruction_ids": truth["instruction_ids"],
        "response": response,
        "query": truth.get("query"),
    }


def number_of(made: Reward, label: object) -> float:
    """Return a reward as a number, for trainers that must have one.

    One that is not decided becomes the share of the prompt's responses that passed when the data
    was made: what is to be expected moves the policy least, and a zero would punish it for the
    verifiers' failure.
    """
    if made["reward"] is not None:
        return made["reward"]
    rate = truth_of(label).get("pass_rate")
    return float(rate) if isinstance(rate, int | float) else NEUTRAL


def text_of(completion: object) -> str:
    """Return the text of a completion: a string, or messages, of which the last answers.

    Raises:
        RewardDataError: It is neither.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Sequence) and completion and isinstance(completion[-1], Mapping):
        content = completion[-1].get("content")
        if isinstance(content, str):
            return content
        if content is None:
            return ""
        if isinstance(content, Sequence):
            parts = [part.get("text") for part in content if isinstance(part, Mapping)]
            return "".join(part for part in parts if isinstance(part, str))
    raise RewardDataError(
        f"A completion is {type(completion).__name__}; expected a text, or messages of a chat."
    )


def response_of(query: str, prompt: str) -> str:
    """Return what a policy added to a prompt.

    Args:
        query: Prompt and response, with special tokens.
        prompt: The prompt as it was sent; the query's may have been cut at its beginning.

    Raises:
        RewardDataError: It cannot be told where the response begins.
    """
    if query.startswith(prompt):
        return query[len(prompt) :]
    begins = max(
        (query.rfind(mark) + len(mark) for mark in OPENINGS if mark in query), default=None
    )
    if begins is None:
        raise RewardDataError(
            f"The query {query[:60]!r} neither begins with its prompt nor has a mark of a chat "
            "template's answer. Send prompts with their template applied."
        )
    return query[begins:]


def openrlhf_items(queries: object, prompts: object, labels: object) -> list[dict[str, Any]]:
    """Return the items of OpenRLHF's ``query``, ``prompts`` and ``labels``.

    Raises:
        RewardDataError: They are not lists of one length, or cannot be read.
    """
    lists = (queries, prompts, labels)
    if not all(isinstance(one, Sequence) and not isinstance(one, str) for one in lists) or (
        len({len(one) for one in lists}) > 1  # type: ignore[arg-type]
    ):
        raise RewardDataError(
            "OpenRLHF's reward takes query, prompts and labels: three lists of one length. Give "
            "the trainer --data.label_key label."
        )
    return [
        item_of(label, response_of(str(query), str(prompt)))
        for query, prompt, label in zip(queries, prompts, labels, strict=True)  # type: ignore[call-overload]
    ]


def openrlhf_rewards(made: Sequence[Reward], labels: Sequence[object]) -> dict[str, Any]:
    """Return what OpenRLHF takes: numbers, and which of them are not decided."""
    numbers = [number_of(one, label) for one, label in zip(made, labels, strict=True)]
    undecided = [float(one["reward"] is None) for one in made]
    return {"rewards": numbers, "scores": numbers, "extra_logs": {"no_verdict": undecided}}


def nemo_gym_item(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item of a request of NeMo Gym's ``/verify``.

    Raises:
        RewardDataError: It has no response, or does not say by what to verify it.
    """
    metadata = body.get("verifier_metadata")
    response = body.get("response")
    if not isinstance(metadata, Mapping) or not isinstance(response, Mapping):
        raise RewardDataError(
            "A request of /verify has response and verifier_metadata; see nemo_gym/train.jsonl of "
            "the export."
        )
    texts: list[str] = []
    output = response.get("output")
    for message in output if isinstance(output, list) else []:
        # What a tool said, or the model thought, is no answer.
        if isinstance(message, Mapping) and message.get("type") == "message":
            content = message.get("content")
            texts = [
                str(part.get("text") or "")
                for part in (content if isinstance(content, list) else [])
                if isinstance(part, Mapping) and part.get("type") == "output_text"
            ]
    return item_of(metadata, "".join(texts))


def nemo_gym_response(body: Mapping[str, Any], made: Reward) -> dict[str, Any]:
    """Return what NeMo Gym takes: the request, its reward, and whether that is to be left out."""
    components = {
        name: float(said == "pass") for name, said in made["components"].items() if said != "none"
    }
    answer = {**body, "reward": made["reward"] or 0.0, "reward_components": components}
    if made["reward"] is None:
        answer |= {
            "mask_sample": True,
            "failure_kind": "verifier_error",
            "failure_reason": "; ".join(made["reasons"]),
        }
    return answer


def aggregate(verified: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return NeMo Gym's aggregate metrics of responses of ``/verify``."""
    rewards = [
        float(one["reward"])
        for one in verified
        if isinstance(one.get("reward"), int | float) and not one.get("mask_sample")
    ]
    mean = {"mean/reward": sum(rewards) / len(rewards)} if rewards else {}
    counts = {
        "count": len(verified),
        "masked": sum(bool(one.get("mask_sample")) for one in verified),
    }
    return {"group_level_metrics": [], "agent_metrics": {**mean, **counts}, "key_metrics": mean}
