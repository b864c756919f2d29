"""The sandbox as its users see it: a pool of workers and a stream of units."""

import selectors
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from autoif_assets.sandbox.batches import Batch, batches
from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.report import ConfinementReport, refusal
from autoif_assets.sandbox.types import Limits, Outcome, Result, SandboxUnavailable, Unit
from autoif_assets.sandbox.worker import SLOTS, Worker, WorkerDied

_AHEAD = 512  # results kept for a slow unit at the head of the line
_ATTEMPTS = 2  # workers a request may kill before it is given up
_DEATHS = 12  # workers that may die in a row before the sandbox itself counts as broken
_GRACE_S = 30.0  # on top of the limits, before a worker itself counts as stuck

_COSTLY = frozenset((wire.TIMEOUT, wire.CRASH, wire.MEMORY, wire.SKIPPED))
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
            outcomes=tuple(_OUTCOMES[code] for part in self.parts for code in part[2]),
            details=tuple(text for part in self.parts for text in part[3]),
            cpu_s=sum(part[4] for part in self.parts),
            reason="nondeterministic" if any(part[1] for part in self.parts) else None,
        )


class Sandbox:
    """Runs verifiers in confined processes and streams what became of them.

    Open it with `with`; one `evaluate` at a time. Opening starts the workers and their
    self-test (about 0.2 s).

    Args:
        workers: Zygote processes; one per core is best.
        limits: What one verifier may use.
        modules: Third-party modules verifiers may import besides the standard allow-list
            (`autoif_assets.sandbox.STANDARD_MODULES`). They are imported once per worker, before
            confinement; data they read later must be loaded by a module of yours listed here too.
        coerce_strings: Take the returned strings "true" and "false", in any case, as verdicts.
        repeats: Inputs per unit that are called a second time, in the reverse order, in search
            of verifiers that disagree with themselves; 0 turns it off.
        share: Run neighbours of one group together where a syntactic check lets them
            (see `Unit.group`); faster, but only the check stands between them.
        allow_unconfined: Run although the self-test found forbidden acts possible. Verifier code
            then has your rights: only for sources you would run yourself.
        without: Layers to leave out (`uid`, `rlimits`, `no_new_privs`, `landlock`, `seccomp`),
            for tests of the others.

    Raises:
        SandboxUnavailable: On entering, where this machine cannot confine verifiers.
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        *,
        modules: Sequence[str] = (),
        coerce_strings: bool = False,
        repeats: int = 8,
        share: bool = False,
        allow_unconfined: bool = False,
        without: Collection[str] = (),
    ) -> None:
        if workers < 1:
            raise ValueError(f"Sandbox needs at least one worker, not {workers}.")
        self.limits = limits or Limits()
        self.share = share
        self.allow_unconfined = allow_unconfined
        self._count = workers
        self._config: dict[str, Any] = {
            **asdict(self.limits),
            "modules": list(modules),
            "path": [entry for entry in sys.path if entry] if modules else [],
            "coerce_strings": coerce_strings,
            "repeats": repeats,
            "without": sorted(without),
        }
        self._workers: list[Worker] = []
        self._busy = threading.Lock()
        self._report: ConfinementReport | None = None

    # --- life ----------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start the workers."""
        try:
            for _ in range(self._count):
                self._workers.append(self._start())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers."""
        self.close()

    def close(self) -> None:
        """End the workers and everything they run."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    @property
    def report(self) -> ConfinementReport:
        """How far the workers are confined."""
        if self._report is None:
            raise RuntimeError("Open the Sandbox with `with` before asking for its report.")
        return self._report

    def _start(self) -> Worker:
        if sys.platform != "linux":
            raise SandboxUnavailable(refusal(None))
        worker = Worker(self._config)
        report = ConfinementReport(worker.report["layers"], worker.report["probes"])
        self._report = report
        if report.possible and not self.allow_unconfined:
            worker.kill()
            raise SandboxUnavailable(refusal(report))
        return worker

    # --- work ----------------------------------------------------------------------------

    def evaluate(self, units: Iterable[Unit]) -> Iterator[Result]:
        """Run units and yield one result each, in the order of the units.

        Units are taken from the iterable as workers become free, so millions stream through.

        Raises:
            RuntimeError: When called while another `evaluate` of this Sandbox is under way.
            TypeError: For a unit whose source or inputs are not strings.
        """
        if not self._workers:
            raise RuntimeError("Open the Sandbox with `with Sandbox(...) as sandbox:` first.")
        if not self._busy.acquire(blocking=False):
            raise RuntimeError(
                "This Sandbox is evaluating already; finish that loop or open a second Sandbox."
            )
        try:
            yield from _Run(self._workers, self._start, self.limits, self.share).results(units)
        finally:
            for index, worker in enumerate(self._workers):
                if worker.waiting:  # the caller stopped early
                    worker.kill()
                    self._workers[index] = self._start()
            self._busy.release()


def _undisturbed(parts: list[tuple[bool, bytes, list[str]]]) -> bool:
    """Whether no verifier of a shared process took time or memory that others lacked."""
    return not any(_COSTLY.intersection(status) for _, status, _ in parts)


def confinement() -> ConfinementReport:
    """Start one worker, let it test itself, and return how far it is confined.

    Raises:
        SandboxUnavailable: On systems other than Linux.
    """
    with Sandbox(workers=1, allow_unconfined=True) as sandbox:
        return sandbox.report


class _Run:
    """One `evaluate` under way."""

    def __init__(self, workers: list[Worker], start: Any, limits: Limits, share: bool) -> None:
        self.workers = workers
        self.start = start
        self.limits = limits
        self.share = share
        self.pending: dict[int, _Pending] = {}
        self.again: list[Batch] = []
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
                        batch = self.again.pop() if self.again else None
                        if batch is None and more and taken - given < _AHEAD:
                            batch = next(source, None)
                            more = batch is not None
                        if batch is not None:
                            taken = max(taken, self.admit(batch))
                            if batch.refused:
                                self.refuse(batch)
                            else:
                                worker.send(batch, batch.sources, batch.encoded, batch.count)
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
        patience = (limits.strikes + 1) * (limits.unit_wall_s + limits.call_wall_s) + _GRACE_S
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
            if len(batch.units) > 1 and not (clean and _undisturbed(parts)):
                self.again.extend(reversed(batch.alone()))
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
        held = [entry[0] for entry in worker.waiting]
        if held:
            held[0].attempts += 1
            if held[0].attempts >= _ATTEMPTS:
                batch = held.pop(0)
                for which in range(len(batch.units)):
                    status = bytes([wire.CRASH]) * batch.count
                    details = ["the sandbox's own process died twice"] * batch.count
                    self.store(batch, which, False, status, details, 0.0)
        self.again.extend(reversed(held))
        worker.waiting.clear()
        fresh = self.start()
        self.workers[self.workers.index(worker)] = fresh
        self.selector.register(fresh.control, selectors.EVENT_READ, fresh)
