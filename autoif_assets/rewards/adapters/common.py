"""What all adapters share: one scorer a process, found by an argument or by the environment."""

import functools
import os
from pathlib import Path

from autoif_assets.rewards.decisions import MODES, Mode
from autoif_assets.rewards.errors import RewardDataError
from autoif_assets.rewards.remote import RemoteScorer
from autoif_assets.rewards.scorer import Scorer

DATA, MODE = "AUTOIF_REWARD_DATA", "AUTOIF_REWARD_MODE"
TOKEN, MODULES = "AUTOIF_REWARD_TOKEN", "AUTOIF_REWARD_MODULES"


def scorer_of(data: str | Path | None = None) -> Scorer | RemoteScorer:
    """Return the scorer of this process for some data.

    Args:
        data: A folder, a file or a server's URL; None: what the environment says.

    Raises:
        RewardDataError: Neither says anything, or what they say cannot be used.
    """
    found = str(data or os.environ.get(DATA, ""))
    if not found:
        raise RewardDataError(
            f"It is not said what to score by. Set {DATA} to the folder exports/reward, or to the "
            "URL of `autoif rewards serve`."
        )
    return _scorer(found, os.environ.get(TOKEN, ""), os.environ.get(MODULES, ""))


def mode_of(mode: str | None = None) -> Mode:
    """Return how components become one number.

    Raises:
        RewardDataError: There is no such mode.
    """
    found = mode or os.environ.get(MODE, "all")
    if found not in MODES:
        raise RewardDataError(f"{MODE} is {found!r}, which is none of {', '.join(MODES)}.")
    return found


@functools.cache
def _scorer(data: str, token: str, modules: str) -> Scorer | RemoteScorer:
    if data.startswith(("http://", "https://")):
        return RemoteScorer(data, token)
    return Scorer(data, modules=[one for one in modules.split(",") if one])
