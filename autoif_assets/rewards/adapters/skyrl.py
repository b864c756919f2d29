"""SkyRL: an environment of one step for `skyrl_gym` 0.4.

    from autoif_assets.rewards.adapters.skyrl import register_autoif
    register_autoif()  # in the process that makes environments; then environment.env_class=autoif

It reads the rows of `exports/reward/verl`, whose `reward_model` SkyRL knows as `reward_spec`.
"""

from collections.abc import Mapping
from typing import Any

from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput
from skyrl_gym.envs.registration import register

from autoif_assets.rewards.adapters.common import mode_of, scorer_of
from autoif_assets.rewards.protocols import item_of, number_of


class AutoifEnv(BaseTextEnv):  # type: ignore[misc]
    """Scores one answer by the verifiers of an export."""

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        row = extras or {}
        spec = row.get("reward_spec") or row.get("reward_model") or {}
        self.ground_truth = spec.get("ground_truth")

    def step(self, action: str) -> Any:
        """Score an answer; the episode is over then."""
        (made,) = scorer_of().score([item_of(self.ground_truth, action)], mode_of())
        return BaseTextEnvStepOutput(
            observations=[],
            reward=number_of(made, self.ground_truth),
            done=True,
            metadata={"components": made["components"], "no_verdict": made["reward"] is None},
        )


def register_autoif() -> None:
    """Make the environment known by the name `autoif`."""
    register(id="autoif", entry_point=f"{__name__}:AutoifEnv")
