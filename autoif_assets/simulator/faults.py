"""Which requests fail and how: seeded by content, so arrival order does not matter."""

import time
from collections import Counter
from hashlib import blake2b

from autoif_assets.method.ids import derived_seed
from autoif_assets.simulator.settings import SimulatorSettings


class Faults:
    """Decides the fault of each completion request, and when the whole server is dead."""

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

    def draw(self, body: bytes) -> str | None:
        """Return the kind of fault for a request, None for none.

        The n-th request with the same body meets the same fault in every run.
        """
        self._seen += 1
        if self._seen <= self._settings.fail_first:
            return "503"
        if not self._rates:
            return None
        key = blake2b(body, digest_size=8).digest()
        attempt = self._attempts[key]
        self._attempts[key] += 1
        seed = derived_seed("fault", str(self._settings.fault_seed), key.hex(), str(attempt))
        luck = seed / 2**31
        for kind, rate in self._rates:
            if luck < rate:
                return kind
            luck -= rate
        return None
