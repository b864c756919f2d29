"""What a list of requests has come to: counted while it is asked, and as people see it."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from autoif_assets.endpoint.budget import Spent, Usage

_POINTS = 120
_FIRST_STEP_S = 0.5


@dataclass(kw_only=True)
class Progress:
    """A snapshot; the last one of `Client.complete` is the final account.

    Attributes:
        total: Distinct calls wanted.
        reused: Of these, how many the journal had.
        done: Of these, how many are finished, the reused included.
        failed: Of the done, how many have an error.
        in_flight: HTTP requests under way.
        peak_in_flight: Most HTTP requests that were under way at once.
        limit: Most HTTP requests the server is now trusted with.
        waiting: Sequences in the server's own queue, where it tells.
        requests: HTTP requests that ended, the failed ones included.
        retries: Failed HTTP requests by cause, such as ``http 503`` or ``timeout``.
        prompt_tokens: Tokens read by the server for this run, as far as reported.
        cached_tokens: Of these, from its prefix cache.
        completion_tokens: Tokens written for this run.
        cost: Money spent, at the client's prices.
        elapsed_s: Seconds since the start.
        latency_s: Seconds an answer took: quantiles by name (``p50``, ``p95``, ``p99``).
        throughput: Course of the run in some 100 points: seconds since the start, calls done by
            asking, completion tokens so far.
        outage: What is being waited for, while the server gives no answers.
        notes: Features the server refuses and what is done instead.
    """

    total: int
    reused: int
    done: int
    failed: int
    in_flight: int = 0
    peak_in_flight: int = 0
    limit: int = 0
    waiting: int | None = None
    requests: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    elapsed_s: float = 0.0
    latency_s: Mapping[str, float] = field(default_factory=dict)
    throughput: tuple[tuple[float, int, int], ...] = ()
    outage: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def calls_per_s(self) -> float:
        """Calls finished per second by asking, not from the journal."""
        return (self.done - self.reused) / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the rate so far; None before the first call is done."""
        rate = self.calls_per_s
        return (self.total - self.done) / rate if rate else None

    def __str__(self) -> str:
        parts = [f"{self.done}/{self.total} calls"]
        if self.reused:
            parts.append(f"{self.reused} from the journal")
        if self.done > self.reused:
            tokens = self.completion_tokens / self.elapsed_s
            parts.append(f"{self.calls_per_s:.1f} calls/s, {tokens:.0f} tokens/s")
        if self.done < self.total:
            parts.append(f"{self.in_flight} in flight of at most {self.limit}")
            if self.waiting:
                parts.append(f"{self.waiting} waiting on the server")
        if self.retries:
            causes = ", ".join(f"{count} {cause}" for cause, count in sorted(self.retries.items()))
            parts.append(f"retried: {causes}")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.cost:
            parts.append(f"cost {self.cost:.4g}")
        if self.eta_s and self.done < self.total:
            parts.append(f"about {self.eta_s:.0f} s left")
        if self.outage:
            parts.append(self.outage)
        return "; ".join(parts)


def quantiles(values: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of ``values``, or nothing for no values."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    return {f"p{share}": round(ordered[last * share // 100], 4) for share in (50, 95, 99)}


class Account(Progress):
    """Counts one run; written in the event loop, read from any thread."""

    def __init__(self, total: int, reused: int, failed: int) -> None:
        super().__init__(total=total, reused=reused, done=reused, failed=failed)
        self._latencies: list[float] = []
        self._began = time.monotonic()
        self._points: list[tuple[float, int, int]] = []
        self._step_s = _FIRST_STEP_S
        self._next_point = self._began

    def sent(self) -> None:
        """Note that a request is under way."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def ended(self) -> None:
        """Note that a request has ended, however it did."""
        self.in_flight -= 1
        self.requests += 1

    def retried(self, cause: str) -> None:
        """Note why a request failed that is made again."""
        self.retries[cause] += 1

    def answered(self, latency_s: float, usage: Usage, spent: Spent) -> None:
        """Note a request that brought completions."""
        self._latencies.append(latency_s)
        self.prompt_tokens += usage.prompt_tokens or 0
        self.cached_tokens += usage.cached_tokens or 0
        self.completion_tokens += usage.completion_tokens or 0
        self.cost += spent.cost
        if time.monotonic() >= self._next_point:
            self._mark()

    def progress(
        self, limit: int, waiting: int | None, outage: str | None, notes: tuple[str, ...]
    ) -> Progress:
        """Return a snapshot."""
        counted = {field.name: getattr(self, field.name) for field in fields(Progress)}
        # What is counted on is copied; what takes time to work out is so only here.
        return Progress(
            **counted
            | {
                "limit": limit,
                "waiting": waiting,
                "outage": outage,
                "notes": notes,
                "retries": self.retries.copy(),
                "elapsed_s": time.monotonic() - self._began,
                "latency_s": quantiles(self._latencies),
                "throughput": (*self._points, self._point()),
            }
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
        return elapsed_s, self.done - self.reused, self.completion_tokens
