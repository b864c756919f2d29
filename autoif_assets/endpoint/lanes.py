"""The servers of a run and what each of them is to be asked.

A request belongs to the server that its beginning names, which then has that beginning cached. A
server that has nothing of its own left takes from those that have more than they can: that are
full, by what they show of their queues or by what is in flight to them, or away.
"""

import math
import time
from asyncio import Task
from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import groupby
from os.path import commonprefix
from typing import TYPE_CHECKING

from autoif_assets.endpoint.availability import Availability
from autoif_assets.endpoint.calls import Call, Job, jobs
from autoif_assets.endpoint.concurrency import START, ConcurrencyLimit, Load
from autoif_assets.endpoint.errors import Failure
from autoif_assets.endpoint.features import Features
from autoif_assets.endpoint.replicas import Replica

if TYPE_CHECKING:
    from autoif_assets.endpoint.wire import Wire

# What tells beginnings apart: this much after what all prompts of a role begin with. What shares no
# more than that shares no block of a cache (of 16 tokens in vLLM).
_TELLING_CHARS = 32
# So long after the last connection that could be made, what is in flight is taken for lost.
_GONE_S = 20.0


class Lane:
    """One server within a run: what it is yet to be asked, and how much it is trusted with.

    Attributes:
        replica: The server.
        settings: Whom and how to ask.
        wire: The connections to it.
        features: What it takes and refuses.
        ready: What it is to be asked next.
        in_flight: Requests under way.
        tasks: What waits for them, by what they ask.
        concurrency: How many there may be.
        availability: Whether it is there.
        scout: The first that it is asked.
        probing: Whether it is being asked whether it is back.
        refusal: Why it is not asked, though it is there.
        served: The models that it lists, as far as that is known.
        watching: What reads its figures.
    """

    def __init__(
        self,
        replica: Replica,
        wire: "Wire",
        features: Features,
        first_contact_s: float,
        *,
        alone: bool = True,
    ) -> None:
        settings = replica.settings
        self.replica = replica
        self._name = str(replica)
        self.identity = f"{settings.base_url} {replica.address}"
        self.settings = settings
        self.wire = wire
        self.features = features
        self.ready: deque[Job] = deque()
        self.in_flight = 0
        self.tasks: dict[Job, Task[None] | None] = {}
        most = (settings.max_concurrency, settings.timeout_s)
        # What waits in one server's queue is lost to the others: theirs are filled from below.
        self.concurrency = (
            ConcurrencyLimit(*most) if alone else ConcurrencyLimit(*most, first_seen=START)
        )
        self.availability = Availability(
            self._name, first_contact_s, settings.max_outage_s, alone=alone
        )
        self.scout: Job | None = None
        self.probing = False
        self.refusal: Failure | None = None
        self.served: list[str] = []
        self.watching: Task[None] | None = None
        self._full_at = math.inf
        self._missed_since: float | None = None

    def __str__(self) -> str:
        return self._name

    @property
    def is_away(self) -> bool:
        """Whether it is not asked for now."""
        return self.refusal is not None or self.availability.is_down

    @property
    def is_full(self) -> bool:
        """Whether another request would wait, here or there."""
        limit = self.concurrency.limit if self.features.met else 1
        return self.in_flight >= min(limit, self._full_at)

    @property
    def why_away(self) -> str:
        """What is the matter with it; empty while it is asked."""
        if self.refusal is not None:
            return f"{self} is not asked, since it says: {self.refusal.words}"
        return str(self.availability)

    def seen(self, load: Load, *, more: bool) -> None:
        """Note the server's own figures, and whether there is more to ask of it."""
        more &= self.in_flight >= self.concurrency.limit
        self._missed_since = None
        # Other clients may be in its queue, too, and n completions count n times.
        busy = load.running / (load.running + load.waiting) if load.waiting else math.inf
        self._full_at = self.in_flight * busy if load.waiting else math.inf
        self.concurrency.observe(load, time.monotonic(), more=more)

    def missed(self, failure: Failure) -> list[tuple[Job, Task[None]]]:
        """Note that its figures could not be read; return what of it is taken for lost."""
        if not failure.unmade:
            self._missed_since = None
            return []
        now = time.monotonic()
        self._missed_since = self._missed_since or now
        self.availability.note_failure(failure)
        gone = now - self._missed_since > _GONE_S
        return [(job, task) for job, task in self.tasks.items() if gone and task is not None]


def spread(calls: Iterable[Call], lanes: Sequence[Lane]) -> None:
    """Queue what is missing of some calls.

    Neighbours share the beginnings of their prompts, which a server then has cached.
    """
    ordered = sorted(calls, key=lambda call: (call.request.before, call.request.prompt))
    if len(lanes) == 1:
        lanes[0].ready.extend(job for call in ordered for job in jobs(call))
        return
    told = _telling(ordered)
    for beginning, group in groupby(ordered, lambda call: _text(call)[: told[call.request.role]]):
        home = max(lanes, key=lambda lane: _rank(beginning, lane))
        home.ready.extend(job for call in group for job in jobs(call))


def take_over(lane: Lane, lanes: Sequence[Lane]) -> bool:
    """Move a job from a server that is full or away to one that has none; say whether."""
    if lane.is_full:
        return False
    givers = [one for one in lanes if one is not lane and _gives(one)]
    if not givers:
        return False
    giver = max(givers, key=lambda one: (one.is_away, len(one.ready)))
    job = giver.ready.pop()
    if job is giver.scout:
        giver.scout = None
    job.start_over()
    lane.ready.append(job)
    return True


def more_for(lane: Lane, lanes: Sequence[Lane]) -> bool:
    """Whether there is more to ask a server, be it of what another is to be asked."""
    return bool(lane.ready) or any(other.ready for other in lanes)


def _gives(lane: Lane) -> bool:
    if not lane.ready:
        return False
    # What is being tried in simpler forms is tried where the first was refused.
    settled = lane.features.met and not lane.ready[-1].refused
    return lane.is_away or (settled and lane.is_full)


def _telling(ordered: Sequence[Call]) -> dict[str, int]:
    """Return how many characters of a prompt tell its beginning, by role."""
    ends: dict[str, list[str]] = {}
    for call in ordered:
        # The first and the last in order share what all do.
        ends.setdefault(call.request.role, [_text(call)])[1:] = [_text(call)]
    return {
        role: len(commonprefix(texts)) + _TELLING_CHARS  # noqa: RUF071 - of characters
        for role, texts in ends.items()
    }


def _text(call: Call) -> str:
    return f"{call.request.before}\n{call.request.prompt}"


def _rank(beginning: str, lane: Lane) -> bytes:
    # Rendezvous hashing: where a server is added or gone, the others keep what they had.
    return blake2b(
        f"{lane.identity}\n{beginning}".encode("utf-8", "replace"), digest_size=8
    ).digest()
