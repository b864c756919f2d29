"""TRL: reward functions for GRPOTrainer and RLOOTrainer (1.16).

    trainer = GRPOTrainer(model, reward_funcs=reward_function("exports/reward"), ...)

or, on the command line, `trl grpo --reward_funcs autoif_assets.rewards.adapters.trl.reward`. The
rows of `exports/reward/trl` have the columns that it takes. A completion that the verifiers do
not decide about gets None, which TRL leaves out of its group's statistics.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from autoif_assets.rewards.adapters.common import mode_of, scorer_of
from autoif_assets.rewards.decisions import Reward
from autoif_assets.rewards.protocols import text_of

RewardFunction = Callable[..., Awaitable[list[float | None]]]


def reward_function(
    data: str | Path | None = None, mode: str | None = None, place: int | None = None
) -> RewardFunction:
    """Return a reward function; it is async, so TRL runs it beside the others.

    Args:
        data: The folder `exports/reward`, or the URL of a server; None: the environment says.
        mode: How the instructions of a prompt become one number; None: the environment says.
        place: Score by one of a prompt's instructions alone, the first being 0, so that
            `reward_weights` can weigh them; None for completions whose prompt has fewer.
    """

    async def follows_instructions(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        instruction_ids: Sequence[Sequence[str]],
        query: Sequence[str | None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        queries = [None] * len(completions) if query is None else query
        asked: list[dict[str, Any]] = []
        places: list[int] = []
        for number, (completion, ids, said) in enumerate(
            zip(completions, instruction_ids, queries, strict=True)
        ):
            wanted = list(ids) if place is None else list(ids)[place : place + 1]
            if wanted:
                item = {"instruction_ids": wanted, "response": text_of(completion), "query": said}
                asked.append(item)
                places.append(number)
        made = await scorer_of(data).ascore(asked, mode_of(mode))
        rewards: list[float | None] = [None] * len(completions)
        for number, one in zip(places, made, strict=True):
            rewards[number] = one["reward"]
        _log(made, places, len(completions), log_extra, log_metric)
        return rewards

    if place is not None:
        follows_instructions.__name__ = f"follows_instruction_{place}"
    return follows_instructions


async def reward(*arguments: Any, **columns: Any) -> list[float | None]:
    """Score by what the environment says; for a command line that names a function."""
    return await reward_function()(*arguments, **columns)


def _log(
    made: Sequence[Reward],
    places: Sequence[int],
    count: int,
    log_extra: Callable[[str, list[Any]], None] | None,
    log_metric: Callable[[str, float], None] | None,
) -> None:
    if log_metric is not None and made:
        undecided = sum(one["reward"] is None for one in made)
        log_metric("autoif/no_verdict", undecided / len(made))
    if log_extra is not None:
        told = [""] * count
        for number, one in zip(places, made, strict=True):
            told[number] = ", ".join(f"{id}: {said}" for id, said in one["components"].items())
        log_extra("autoif", told)
