"""A sandbox that executes what is asked alike only once, for the many batches of the tests.

Most batches here have the same instructions and the same simulator, so the same verifiers on the
same texts. What the sandbox makes of them is tested where the sandbox is, and in the batches of the
command line, which have the product's own.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest

from autoif_assets.resources import sandbox as resource
from autoif_assets.sandbox import ConfinementReport, Limits, Outcome, Result, Sandbox, Unit

# By settings and source: what it made of a text, with the query that the text answers.
_known: dict[tuple[str, str], dict[tuple[str, str | None], tuple[Outcome, str]]] = {}
_reports: list[ConfinementReport] = []


class RememberingSandbox(Sandbox):
    """The sandbox, whose workers start when there is something new to execute."""

    def __init__(self, workers: int = 1, limits: Limits | None = None, **settings: Any) -> None:
        super().__init__(workers, limits, **settings)
        self._told = repr((limits, sorted(settings.items())))

    def __enter__(self) -> Self:
        return self

    @property
    def report(self) -> ConfinementReport:
        if not _reports:
            with Sandbox(1) as sandbox:
                _reports.append(sandbox.report)
        return _reports[0]

    def evaluate(self, units: Iterable[Unit], *, share: bool = False) -> Generator[Result]:
        units = list(units)
        unknown = [unit for unit in units if self._remembered(unit) is None]
        executed = {}
        if unknown:
            if not self._workers:
                super().__enter__()
            executed = {result.id: result for result in super().evaluate(unknown, share=share)}
        for unit in unknown:
            result = executed[unit.id]
            # One that contradicts itself has no verdicts that could be remembered.
            if result.reason is None:
                answers = zip(result.outcomes, result.details, strict=True)
                known = _known.setdefault((self._told, unit.source), {})
                known.update(zip(_texts(unit), answers, strict=True))
        for unit in units:
            result = executed.get(unit.id) or self._remembered(unit)
            assert result is not None
            yield result

    def _remembered(self, unit: Unit) -> Result | None:
        known = _known.get((self._told, unit.source), {})
        answers = [known.get(text) for text in _texts(unit)]
        if None in answers:
            return None
        outcomes, details = zip(*answers, strict=True) if answers else ((), ())
        return Result(unit.id, outcomes, details, cpu_s=0.0)


def _texts(unit: Unit) -> list[tuple[str, str | None]]:
    queries = unit.queries or [None] * len(unit.inputs)
    return list(zip(unit.inputs, queries, strict=True))


@contextmanager
def remembering() -> Iterator[None]:
    """Have the assets use the sandbox that remembers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "Sandbox", RememberingSandbox)
        yield
