"""Many askers, one sandbox: what is asked while it is busy becomes its next batch.

A verifier costs a process, however many texts it is given. So the texts of one instruction are put
together, whoever asked: requests of a server, samples of a trainer, threads.
"""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from autoif_assets.rewards.bank import Verifier
from autoif_assets.sandbox import Limits, Outcome, Sandbox, Unit, usable_cores

Key = tuple[str, bytes]
"""A verifier and the digest of what it is asked about."""

LATE = "deadline"
"""What became of a question that its batch had no time for."""

_BATCH = 2048  # questions put to the sandbox at once
_UNIT = 256  # texts of a verifier in one process
# What a function of its input alone will do again. Time and memory are the machine's, too.
_LASTING = frozenset(
    (Outcome.PASS, Outcome.FAIL, Outcome.ERROR, Outcome.NOT_BOOL, Outcome.LOAD_ERROR)
)
SLOW_S = 0.1
"""CPU seconds a text from which on a verifier counts as slow."""


@dataclass(frozen=True, slots=True)
class Question:
    """One text put to one verifier.

    Attributes:
        verifier: Whom.
        text: What.
        query: What the text answers; None for verifiers that do not look at it.
        key: Equal for equal questions.
    """

    verifier: Verifier
    text: str
    query: str | None
    key: Key

    @classmethod
    def of(cls, verifier: Verifier, text: str, query: str | None, digest: bytes) -> "Question":
        """Ask a verifier about a text, of which the digest is known."""
        if not verifier.asks or query is None:
            return cls(verifier, text, None, (verifier.id, digest))
        return cls(verifier, text, query, (verifier.id, digest + digest_of(query)))


def digest_of(text: str) -> bytes:
    """Return what stands for a text among questions."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


Answers = Mapping[Key, str]


@dataclass(slots=True)
class _Asker:
    """Who waits for some answers."""

    answers: dict[Key, str]
    missing: int
    future: "Future[Answers]" = field(default_factory=Future)

    def take(self, key: Key, outcome: str) -> None:
        self.answers[key] = outcome
        self.missing -= 1
        if not self.missing:
            _settle(self.future, self.answers)


@dataclass(slots=True)
class _Asked:
    question: Question
    askers: list[_Asker]


@dataclass(slots=True)
class Pace:
    """How a verifier has fared.

    Attributes:
        texts: It was run on.
        cpu_s: Used for them.
        timeouts: Among them.
        late: Questions that a batch had no time for.
    """

    texts: int = 0
    cpu_s: float = 0.0
    timeouts: int = 0
    late: int = 0

    @property
    def is_slow(self) -> bool:
        """Whether it is to run alone, behind the others."""
        return self.timeouts > 0 or self.cpu_s > SLOW_S * max(self.texts, 1)


@dataclass(slots=True)
class Counts:
    """What an engine did, for its server's metrics.

    Attributes:
        outcomes: Answers by outcome.
        batches: Sizes of the last batches, in questions.
        batch_count: How many batches there were.
        cached: Questions answered from the cache.
        joined: Questions that were being asked already.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    batches: deque[int] = field(default_factory=lambda: deque(maxlen=1000))
    batch_count: int = 0
    cached: int = 0
    joined: int = 0


class Engine:
    """A sandbox with a thread of its own, which many may ask.

    Args:
        workers: Processes that run verifiers; 0: one a core.
        share: Whether an instruction's verifiers that look harmless share a process.
        deadline_s: Seconds a batch may begin runs for; the rest of it has no verdict.
        call_cpu_s: CPU seconds one verifier may use for one text.
        memory_mb: MiB that one verifier may use.
        modules: What verifiers may import beside the standard library.
        cached: Answers kept.
        coerce_strings: Take the returned strings "true" and "false" as verdicts.
        allow_unconfined: Run verifiers even where the machine cannot confine them.

    Raises:
        SandboxUnavailable: This machine cannot confine verifiers.
    """

    def __init__(
        self,
        *,
        workers: int = 0,
        share: bool = True,
        deadline_s: float = 10.0,
        call_cpu_s: float = 0.5,
        memory_mb: int = 512,
        modules: Sequence[str] = (),
        cached: int = 200_000,
        coerce_strings: bool = False,
        allow_unconfined: bool = False,
    ) -> None:
        self._deadline_s = deadline_s
        self._cache_size = cached
        # A batch ends soon after its deadline: no run that has begun may take long, and a text
        # that a verifier is lost on must leave time for the others.
        wall_s, call_cpu_s = deadline_s / 4, min(call_cpu_s, deadline_s / 20)
        self._sandbox = Sandbox(
            workers=workers or usable_cores(),
            limits=Limits(
                call_cpu_s=call_cpu_s,
                call_wall_s=wall_s,
                unit_wall_s=wall_s,
                memory_mb=memory_mb,
            ),
            modules=modules,
            coerce_strings=coerce_strings,
            # Those that contradict themselves were rejected before they were exported.
            repeats=0,
            share=share,
            allow_unconfined=allow_unconfined,
        )
        self._sandbox.__enter__()
        self.counts = Counts()
        self.paces: dict[str, Pace] = {}
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._cache: OrderedDict[Key, str] = OrderedDict()
        self._queued: dict[Key, _Asked] = {}
        self._running: dict[Key, _Asked] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="autoif-rewards", daemon=True)
        self._thread.start()

    @property
    def confinement(self) -> str:
        """How far verifiers are confined here."""
        return self._sandbox.report.level

    @property
    def waiting(self) -> int:
        """Questions that no batch has taken yet."""
        return len(self._queued)

    def ask(self, questions: Sequence[Question]) -> "Future[Answers]":
        """Return what becomes the outcomes of some questions, by their keys.

        Raises:
            RuntimeError: It is closed.
        """
        by_key = {question.key: question for question in questions}
        asker = _Asker({}, len(by_key))
        with self._lock:
            if self._closing:
                raise RuntimeError("This scorer is closed; make another one.")
            for key, question in by_key.items():
                if (known := self._cache.get(key)) is not None:
                    self._cache.move_to_end(key)
                    self.counts.cached += 1
                    asker.answers[key] = known
                    asker.missing -= 1
                elif (asked := self._running.get(key) or self._queued.get(key)) is not None:
                    self.counts.joined += 1
                    asked.askers.append(asker)
                else:
                    self._queued[key] = _Asked(question, [asker])
            self._work.notify()
            if not asker.missing:
                asker.future.set_result(asker.answers)
        return asker.future

    def close(self) -> None:
        """Answer what is asked already, then end the sandbox."""
        with self._lock:
            self._closing = True
            self._work.notify()
        self._thread.join()
        self._sandbox.close()

    # --- the thread ----------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._lock:
                while not self._queued and not self._closing:
                    self._work.wait()
                if not self._queued:
                    return
                taken = list(self._queued)[:_BATCH]
                self._running = {key: self._queued.pop(key) for key in taken}
                self.counts.batches.append(len(taken))
                self.counts.batch_count += 1
            try:
                self._run([asked.question for asked in self._running.values()])
            except Exception as error:
                # No asker may wait for ever. A sandbox that broke is not that of the next batch.
                self._give_up(error)

    def _run(self, questions: Sequence[Question]) -> None:
        """Put a batch to the sandbox and hand on what it says, verifier by verifier."""
        ends = time.monotonic() + self._deadline_s
        # What was skipped for others' sake has its turn without them.
        skipped = self._pass(questions, ends, last=False)
        if skipped:
            self._pass(skipped, ends, last=True)
        late = [asked.question for asked in list(self._running.values())]
        for question in late:
            self._pace(question).late += 1
        self._answer([(question.key, LATE) for question in late])

    def _pass(self, questions: Sequence[Question], ends: float, *, last: bool) -> list[Question]:
        """Run what there is time for; returns what was skipped, unless it is the last pass."""
        plan = _units(questions, self._slow())
        sent: dict[str, Sequence[Question]] = {}

        def units() -> Iterator[Unit]:
            for number, (unit, asked) in enumerate(plan):
                # No run begins after the deadline; those before it end soon.
                if time.monotonic() > ends:
                    return
                sent[str(number)] = asked
                yield replace(unit, id=str(number))

        skipped: list[Question] = []
        for result in self._sandbox.evaluate(units()):
            asked = sent[result.id]
            pace = self._pace(asked[0])
            pace.texts += len(asked)
            pace.cpu_s += result.cpu_s
            pace.timeouts += result.outcomes.count(Outcome.TIMEOUT)
            answers = []
            for question, outcome in zip(asked, result.outcomes, strict=True):
                if outcome is Outcome.SKIPPED and not last:
                    skipped.append(question)
                else:
                    answers.append((question.key, outcome.value))
            self._answer(answers)
        return skipped

    def _answer(self, answers: Sequence[tuple[Key, str]]) -> None:
        with self._lock:
            for key, outcome in answers:
                self.counts.outcomes[outcome] += 1
                if outcome in _LASTING:
                    self._cache[key] = outcome
                for asker in self._running.pop(key).askers:
                    asker.take(key, outcome)
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            askers = [asker for asked in self._running.values() for asker in asked.askers]
            self._running = {}
        for asker in askers:
            # One asker may have several of the questions.
            if not asker.future.done() and asker.future.set_running_or_notify_cancel():
                asker.future.set_exception(error)

    def _pace(self, question: Question) -> Pace:
        return self.paces.setdefault(question.verifier.id, Pace())

    def _slow(self) -> frozenset[str]:
        return frozenset(id for id, pace in self.paces.items() if pace.is_slow)


def _settle(future: "Future[Answers]", answers: Answers) -> None:
    # An asker may have gone meanwhile, or a batch with another of its questions have failed.
    if not future.done() and future.set_running_or_notify_cancel():
        future.set_result(answers)


def _units(
    questions: Sequence[Question], slow: frozenset[str]
) -> list[tuple[Unit, Sequence[Question]]]:
    """Put questions together into units: an instruction's verifiers side by side, slow ones last.

    Verifiers that are asked about the same texts share these, so that they can share a process.
    """
    by_verifier: dict[str, list[Question]] = {}
    for question in questions:
        by_verifier.setdefault(question.verifier.id, []).append(question)
    by_instruction: dict[str, list[list[Question]]] = {}
    for asked in by_verifier.values():
        by_instruction.setdefault(asked[0].verifier.instruction_id, []).append(asked)
    quick: list[tuple[Unit, Sequence[Question]]] = []
    behind: list[tuple[Unit, Sequence[Question]]] = []
    for verifiers in by_instruction.values():
        # The very same objects: the sandbox then need not compare nor encode them again.
        known: dict[Hashable, Any] = {}
        for start in range(0, max(map(len, verifiers)), _UNIT):
            for asked in verifiers:
                if part := asked[start : start + _UNIT]:
                    is_slow = part[0].verifier.id in slow
                    unit = _unit(part, known, alone=is_slow)
                    (behind if is_slow else quick).append((unit, part))
    return quick + behind


def _unit(asked: Sequence[Question], known: dict[Hashable, Any], *, alone: bool) -> Unit:
    verifier = asked[0].verifier
    texts = tuple(question.text for question in asked)
    queries = tuple(question.query for question in asked) if verifier.asks else None
    texts, queries = known.setdefault(texts, texts), known.setdefault(queries, queries)
    return Unit("", verifier.source, texts, None if alone else verifier.instruction_id, queries)
