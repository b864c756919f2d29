"""What an export for RL has beside its prompts: verifiers, fixtures, an installable package."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from autoif_assets.datasets.files import Extra
from autoif_assets.datasets.kinds import REWARD

_MOST_FIXTURES = 200  # they are run one by one


def reward_extras(lines: bytes) -> list[Extra]:
    """Return the files beside the prompts.

    Args:
        lines: Of ``verifiers.jsonl``.
    """
    template = files("autoif_assets.datasets") / "environment"
    verifiers, fixtures, project, taskset, copy = REWARD.extras
    package = project.rpartition("/")[0]
    return [
        Extra(
            verifiers,
            lines,
            "what scores answers: a line an instruction, with its verifiers, the best audited "
            "first, and test cases",
            "verifiers_sha256",
        ),
        Extra(
            fixtures,
            _fixtures(lines),
            "requests of NeMo Gym's `/verify` with the reward that is expected, of test cases",
        ),
        Extra(
            project,
            (template / "pyproject.toml").read_bytes(),
            f"the package `autoif-reward`: `pip install ./{package}`, then `vf-eval autoif-reward`",
        ),
        Extra(taskset, (template / "taskset.py.in").read_bytes(), "its `vf.Taskset`"),
        Extra(copy, lines, "the same verifiers, for that package"),
    ]


def _fixtures(lines: bytes) -> bytes:
    """Return NeMo Gym's fixtures: cases of instructions as requests, the first of each first."""
    entries = [json.loads(line) for line in lines.split(b"\n") if line]
    found: list[dict[str, Any]] = []
    for place in range(max((len(entry["cases"]) for entry in entries), default=0)):
        for entry in entries:
            if place < len(entry["cases"]) and len(found) < _MOST_FIXTURES:
                found.append(_fixture(entry, place))
    return b"".join(json.dumps(one).encode() + b"\n" for one in found)


def _fixture(entry: Mapping[str, Any], place: int) -> dict[str, Any]:
    case = entry["cases"][place]
    message = {"role": "user", "content": entry["instruction"]}
    metadata = {"instruction_ids": [entry["instruction_id"]]}
    if "query" in case:
        metadata["query"] = case["query"]
    answer = {"type": "output_text", "text": case["input"], "annotations": []}
    return {
        "name": f"{entry['instruction_id']}-{place}",
        "kind": "full_reward" if case["expected"] else "zero_reward",
        "request": {
            "responses_create_params": {"input": [message]},
            "response": {
                "id": f"resp_{place}",
                "created_at": 0,
                "model": "fixture",
                "object": "response",
                "output": [
                    {
                        "id": f"msg_{place}",
                        "type": "message",
                        "role": "assistant",
                        "status": "completed",
                        "content": [answer],
                    }
                ],
                "parallel_tool_calls": False,
                "tool_choice": "auto",
                "tools": [],
            },
            "verifier_metadata": metadata,
        },
        "expected_reward": 1.0 if case["expected"] else 0.0,
    }
