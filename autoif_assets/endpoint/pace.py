"""How many requests to keep in flight: grow while the server keeps up, cut when it does not."""

import re
from dataclasses import dataclass

_START = 64
_START_SEEN = 256  # where the server shows its queue, so that too many are noticed at once
_FLOOR = 4
_GROW_STEP = 8  # requests added per round once the first growth has ended
_CUT = 0.7
_KV_FULL = 0.95
_METRIC = re.compile(
    r"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc|num_preemptions_total)"
    r"(?:\{[^}]*\})? (\S+)",
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
            values.setdefault(name, []).append(float(value))
        if "num_requests_waiting" not in values:
            return None
        return cls(
            sum(values.get("num_requests_running", ())),
            sum(values["num_requests_waiting"]),
            max(values.get("kv_cache_usage_perc", ()), default=0.0),
            sum(values.get("num_preemptions_total", ())),
        )


class Pace:
    """The number of requests that may be in flight, between a floor and a ceiling.

    It doubles per round of answers at first, and after the first sign of overload grows by a
    few per round and is cut by a share: so several runs against one server come to share it.
    """

    def __init__(self, ceiling: int, timeout_s: float) -> None:
        self._ceiling = float(max(1, ceiling))
        self._floor = min(_FLOOR, self._ceiling)
        self._patience_s = timeout_s / 4
        self._limit = min(_START, self._ceiling)
        self._doubling = True
        self._may_grow = True
        self._next_cut = 0.0
        self._preemptions: float | None = None
        self.waiting: int | None = None

    @property
    def limit(self) -> int:
        """Requests that may be in flight."""
        return int(self._limit)

    def answered(self, latency_s: float, *, more: bool) -> None:
        """Note an answer; grow if there is more to ask and the server was not slow."""
        # Without metrics, latency is the only sign of a queue: stay well below the timeout.
        if more and self._may_grow and latency_s < self._patience_s:
            step = 1.0 if self._doubling else _GROW_STEP / self._limit
            self._limit = min(self._ceiling, self._limit + step)

    def overloaded(self, now: float, latency_s: float) -> None:
        """Note a refusal or a timeout; cut once for all that were in flight together."""
        if now >= self._next_cut:
            self._cut(_CUT)
            self._next_cut = now + max(1.0, min(latency_s, 30.0))

    def observe(self, load: Load) -> None:
        """Note the server's own figures."""
        self.waiting = int(load.waiting)
        first = self._preemptions is None
        preempted = load.preemptions > (self._preemptions or 0.0) and not first
        self._preemptions = load.preemptions
        full = load.kv_usage > _KV_FULL
        # A request for n completions counts n times in these figures, so only shares compare.
        self._may_grow = not full and load.waiting <= 0.05 * load.running + 2
        if first and self._doubling and self._may_grow:
            self._limit = max(self._limit, min(_START_SEEN, self._ceiling))
        if preempted or full or load.waiting > 0.25 * load.running + 8:
            self._cut(0.9)

    def _cut(self, share: float) -> None:
        self._doubling = False
        self._limit = max(self._floor, self._limit * share)
