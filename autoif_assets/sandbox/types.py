"""What goes into the sandbox and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of one call `evaluate(input)`. Only `PASS` and `FAIL` are verdicts."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"
    MEMORY = "memory"
    NOT_BOOL = "not_bool"
    LOAD_ERROR = "load_error"
    SKIPPED = "skipped"

    @property
    def is_verdict(self) -> bool:
        """True for `PASS` and `FAIL`; everything else says nothing about the input."""
        return self is Outcome.PASS or self is Outcome.FAIL


_CALLS_PER_UNIT = 4  # calls as long as can be: one more than the default strikes allow


@dataclass(frozen=True, slots=True)
class Limits:
    """What one verifier may use.

    Attributes:
        call_cpu_s: CPU seconds of one call (and of loading the source); the call is stopped
            between this and a quarter more. CPU time decides, so a loaded machine does not
            turn slow calls into timeouts.
        call_wall_s: Seconds a call may *wait*: it is stopped after this long only if it has
            hardly used the CPU meanwhile.
        unit_wall_s: Seconds for one unit, whatever it seems to do meanwhile; None for four times
            the longer of the two limits of a call. A unit with more than 4,096 inputs, or 16 MiB
            of them, is run in parts and each part has this long.
        memory_mb: MiB of address space on top of what the bare interpreter needs.
        strikes: Timeouts and crashes after which the unit's remaining inputs are `SKIPPED`. One
            that has used its CPU seconds up before any call returned has a quarter of them for
            one more call, and then no further: endless loops are most of what a batch of verifiers
            costs.
        source_chars: Longest source that is run at all.
    """

    call_cpu_s: float = 1.0
    call_wall_s: float = 5.0
    unit_wall_s: float | None = None
    memory_mb: int = 512
    strikes: int = 3
    source_chars: int = 50_000

    def __post_init__(self) -> None:
        for name in ("call_cpu_s", "call_wall_s", "unit_wall_s", "memory_mb", "strikes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"Limits.{name} must be above 0, not {value!r}.")

    @property
    def unit_s(self) -> float:
        """Seconds that one unit may hold a worker."""
        return self.unit_wall_s or _CALLS_PER_UNIT * max(self.call_cpu_s, self.call_wall_s)


@dataclass(frozen=True, slots=True)
class Unit:
    """One verifier and the texts it has to check.

    Attributes:
        id: Returned with the result; any string.
        source: Python source that defines `evaluate(response)` or `evaluate(response, query)`.
        inputs: The texts, any Unicode including lone surrogates and NULs.
        group: In share mode, neighbours of one group with equal inputs may share a process
            (give the instruction's id). Ignored in strict mode.
        queries: For verifiers whose second parameter is `query`: what each input answers, None
            for one that answers nothing.
    """

    id: str
    source: str
    inputs: Sequence[str]
    group: str | None = None
    queries: Sequence[str | None] | None = None

    @property
    def queries_to_send(self) -> Sequence[str | None]:
        """The queries, if the source may ask for them: most do not."""
        return self.queries if self.queries is not None and "query" in self.source else ()


@dataclass(frozen=True, slots=True)
class Result:
    """What the sandbox saw of one unit.

    Attributes:
        id: The unit's id.
        outcomes: One per input, in the order of the inputs.
        details: One per input: empty for verdicts, else a short text written by the verifier's
            process (an exception, the type returned, …). Treat it as untrusted text.
        cpu_s: CPU seconds of the verifier's process, the fork included.
        reason: `nondeterministic` where a repeated call disagreed with the first, else None.
    """

    id: str
    outcomes: tuple[Outcome, ...]
    details: tuple[str, ...]
    cpu_s: float
    reason: str | None = None


class SandboxUnavailable(RuntimeError):
    """This machine cannot confine verifier code as asked; the message names the options."""
