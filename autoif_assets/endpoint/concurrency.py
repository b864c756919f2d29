"""How many requests to keep in flight, by the server's own figures where it shows them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from autoif_assets.endpoint.errors import Failure

_EVERY_S = 1.0
START = 64
_START_SEEN = 256  # where the server shows its queue, so that too many are noticed at once
_FLOOR = 4
_STEP = 8  # requests added per round, or per look at the queue, once the first growth has ended
_CUT = 0.7
_TRIM = 0.9
_KV_FULL = 0.95
_MOST = 1e15  # more than any figure of a server; infinity and what is no number are not below
_METRIC = re.compile(
    r"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc|gpu_cache_usage_perc"
    r"|num_preemptions_total)(?:\{[^}\n]*\})? (\S+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Load:
    """What vLLM says of itself, summed over its engines; the KV use is the fullest engine's."""

    running: float
    waiting: float
    kv_usage: float
    preemptions: float

    @classmethod
    def parse(cls, text: str) -> "Load | None":
        """Read Prometheus text; None where it is not vLLM's."""
        values: dict[str, list[float]] = {}
        for name, value in _METRIC.findall(text):
            try:
                number = float(value)
            except ValueError:
                return None
            if not 0 <= number < _MOST:
                return None
            values.setdefault(name, []).append(number)
        if "num_requests_waiting" not in values:
            return None
        # The KV use had the second name in older releases.
        kv_usage = [*values.get("kv_cache_usage_perc", ()), *values.get("gpu_cache_usage_perc", ())]
        return cls(
            sum(values.get("num_requests_running", ())),
            sum(values["num_requests_waiting"]),
            max(kv_usage, default=0.0),
            sum(values.get("num_preemptions_total", ())),
        )


class ConcurrencyLimit:
    """The number of requests that may be in flight, between a floor and a ceiling.

    It doubles at first. After the first sign of a queue it grows by the same few for everybody
    and is cut by a share: the larger of two runs loses more by a cut, so runs against one server
    come to share it. With a server that shows its queue, both go by the queue, which is kept
    short but not empty, so that the server's slots never wait for us; otherwise by answers and
    errors.
    """

    def __init__(self, ceiling: int, timeout_s: float, *, first_seen: int = _START_SEEN) -> None:
        """Begin with a few.

        Args:
            ceiling: Most requests in flight.
            timeout_s: Seconds one of them may take.
            first_seen: Requests to begin with where the server shows its queue.
        """
        self._ceiling = float(max(1, ceiling))
        self._floor = min(_FLOOR, self._ceiling)
        self._patience_s = timeout_s / 4
        self._limit = min(START, self._ceiling)
        self._first_seen = first_seen
        self._doubling = True
        self._next_cut = 0.0
        self._latency_s = 0.0
        self._preemptions: float | None = None
        self.waiting: int | None = None

    @property
    def limit(self) -> int:
        """Requests that may be in flight."""
        return int(self._limit)

    def answered(self, latency_s: float, *, more: bool) -> None:
        """Note an answer; without metrics, grow if there is more to ask and it was not slow."""
        self._latency_s += 0.1 * (latency_s - self._latency_s)
        # Latency is then the only sign of a queue: stay well below the timeout.
        if self.waiting is None and more and latency_s < self._patience_s:
            self._grow(1.0 if self._doubling else _STEP / self._limit)

    def overloaded(self, now: float, latency_s: float) -> None:
        """Note a refusal or a timeout; cut once for all that were in flight together."""
        self._cut(_CUT, now, max(1.0, min(latency_s, 30.0)))

    def observe(self, load: Load, now: float, *, more: bool) -> None:
        """Note the server's own figures; grow only if ``more`` would be sent."""
        first = self.waiting is None
        self.waiting = int(load.waiting)
        preempted = load.preemptions > (self._preemptions or 0.0) and not first
        self._preemptions = load.preemptions
        # A request for n completions counts n times in these figures, so only shares compare.
        queue = load.waiting > 0.05 * load.running + 2
        long_queue = load.waiting > 0.25 * load.running + 8
        self._doubling &= not queue
        if preempted or load.kv_usage > _KV_FULL or long_queue:
            # What was cut shows in the queue only when some answers have come.
            self._cut(_TRIM, now, min(self._latency_s / 4, 10.0))
        elif first and self._doubling:
            self._limit = max(self._limit, min(self._first_seen, self._ceiling))
        elif more:
            self._grow(self._limit if self._doubling else _STEP)

    def _grow(self, step: float) -> None:
        self._limit = min(self._ceiling, self._limit + step)

    def _cut(self, share: float, now: float, rest_s: float) -> None:
        self._doubling = False
        if now >= self._next_cut:
            self._limit = max(self._floor, self._limit * share)
            self._next_cut = now + rest_s


async def watch(
    metrics: Callable[[], Awaitable[str]],
    seen: Callable[[Load], None],
    missed: Callable[[Failure], None],
) -> None:
    """Hand every reading to ``seen``, for ever; a server that never has any is left alone.

    What kept a server that had some from telling them is handed to ``missed``.
    """
    any_yet = False
    while True:
        try:
            load = Load.parse(await metrics())
        except Failure as failure:
            load = None
            if any_yet:
                missed(failure)
        if load is not None:
            any_yet = True
            seen(load)
        elif not any_yet:
            return
        await asyncio.sleep(_EVERY_S)
