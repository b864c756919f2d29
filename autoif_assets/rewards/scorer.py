"""What trainers call: completions in, rewards out."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autoif_assets.rewards.answers import answer_of
from autoif_assets.rewards.bank import Bank, Instruction
from autoif_assets.rewards.decisions import (
    MODES,
    ON_NO_VERDICT,
    Component,
    Mode,
    OnNoVerdict,
    Reward,
    component,
    empty,
    reason,
    reward_of,
    vetoed,
    without_none,
)
from autoif_assets.rewards.engine import Answers, Engine, Question, digest_of
from autoif_assets.rewards.errors import RewardDataError

Judge = Callable[[Sequence[Mapping[str, Any]]], Sequence[bool | None]]
"""Says of items with `query`, `instructions` and `response` whether they are good answers.

None where it cannot tell.
"""
_MOST_VERIFIERS = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """An item, read.

    Attributes:
        instructions: What its answer is checked against.
        answer: Without thoughts and specials.
        query: What it answers, if that is known.
        questions: Of each instruction.
    """

    instructions: Sequence[Instruction]
    answer: str
    query: str | None
    questions: Sequence[Sequence[Question]]


class Scorer:
    """Scores completions by the verifiers of an export, in the sandbox.

    It may be called from any thread or event loop, from many at once: what is asked while the
    sandbox is busy is run together. In a process that was forked it opens a sandbox of its own,
    and it can be pickled: what arrives opens one where it is.

    Args:
        data: The folder `exports/reward`, or a `verifiers.jsonl`.
        workers: Processes that run verifiers; 0: one a core.
        share: Whether an instruction's verifiers that look harmless share a process: three times
            faster, and these verifiers were audited. False: each verifier has its own.
        max_verifiers: Verifiers of an instruction that are asked, the best audited.
        deadline_s: Seconds that verifiers may be begun for on one batch of completions; what is
            left has no verdict.
        modules: Installed modules that verifiers may import; see `Sandbox`. The export says which
            they need, but only you can allow it.
        cached: Answers of verifiers that are remembered.
        judge_veto: What may turn rewards that the verifiers give into zeros; asked about these
            alone. None: they stand.
        sha256: Checksum that the file must have; None: that of the card beside it.
        allow_unconfined: Run verifiers even where the machine cannot confine them.

    Raises:
        RewardDataError: The verifiers cannot be read, are others than the card names, or need
            modules that are not allowed.
        SandboxUnavailable: This machine cannot confine verifiers.
    """

    def __init__(
        self,
        data: str | Path,
        *,
        workers: int = 0,
        share: bool = True,
        max_verifiers: int = _MOST_VERIFIERS,
        deadline_s: float = 10.0,
        modules: Sequence[str] = (),
        cached: int = 200_000,
        judge_veto: Judge | None = None,
        sha256: str | None = None,
        allow_unconfined: bool = False,
    ) -> None:
        if max_verifiers < 1 or not deadline_s > 0:
            raise ValueError("max_verifiers must be at least 1, and deadline_s above 0.")
        self.bank = Bank.read(data, sha256)
        allowed = {_top(one) for one in modules}
        if missing := sorted(one for one in self.bank.modules if _top(one) not in allowed):
            raise RewardDataError(
                f"Verifiers of {self.bank.path} import {', '.join(missing)}. Install that and "
                f"allow it: modules={missing} (autoif rewards serve --module)."
            )
        self._arguments: dict[str, Any] = {
            "workers": workers,
            "share": share,
            "max_verifiers": max_verifiers,
            "deadline_s": deadline_s,
            "modules": list(modules),
            "cached": cached,
            "judge_veto": judge_veto,
            "allow_unconfined": allow_unconfined,
        }
        self._judge = judge_veto
        self._most = max_verifiers
        self._engine: Engine | None = None
        self._opened_in = 0
        self._opening = threading.Lock()
        self._here()

    # --- life ----------------------------------------------------------------------------

    def _here(self) -> Engine:
        """Return the engine of this process."""
        engine = self._engine
        if engine is not None and self._opened_in == os.getpid():
            return engine
        if self._opened_in not in (0, os.getpid()):
            # Forked: another thread may have held the lock, and of the engine no thread is left.
            self._opening = threading.Lock()
            self._engine = None
        with self._opening:
            if self._engine is None:
                given, limits = self._arguments, self.bank.limits
                self._engine = Engine(
                    workers=given["workers"],
                    share=given["share"],
                    deadline_s=given["deadline_s"],
                    modules=given["modules"],
                    cached=given["cached"],
                    coerce_strings=bool(limits.get("coerce_strings", False)),
                    memory_mb=int(limits.get("memory_mb", 512)),
                    allow_unconfined=given["allow_unconfined"],
                )
                self._opened_in = os.getpid()
        return self._engine

    @property
    def engine(self) -> Engine:
        """What runs the verifiers in this process."""
        return self._here()

    def __getstate__(self) -> dict[str, Any]:
        """Return what makes the same scorer elsewhere."""
        return {"data": str(self.bank.path), "sha256": self.bank.sha256, **self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open a sandbox here."""
        self.__init__(**state)  # type: ignore[misc]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Answer what is asked already, then end the sandbox."""
        engine = self._engine
        if engine is not None and self._opened_in == os.getpid():
            engine.close()

    # --- work ----------------------------------------------------------------------------

    def score(
        self,
        items: Iterable[Mapping[str, Any]],
        mode: Mode = "all",
        on_no_verdict: OnNoVerdict = "none",
    ) -> list[Reward]:
        """Score completions.

        Args:
            items: Each with `instruction_ids`, `response` and, where verifiers look at it, `query`.
            mode: How the instructions of a completion become one number; see `MODES`.
            on_no_verdict: What a completion is worth that the verifiers do not decide about:
                `none` (no number, so that it leaves its group's statistics), `zero`, or `raise`.

        Returns:
            A reward for each item, in their order.

        Raises:
            RewardDataError: An item names instructions that there are not, or is none.
            NoVerdict: The verifiers do not decide, and `on_no_verdict` is `raise`.
        """
        asked, future = self._ask(items, mode, on_no_verdict)
        made = _rewards(asked, future.result(), mode, on_no_verdict)
        if self._judge is None:
            return made
        doubted = _doubted(made)
        judged = self._judge([_judged(asked[index]) for index in doubted]) if doubted else []
        return _with_vetoes(made, doubted, judged, on_no_verdict)

    async def ascore(
        self,
        items: Iterable[Mapping[str, Any]],
        mode: Mode = "all",
        on_no_verdict: OnNoVerdict = "none",
    ) -> list[Reward]:
        """Score completions as `score` does, without holding up an event loop."""
        asked, future = self._ask(items, mode, on_no_verdict)
        made = _rewards(asked, await asyncio.wrap_future(future), mode, on_no_verdict)
        if self._judge is None:
            return made
        doubted = _doubted(made)
        about = [_judged(asked[index]) for index in doubted]
        judged = await asyncio.to_thread(self._judge, about) if doubted else []
        return _with_vetoes(made, doubted, judged, on_no_verdict)

    def slow_verifiers(self) -> list[dict[str, Any]]:
        """Return the verifiers that took long, or had no time, in this process; the worst first.

        They run alone, behind the others.
        """
        found = []
        owner = {one.id: i.id for i in self.bank.values() for one in i.verifiers}
        for id, pace in self._here().paces.copy().items():
            if pace.is_slow or pace.late:
                found.append(
                    {
                        "verifier_id": id,
                        "instruction_id": owner[id],
                        "texts": pace.texts,
                        "timeouts": pace.timeouts,
                        "late": pace.late,
                        "cpu_s_per_text": round(pace.cpu_s / max(pace.texts, 1), 4),
                    }
                )
        return sorted(found, key=lambda one: (-one["timeouts"], -one["cpu_s_per_text"]))

    def _ask(
        self, items: Iterable[Mapping[str, Any]], mode: str, on_no_verdict: str
    ) -> "tuple[list[_Asked], Future[Answers]]":
        for value, values in ((mode, MODES), (on_no_verdict, ON_NO_VERDICT)):
            if value not in values:
                raise ValueError(f"{value!r} is none of {', '.join(values)}.")
        asked = [self._read(number, item) for number, item in enumerate(items)]
        questions = [question for one in asked for some in one.questions for question in some]
        return asked, self._here().ask(questions)

    def _read(self, number: int, item: Mapping[str, Any]) -> _Asked:
        try:
            ids, response, query = item["instruction_ids"], item["response"], item.get("query")
        except (KeyError, TypeError, AttributeError):
            raise RewardDataError(
                f"Item {number} is no object with instruction_ids and response."
            ) from None
        if not isinstance(response, str) or not isinstance(query, str | None):
            raise RewardDataError(
                f"Item {number}: response must be a text, and query one or nothing at all."
            )
        instructions = self.bank.known(ids)
        answer = answer_of(response)
        if not answer:
            return _Asked(instructions, answer, query, [])
        digest = digest_of(answer)
        return _Asked(
            instructions,
            answer,
            query,
            [
                [
                    Question.of(verifier, answer, query, digest)
                    for verifier in instruction.verifiers[: self._most]
                ]
                for instruction in instructions
            ],
        )


def _top(module: str) -> str:
    """Return the package that an entry of a list of modules is about."""
    return module.partition(":")[0].partition(".")[0]


def _rewards(
    asked: Sequence[_Asked], answers: Answers, mode: Mode, on_no_verdict: OnNoVerdict
) -> list[Reward]:
    made = []
    for one in asked:
        if not one.answer:
            made.append(empty([instruction.id for instruction in one.instructions]))
            continue
        components: dict[str, Component] = {}
        reasons = []
        for instruction, questions in zip(one.instructions, one.questions, strict=True):
            outcomes = [answers[question.key] for question in questions]
            components[instruction.id] = component(outcomes)
            if components[instruction.id] == "none":
                reasons.append(reason(instruction.id, outcomes))
        reward = reward_of(components, mode)
        found = Reward(reward=reward, components=components, reasons=reasons)
        made.append(without_none(found, mode, on_no_verdict))
    return made


def _doubted(made: Sequence[Reward]) -> list[int]:
    """Return the places of what a judge may veto: a reward that is 0 or none stays so."""
    return [index for index, one in enumerate(made) if one["reward"]]


def _judged(asked: _Asked) -> Mapping[str, Any]:
    return {
        "query": asked.query,
        "instructions": [instruction.text for instruction in asked.instructions],
        "response": asked.answer,
    }


def _with_vetoes(
    made: list[Reward],
    doubted: Sequence[int],
    judged: Sequence[bool | None],
    on_no_verdict: OnNoVerdict,
) -> list[Reward]:
    for index, good in zip(doubted, judged, strict=True):
        made[index] = vetoed(made[index], good, on_no_verdict)
    return made
