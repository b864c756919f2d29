"""The sandbox: verifiers run here and nowhere else."""

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field, PrivateAttr

from autoif_assets.method.verifiers import OUTCOME_SCHEMA
from autoif_assets.resources.metadata import add_metadata
from autoif_assets.resources.telling import Told, asset_of, tell
from autoif_assets.sandbox import (
    Limits,
    Outcome,
    Result,
    Sandbox,
    SandboxUnavailable,
    Unit,
    static_check,
    usable_cores,
)

_SAY_EVERY_S = 5.0
_ITS_OWN = "CPU time"  # the detail of a timeout that no other load on the machine brings about
_REMEMBERED = 64 << 20  # bytes of results at most
_PER_TEXT = 16  # bytes of a result for each text: where its outcome and its detail are


class SandboxResource(dg.ConfigurableResource[Any]):
    """Runs verifiers, confined.

    The workers are started by the first asset of a run that needs them, and end with the run.
    """

    workers: int = Field(default=0, ge=0, description="Worker processes; 0: one a usable core.")
    call_cpu_s: float = Field(
        default=1.0, gt=0, description="CPU seconds one verifier call may use."
    )
    call_wall_s: float = Field(
        default=5.0, gt=0, description="Seconds one verifier call may wait without using the CPU."
    )
    unit_wall_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds one verifier may take for its texts, 4,096 at a time, whatever it "
        "does; none: four times the longer limit of a call.",
    )
    memory_mb: int = Field(default=512, gt=0, description="Memory one verifier may use, in MiB.")
    modules: list[str] = Field(
        default_factory=list,
        description="Installed modules verifiers may import besides the standard ones and the "
        "recipe's, as module or, where a function must load its data first, module:function.",
    )
    coerce_strings: bool = Field(
        default=False, description='Take the returned strings "true" and "false" as verdicts.'
    )
    share: bool = Field(
        default=False,
        description="Run an instruction's verifiers that look harmless in one process: faster, "
        "and less strict.",
    )
    allow_unconfined: bool = Field(
        default=False, description="Run verifiers even where the machine cannot confine them."
    )
    # Of the run, by the modules that verifiers may import.
    _opened: dict[tuple[str, ...], tuple[Sandbox, "_Known"]] = PrivateAttr(default_factory=dict)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End the workers of the run."""
        while self._opened:
            _, (sandbox, _) = self._opened.popitem()
            sandbox.close()

    @contextmanager
    def session(
        self, context: dg.AssetExecutionContext | None, modules: Sequence[str] = ()
    ) -> Iterator["SandboxSession"]:
        """Open the sandbox; report in the asset's metadata, if there is one, how it went.

        Args:
            context: The asset that runs.
            modules: The recipe's, which verifiers may import too.
        """
        if context is None:
            # Nobody says when the last one is over.
            with self._sandbox(modules) as sandbox:
                yield SandboxSession(sandbox, _Known())
            return
        key = tuple(self._all(modules))
        if key in self._opened and not self._opened[key][0].alive:
            self._opened.pop(key)[0].close()
        if key not in self._opened:
            self._opened[key] = self._sandbox(modules).__enter__(), _Known()
        session = SandboxSession(*self._opened[key], context)
        try:
            yield session
        except BaseException:
            # Nobody knows in what state it is; the next asset starts another.
            self._opened.pop(key)[0].close()
            raise
        # Not of a session that failed: nothing is stored that it could stand beside.
        add_metadata(context, session.metadata())

    def _sandbox(self, modules: Sequence[str]) -> Sandbox:
        return Sandbox(
            workers=self.workers or usable_cores(),
            limits=Limits(
                call_cpu_s=self.call_cpu_s,
                call_wall_s=self.call_wall_s,
                unit_wall_s=self.unit_wall_s,
                memory_mb=self.memory_mb,
            ),
            modules=self._all(modules),
            coerce_strings=self.coerce_strings,
            share=self.share,
            allow_unconfined=self.allow_unconfined,
        )

    def run(
        self, context: dg.AssetExecutionContext, runs: pl.DataFrame, modules: Sequence[str] = ()
    ) -> pl.DataFrame:
        """Execute verifiers that fit into one frame; see ``session`` and ``SandboxSession.run``."""
        with self.session(context, modules) as session:
            return session.run(runs)

    def static_check(self, source: str, modules: Sequence[str] = ()) -> str | None:
        """Return why a source need not be run with these settings and modules, or None."""
        return static_check(source, self._all(modules))

    def modules_problem(self, modules: Sequence[str] = ()) -> str | None:
        """Say why verifiers cannot have the modules of the settings and these; None if they can."""
        wanted = self._all(modules)
        if not wanted:
            return None
        try:
            with Sandbox(
                workers=1,
                limits=Limits(memory_mb=self.memory_mb),
                modules=wanted,
                allow_unconfined=self.allow_unconfined,
            ):
                return None
        except SandboxUnavailable as error:
            return f"Verifiers cannot have the modules {', '.join(wanted)}: {error}"

    def _all(self, modules: Sequence[str]) -> list[str]:
        return list(dict.fromkeys((*self.modules, *modules)))


class _Known:
    """What verifiers said of texts in a run, of those that several of its assets run."""

    def __init__(self) -> None:
        self._results: dict[bytes, Result] = {}
        self._bytes = 0

    def find(self, unit: Unit) -> Result | None:
        """Return what became of the same source on the same texts, if that is known."""
        found = self._results.get(self._key(unit))
        return None if found is None else replace(found, id=unit.id, cpu_s=0.0)

    def add(self, unit: Unit, result: Result) -> None:
        """Remember a result, unless another time may find another."""
        size = _PER_TEXT * len(result.outcomes) + sum(map(len, result.details))
        # What the machine may have had a part in is no lasting word: a crash, a timeout by waiting.
        said = zip(result.outcomes, result.details, strict=True)
        sure = result.reason is None and all(
            outcome is not Outcome.CRASH and (outcome is not Outcome.TIMEOUT or detail == _ITS_OWN)
            for outcome, detail in said
        )
        if sure and self._bytes + size <= _REMEMBERED:
            self._bytes += size
            self._results[self._key(unit)] = result

    @staticmethod
    def _key(unit: Unit) -> bytes:
        told = json.dumps([unit.source, list(unit.inputs), list(unit.queries_to_send)])
        return hashlib.blake2b(told.encode(), digest_size=16).digest()


class SandboxSession:
    """Runs of one asset."""

    def __init__(
        self, sandbox: Sandbox, known: _Known, context: dg.AssetExecutionContext | None = None
    ):
        self._sandbox = sandbox
        self._known = known
        self._context = context
        self._level = sandbox.report.level
        self._units = 0
        self._remembered = 0
        self._cpu_s = 0.0
        self._seconds = 0.0
        self._outcomes: Counter[str] = Counter()

    def run(
        self, runs: pl.DataFrame, *, remember: bool = False, share: bool = False
    ) -> pl.DataFrame:
        """Execute verifiers.

        Args:
            runs: ``verifier_id``, ``source``, ``input_ids``, ``inputs``, ``instruction_id`` and,
                where there are any, ``queries``, as ``verifier_runs`` makes it.
            remember: Whether the same verifiers are run on the same texts by other assets of the
                run, which are then told what these said.
            share: Whether those of an instruction that look harmless may share a process, also
                where the settings do not say so.

        Returns:
            ``OUTCOME_SCHEMA``. A verifier that contradicts itself has the outcome
            ``nondeterministic`` for all its inputs, which is no verdict.
        """
        columns: dict[str, list[str | None]] = {name: [] for name in OUTCOME_SCHEMA}
        inputs_of = dict(runs.select("verifier_id", "input_ids").iter_rows())
        began = time.monotonic()
        said = began
        # Closed, or an error in here would keep the sandbox from others as long as it is known.
        with closing(self._results(_units(runs), share, remember)) as results:
            for done, result in enumerate(results):
                if (now := time.monotonic()) >= said + _SAY_EVERY_S:
                    said = now
                    self._say(done, runs.height)
                ids = inputs_of[result.id]
                # A verifier that never ran has its reason for an outcome on each of its inputs.
                outcomes = (
                    [result.reason] * len(ids)
                    if result.reason
                    else [outcome.value for outcome in result.outcomes]
                )
                self._cpu_s += result.cpu_s
                self._outcomes.update(outcomes)
                columns["verifier_id"] += [result.id] * len(ids)
                columns["input_id"] += ids
                columns["outcome"] += outcomes
                columns["detail"] += [detail or None for detail in result.details]
        self._seconds += time.monotonic() - began
        self._units += runs.height
        return pl.DataFrame(columns, schema=dict(OUTCOME_SCHEMA))

    def _results(self, units: Iterator[Unit], share: bool, remember: bool) -> Generator[Result]:
        """Yield what became of each unit, in their order; those known already are not run."""
        if not remember:
            yield from self._sandbox.evaluate(units, share=share)
            return
        asked = [(unit, self._known.find(unit)) for unit in units]
        new = self._sandbox.evaluate((u for u, found in asked if found is None), share=share)
        with closing(new):
            for unit, found in asked:
                if found is None:
                    result = next(new)
                    self._known.add(unit, result)
                    yield result
                else:
                    self._remembered += 1
                    yield found
            next(new, None)  # To its end, where the sandbox is free for others.

    def _say(self, done: int, total: int) -> None:
        """Say how far it is, where an asset runs."""
        if self._context is None:
            return
        verdicts = self._outcomes[Outcome.PASS] + self._outcomes[Outcome.FAIL]
        # An asset may run verifiers several times: what it said of texts in all is counted.
        self._context.log.info(
            f"sandbox: {done:,} of {total:,} verifiers run; {verdicts:,} verdicts so far"
        )
        tell(Told(asset_of(self._context), "sandbox", done, total))

    def metadata(self) -> dict[str, Any]:
        """Return how the runs went, under names that stay the same across runs."""
        verdicts = self._outcomes[Outcome.PASS] + self._outcomes[Outcome.FAIL]
        seconds = self._seconds or math.inf
        return {
            "sandbox/confinement": self._level,
            "sandbox/units": self._units,
            "sandbox/units_remembered": self._remembered,
            "sandbox/cpu_s": round(self._cpu_s, 3),
            "sandbox/units_per_s": round(self._units / seconds, 1),
            "sandbox/verdicts_per_s": round(verdicts / seconds, 1),
            **{
                f"sandbox/outcomes/{outcome}": count
                for outcome, count in sorted(self._outcomes.items())
            },
        }


def _units(runs: pl.DataFrame) -> Iterator[Unit]:
    # Verifiers of one instruction side by side: where `share` is on, they share a process.
    columns = ("verifier_id", "source", "inputs", "instruction_id", "queries")
    if "queries" not in runs.columns:
        runs = runs.with_columns(queries=None)
    for row in runs.sort("instruction_id", maintain_order=True).select(columns).iter_rows():
        yield Unit(*row)
