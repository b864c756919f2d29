r"""open-instruct: its trainers find verifiers among the subclasses of theirs; this adds one.

    python -m autoif_assets.rewards.adapters.open_instruct open_instruct.grpo_fast \
        --dataset_mixer_list exports/reward/open_instruct/train.jsonl 1.0 ...

The rows name it by `dataset: ["autoif"]`.
"""

import runpy
import sys
from typing import Any

from open_instruct.ground_truth_utils import (
    VerificationResult,
    VerifierFunction,
)

from autoif_assets.rewards.adapters.common import mode_of, scorer_of
from autoif_assets.rewards.decisions import Reward
from autoif_assets.rewards.protocols import item_of, number_of


class AutoifVerifier(VerifierFunction):  # type: ignore[misc]
    """Scores answers by the verifiers of an export."""

    def __init__(self, verifier_config: Any = None) -> None:
        super().__init__("autoif", verifier_config=verifier_config, weight=1.0)

    def __call__(
        self,
        tokenized_prediction: list[int],
        prediction: str,
        label: Any,
        query: str | None = None,
        rollout_state: dict[str, Any] | None = None,
    ) -> Any:
        """Score one answer."""
        (made,) = scorer_of().score([item_of(label, prediction)], mode_of())
        return _result(made, label)

    async def async_call(
        self,
        tokenized_prediction: list[int],
        prediction: str,
        label: Any,
        query: str | None = None,
        rollout_state: dict[str, Any] | None = None,
    ) -> Any:
        """Score one answer together with what is asked at once."""
        (made,) = await scorer_of().ascore([item_of(label, prediction)], mode_of())
        return _result(made, label)


def _result(made: Reward, label: Any) -> Any:
    return VerificationResult(
        score=number_of(made, label), reasoning="; ".join(made["reasons"]) or None
    )


def main() -> None:
    """Run a module of open-instruct's with this verifier known."""
    if len(sys.argv) < 2:
        sys.exit("Name the module to run, such as open_instruct.grpo_fast, and its arguments.")
    # Under its own name: what is defined in __main__ cannot be found by other processes.
    import autoif_assets.rewards.adapters.open_instruct as known

    del sys.argv[0]
    assert issubclass(known.AutoifVerifier, VerifierFunction)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
