"""One `evaluate` under way: units to requests, requests to workers, answers to results."""

import selectors
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from autoif_assets.sandbox.batches import Batch, batches
from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.types import Limits, Outcome, Result, SandboxUnavailable, Unit
from autoif_assets.sandbox.worker import SLOTS, Worker, WorkerDied

_REORDER = 512  # results that wait for a slow unit before them
_ATTEMPTS = 2  # workers a request may kill before it is given up
_DEATHS = 12  # workers that may die in a row before the sandbox itself counts as broken
_GRACE_S = 30.0  # on top of the limits, before a worker itself counts as stuck

_COSTLY = frozenset((wire.TIMEOUT, wire.CRASH, wire.MEMORY, wire.SKIPPED))
_COSTLY_LOADS = frozenset(wire.LOAD_REASONS.values())
_OUTCOMES = [Outcome.CRASH] * 256
for _code, _outcome in {
    wire.PASS: Outcome.PASS,
    wire.FAIL: Outcome.FAIL,
    wire.ERROR: Outcome.ERROR,
    wire.TIMEOUT: Outcome.TIMEOUT,
    wire.MEMORY: Outcome.MEMORY,
    wire.NOT_BOOL: Outcome.NOT_BOOL,
    wire.LOAD_ERROR: Outcome.LOAD_ERROR,
    wire.SKIPPED: Outcome.SKIPPED,
}.items():
    _OUTCOMES[_code] = _outcome


@dataclass(slots=True)
class _Pending:
    """A unit whose results come in parts."""

    unit: Unit
    missing: int
    parts: list[tuple[int, bool, bytes, list[str], float]]

    def result(self) -> Result:
        self.parts.sort(key=lambda part: part[0])
        return Result(
            id=self.unit.id,
            outcomes=tuple(map(_OUTCOMES.__getitem__, b"".join(part[2] for part in self.parts))),
            details=tuple(chain.from_iterable(part[3] for part in self.parts)),
            cpu_s=sum(part[4] for part in self.parts),
            reason="nondeterministic" if any(part[1] for part in self.parts) else None,
        )


def _undisturbed(parts: list[tuple[bool, bytes, list[str]]]) -> bool:
    """Whether no verifier of a shared process took time or memory that others lacked."""
    return not any(
        _COSTLY.intersection(status) or not _COSTLY_LOADS.isdisjoint(details)
        for _, status, details in parts
    )


class Run:
    """One `evaluate` under way.

    Args:
        workers: The pool; dead ones are replaced in place.
        start: Starts a worker.
        start_rare: Starts one for verifiers that need what few do.
        limits: What one verifier may use.
        share: Whether neighbours of a group share a process.
    """

    def __init__(
        self,
        workers: list[Worker],
        start: Callable[[], Worker],
        start_rare: Callable[[], Worker],
        limits: Limits,
        share: bool,
    ) -> None:
        self.workers = workers
        self.start = start
        self.start_rare = start_rare
        self.limits = limits
        self.share = share
        self.pending: dict[int, _Pending] = {}
        self.again: list[Batch] = []
        self.rare: list[Batch] = []
        self.deaths = 0
        self.selector = selectors.DefaultSelector()
        for worker in workers:
            self.selector.register(worker.control, selectors.EVENT_READ, worker)

    def results(self, units: Iterable[Unit]) -> Iterator[Result]:
        """The results in order."""
        source = batches(units, self.limits, self.share)
        taken, given, more = 0, 0, True
        with self.selector:
            while True:
                # The first slot of every worker before the second of any.
                for depth in range(SLOTS):
                    for worker in self.workers:
                        if len(worker.waiting) > depth:
                            continue
                        # What a dead worker left comes first: older results wait for it.
                        left = self.rare if worker.rare else self.again
                        batch = left.pop() if left else None
                        # Results come in order, so one slow unit must not pile up all the rest.
                        if batch is None and not worker.rare and more and taken - given < _REORDER:
                            batch = next(source, None)
                            more = batch is not None
                        if batch is not None:
                            taken = max(taken, self.admit(batch))
                            if batch.refused:
                                self.refuse(batch)
                            else:
                                worker.send(
                                    batch, batch.sources, batch.encoded, batch.count, batch.texts
                                )
                if self.rare and not any(worker.rare for worker in self.workers):
                    self.workers.append(self.start_rare())
                    self.selector.register(
                        self.workers[-1].control, selectors.EVENT_READ, self.workers[-1]
                    )
                    continue
                while given in self.pending and not self.pending[given].missing:
                    yield self.pending.pop(given).result()
                    given += 1
                if any(worker.waiting for worker in self.workers):
                    self.receive()
                elif not (more or self.again or self.pending):
                    return

    def admit(self, batch: Batch) -> int:
        """Note the units of a batch; returns how many units have been seen."""
        for number, unit in zip(batch.numbers, batch.units, strict=True):
            if number not in self.pending:
                self.pending[number] = _Pending(unit, batch.parts, [])
        return batch.numbers[-1] + 1

    def refuse(self, batch: Batch) -> None:
        """A batch that is not run at all."""
        status = bytes([wire.LOAD_ERROR]) * batch.count
        self.store(batch, 0, False, status, [batch.refused] * batch.count, 0.0)

    def store(
        self, batch: Batch, which: int, flag: bool, status: bytes, details: list[str], cpu: float
    ) -> None:
        """One part of one unit's result."""
        entry = self.pending[batch.numbers[which]]
        entry.parts.append((batch.first, flag, status, details, cpu))
        entry.missing -= 1

    def receive(self) -> None:
        """Wait for an answer and file it."""
        limits = self.limits
        patience = (limits.strikes + 1) * (limits.unit_s + limits.call_wall_s) + _GRACE_S
        ready = self.selector.select(patience)
        if not ready:
            for stuck in [worker for worker in self.workers if worker.waiting]:
                self.replace(stuck)
        for key, _ in ready:
            worker: Worker = key.data
            try:
                batch, clean, cpu_s, parts = worker.receive()
            except WorkerDied:
                self.replace(worker)
                continue
            self.deaths = 0
            # What one verifier of a shared process did may have cost another its verdict.
            if len(batch.units) > 1 and not (clean and _undisturbed(parts)):
                self.again.extend(reversed(batch.alone()))
                continue
            if not clean and not worker.rare and wire.RARE in parts[0][2]:
                self.rare.insert(0, batch)
                continue
            for which, (flag, status, details) in enumerate(parts):
                self.store(batch, which, flag, status, details, cpu_s / len(parts))

    def replace(self, worker: Worker) -> None:
        """A new worker for a dead one; what it was running is tried once more.

        Raises:
            SandboxUnavailable: No worker lives any more. Going on would call every verifier a
                crash, which looks like a result.
        """
        self.deaths += 1
        if self.deaths >= _DEATHS:
            raise SandboxUnavailable(
                f"{self.deaths} of the sandbox's own processes died one after the other. Look at "
                "the kernel's log for a process killed for memory; if the package was replaced "
                "while this run was on, start the run again."
            )
        self.selector.unregister(worker.control)
        worker.kill()
        queued = [entry[0] for entry in worker.waiting]
        if queued:
            # Only the oldest was running; the others have done nothing to the worker.
            queued[0].attempts += 1
            if queued[0].attempts >= _ATTEMPTS:
                batch = queued.pop(0)
                for which in range(len(batch.units)):
                    status = bytes([wire.CRASH]) * batch.count
                    details = ["the sandbox's own process died twice"] * batch.count
                    self.store(batch, which, False, status, details, 0.0)
        (self.rare if worker.rare else self.again).extend(reversed(queued))
        worker.waiting.clear()
        fresh = self.start_rare() if worker.rare else self.start()
        self.workers[self.workers.index(worker)] = fresh
        self.selector.register(fresh.control, selectors.EVENT_READ, fresh)
