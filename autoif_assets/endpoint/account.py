"""What a list of calls has come to so far."""

import time
from collections import Counter

from autoif_assets.endpoint.budget import Spent
from autoif_assets.endpoint.calls import Usage
from autoif_assets.endpoint.progress import Progress, quantiles

_POINTS = 120
_FIRST_STEP_S = 0.5


class Account:
    """Counts one run; written in the event loop, read from any thread.

    Attributes:
        total: Distinct calls wanted.
        reused: Of these, how many the journal had.
        done: Of these, how many are finished, the reused included.
        failed: Of the done, how many have an error.
        in_flight: HTTP requests under way.
    """

    def __init__(self, total: int, reused: int, failed: int) -> None:
        self.total = total
        self.reused = self.done = reused
        self.failed = failed
        self.in_flight = 0
        self._peak = 0
        self._requests = 0
        self._retries: Counter[str] = Counter()
        self._prompt_tokens = self._cached_tokens = self._completion_tokens = 0
        self._cost = 0.0
        self._latencies: list[float] = []
        self._began = time.monotonic()
        self._points: list[tuple[float, int, int]] = []
        self._step_s = _FIRST_STEP_S
        self._next_point = self._began

    def sent(self) -> None:
        """Note that a request is under way."""
        self.in_flight += 1
        self._peak = max(self._peak, self.in_flight)

    def ended(self) -> None:
        """Note that a request has ended, however it did."""
        self.in_flight -= 1
        self._requests += 1

    def retried(self, cause: str) -> None:
        """Note why a request failed that is made again."""
        self._retries[cause] += 1

    def answered(self, latency_s: float, usage: Usage, spent: Spent) -> None:
        """Note a request that brought completions."""
        self._latencies.append(latency_s)
        self._prompt_tokens += usage.prompt_tokens or 0
        self._cached_tokens += usage.cached_tokens or 0
        self._completion_tokens += usage.completion_tokens or 0
        self._cost += spent.cost
        if time.monotonic() >= self._next_point:
            self._mark()

    def progress(
        self, limit: int, waiting: int | None, outage: str | None, notes: tuple[str, ...]
    ) -> Progress:
        """Return a snapshot."""
        return Progress(
            total=self.total,
            reused=self.reused,
            done=self.done,
            failed=self.failed,
            in_flight=self.in_flight,
            peak_in_flight=self._peak,
            limit=limit,
            waiting=waiting,
            requests=self._requests,
            retries=dict(self._retries),
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            completion_tokens=self._completion_tokens,
            cost=self._cost,
            elapsed_s=time.monotonic() - self._began,
            latency_s=quantiles(self._latencies),
            throughput=(*self._points, self._point()),
            outage=outage,
            notes=notes,
        )

    def _mark(self) -> None:
        """Keep a point of the course; thin the points out as the run goes on."""
        self._points.append(self._point())
        if len(self._points) >= _POINTS:
            self._points = self._points[1::2]
            self._step_s *= 2
        self._next_point = time.monotonic() + self._step_s

    def _point(self) -> tuple[float, int, int]:
        elapsed_s = round(time.monotonic() - self._began, 3)
        return elapsed_s, self.done - self.reused, self._completion_tokens
