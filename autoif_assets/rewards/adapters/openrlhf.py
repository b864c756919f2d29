"""OpenRLHF 0.11: `--reward.remote_url` with the path of this file.

    --reward.remote_url $(python -m autoif_assets.rewards.adapters.openrlhf)
    --data.prompt_dataset exports/reward/openrlhf --data.input_key input --data.label_key label

or with that of a server: `--reward.remote_url http://127.0.0.1:8300/get_reward`.
"""

from collections.abc import Sequence
from typing import Any

from autoif_assets.rewards.adapters.common import mode_of, scorer_of
from autoif_assets.rewards.protocols import openrlhf_items, openrlhf_rewards


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str]
) -> dict[str, Any]:
    """Score answers.

    Args:
        queries: Prompts and answers, with special tokens.
        prompts: The prompts alone.
        labels: Of the rows.

    Returns:
        `rewards`, `scores` and `extra_logs` as tensors.
    """
    import torch

    made = scorer_of().score(openrlhf_items(queries, prompts, labels), mode_of())
    answer = openrlhf_rewards(made, labels)
    logs = {name: torch.tensor(values) for name, values in answer["extra_logs"].items()}
    rewards = torch.tensor(answer["rewards"])
    return {"rewards": rewards, "scores": rewards, "extra_logs": logs}


if __name__ == "__main__":
    print(__file__)
