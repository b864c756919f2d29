"""Which requests fail and how: seeded by content, so arrival order does not matter."""

import time
from collections import Counter
from hashlib import blake2b
from random import Random

from autoif_assets.method.ids import derived_seed
from autoif_assets.simulator.settings import SimulatorSettings


class Faults:
    """Decides the faults of each completion request, and when the whole server is dead."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._rates = [(kind, rate) for kind, rate in settings.fault_rates.items() if rate > 0]
        self._attempts: Counter[bytes] = Counter()
        self._seen = 0
        self._dead: list[tuple[float, float]] = []
        if settings.outage_seconds > 0:
            self.die(settings.outage_seconds, settings.outage_after)

    def die(self, seconds: float, after: float = 0.0) -> None:
        """Cut every connection for some seconds, from ``after`` seconds on."""
        start = time.monotonic() + after
        self._dead.append((start, start + seconds))

    @property
    def dead(self) -> bool:
        """Whether the server is in an outage."""
        if not self._dead:
            return False
        now = time.monotonic()
        return any(start <= now < end for start, end in self._dead)

    def draw(self, body: bytes) -> tuple[str, ...]:
        """Return the kinds of fault a request meets: at most one that fails it, perhaps slow.

        Each kind is drawn at its own rate, so the rates may add up to more than 1; of several
        that would fail the request one is chosen. The n-th request with the same body meets the
        same faults in every run.
        """
        self._seen += 1
        if self._seen <= self._settings.fail_first:
            return ("503",)
        if not self._rates:
            return ()
        key = blake2b(body, digest_size=8).digest()
        attempt = self._attempts[key]
        self._attempts[key] += 1
        luck = Random(
            derived_seed("fault", str(self._settings.fault_seed), key.hex(), str(attempt))
        )
        drawn = [kind for kind, rate in self._rates if luck.random() < rate]
        failing = [kind for kind in drawn if kind != "slow"]
        slow = ("slow",) if "slow" in drawn else ()
        return (luck.choice(failing), *slow) if failing else slow
