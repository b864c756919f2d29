"""The sandbox as its users see it: a pool of workers."""

import os
import sys
import threading
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from autoif_assets.sandbox.report import ConfinementReport, refusal
from autoif_assets.sandbox.stream import Run
from autoif_assets.sandbox.types import Limits, Result, SandboxUnavailable, Unit
from autoif_assets.sandbox.worker import Worker


def usable_cores() -> int:
    """Return the cores that this process may use, which a container may bound."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Sandbox:
    """Runs verifiers in confined processes and streams what became of them.

    Open it with `with`; one `evaluate` at a time. Opening starts the workers and their
    self-test (about 0.2 s).

    Args:
        workers: Zygote processes; one per core is best. With fewer, another core prepares each
            next process. One more is started for verifiers that import what few need (hashes,
            XML, East Asian codecs).
        limits: What one verifier may use.
        modules: Third-party modules verifiers may import besides the standard allow-list
            (`autoif_assets.sandbox.STANDARD_MODULES`). They are imported once per worker, before
            confinement, and can read no file later. So where a module reads data when it is first
            used, name a function that makes it read them, as in `nltk.corpus:words.ensure_loaded`
            or `my_module:load`. For `langdetect` that is done.
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
            "unit_wall_s": self.limits.unit_s,
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
            # All at once: they take turns only where there are fewer cores.
            for _ in range(self._count):
                self._workers.append(self._launch())
            for worker in self._workers:
                self._check(worker)
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
    def alive(self) -> bool:
        """Whether none of its workers has died since the last `evaluate`."""
        return all(worker.process.poll() is None for worker in self._workers)

    @property
    def report(self) -> ConfinementReport:
        """How far the workers are confined."""
        if self._report is None:
            raise RuntimeError("Open the Sandbox with `with` before asking for its report.")
        return self._report

    def _start(self, rare: bool = False) -> Worker:
        worker = self._launch(rare)
        try:
            self._check(worker)
        except BaseException:
            worker.kill()
            raise
        return worker

    def _launch(self, rare: bool = False) -> Worker:
        if sys.platform != "linux":
            raise SandboxUnavailable(refusal(None))
        ahead = self._count < usable_cores()
        return Worker({**self._config, "ahead": ahead, "rare": rare})

    def _start_rare(self) -> Worker:
        return self._start(rare=True)

    def _check(self, worker: Worker) -> None:
        said = worker.ready()
        report = ConfinementReport(said["layers"], said["probes"])
        self._report = report
        if report.possible and not self.allow_unconfined:
            raise SandboxUnavailable(refusal(report))

    # --- work ----------------------------------------------------------------------------

    def evaluate(self, units: Iterable[Unit], *, share: bool = False) -> Generator[Result]:
        """Run units and yield one result each, in the order of the units.

        Units are taken from the iterable as workers become free, so millions stream through.

        Args:
            units: What to run.
            share: Whether these may share processes, also where the sandbox's own may not.

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
            share = self.share or share
            run = Run(self._workers, self._start, self._start_rare, self.limits, share)
            yield from run.results(units)
        finally:
            try:
                for index, worker in enumerate(self._workers):
                    if worker.waiting:  # the caller stopped early
                        worker.kill()
                        self._workers[index] = self._start_rare() if worker.rare else self._start()
            finally:
                self._busy.release()


def confinement() -> ConfinementReport:
    """Start one worker, let it test itself, and return how far it is confined.

    Raises:
        SandboxUnavailable: On systems other than Linux.
    """
    with Sandbox(workers=1, allow_unconfined=True) as sandbox:
        return sandbox.report
