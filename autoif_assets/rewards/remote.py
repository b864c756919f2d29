"""A scorer that asks a server of rewards."""

import asyncio
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import requests

from autoif_assets.rewards.decisions import Mode, NoVerdict, OnNoVerdict, Reward
from autoif_assets.rewards.errors import RewardDataError

_TRIES = 8
_WAIT_S = 1.0
_PATIENCE_S = 300.0  # for an answer; the server has a deadline of its own
_AT_ONCE = 256
# The server is busy, or starting again.
_PASSING = frozenset((429, 502, 503, 504))


class RemoteScorer:
    """Scores as `Scorer` does, by a server.

    Args:
        url: Of `autoif rewards serve`.
        token: That it asks for, if it does.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._url = f"{url.rstrip('/')}/score"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A session is for one thread at a time.
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="autoif-remote")

    def score(
        self,
        items: Iterable[Mapping[str, Any]],
        mode: Mode = "all",
        on_no_verdict: OnNoVerdict = "none",
    ) -> list[Reward]:
        """Score completions; see `Scorer.score`.

        Raises:
            RewardDataError: The server says that they cannot be scored.
            NoVerdict: The verifiers do not decide, and that was to be told.
            ConnectionError: It gives no answer.
        """
        body = {"items": list(items), "mode": mode, "on_no_verdict": on_no_verdict}
        trouble = ""
        for number in range(_TRIES):
            if number:
                time.sleep(_WAIT_S)
            try:
                answer = self._session.post(
                    self._url, json=body, headers=self._headers, timeout=_PATIENCE_S
                )
            except requests.RequestException as error:
                trouble = str(error)
                continue
            if answer.status_code in _PASSING:
                trouble = f"status {answer.status_code}: {answer.text[:200]}"
                continue
            return _rewards(answer)
        raise ConnectionError(
            f"{self._url} gave no rewards in {_TRIES} tries ({trouble}). See whether "
            "`autoif rewards serve` runs there."
        )

    async def ascore(
        self,
        items: Iterable[Mapping[str, Any]],
        mode: Mode = "all",
        on_no_verdict: OnNoVerdict = "none",
    ) -> list[Reward]:
        """Score completions as `score` does, without holding up an event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.score, list(items), mode, on_no_verdict)

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        return cast(requests.Session, self._local.session)


def _rewards(answer: requests.Response) -> list[Reward]:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    # Whatever stands there may answer, not the server of rewards alone.
    if not isinstance(body, dict):
        body = {}
    if answer.status_code == 200 and isinstance(body.get("rewards"), list):
        return cast(list[Reward], body["rewards"])
    said = body.get("error", f"status {answer.status_code}")
    if answer.status_code == 422:
        raise NoVerdict(said)
    raise RewardDataError(f"The server of rewards says: {said}")
