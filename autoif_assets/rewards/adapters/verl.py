"""verl 0.9: `compute_score`, for its NaiveRewardManager and those like it.

    reward.custom_reward_function.path=pkg://autoif_assets.rewards.adapters.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.data=exports/reward
    data.train_files=exports/reward/verl/train.parquet

It is asked about one sample at a time and runs together what is asked at once. verl needs a number
for each: see `protocols.number_of`. `no_verdict` tells which were not decided.
"""

from typing import Any

from autoif_assets.rewards.adapters.common import mode_of, scorer_of
from autoif_assets.rewards.protocols import item_of, number_of


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: dict[str, Any] | None = None,
    *,
    data: str | None = None,
    mode: str | None = None,
    **more: Any,
) -> dict[str, float]:
    """Score one answer.

    Args:
        data_source: Of the row; of no meaning here.
        solution_str: The answer.
        ground_truth: Of the row.
        extra_info: Of the row.
        data: The folder `exports/reward`, or the URL of a server; None: the environment says.
        mode: How the instructions become one number; None: the environment says.
        more: What else verl hands on.

    Returns:
        `score`, and `no_verdict`: 1 where it stands for a reward that is not decided.
    """
    item = item_of(ground_truth, solution_str)
    (made,) = await scorer_of(data).ascore([item], mode_of(mode))
    return {
        "score": number_of(made, ground_truth),
        "no_verdict": float(made["reward"] is None),
    }
