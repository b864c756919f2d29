"""What happens inside a confined child: load one verifier, call it on every input.

The child is free to lie about its own unit: it only has bytes of that unit to write. Written
flat, with few objects: every page a child writes is first copied, and that is most of a unit's
cost.
"""

import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from mmap import MAP_PRIVATE, PROT_READ, mmap
from typing import Any, NamedTuple, NoReturn

from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.inside.kernel import ChildLock
from autoif_assets.sandbox.inside.modules import ForbiddenImport

START = signal.SIGUSR1  # tells a child that its orders are there
_ORDERS = frozenset((int(START),))
TICKS = 4  # the CPU clock interrupts this often per `call_cpu_s`
_DECODED_AT_ONCE = 1 << 20  # bytes of a request whose verifiers share its decoded inputs
_IDLE, _LOAD, _REPEAT = -1, -2, 1 << 40  # see Clock.call

_REPEATABLE = frozenset((wire.PASS, wire.FAIL, wire.NOT_BOOL, wire.ERROR))


class CallTimeout(BaseException):
    """Raised by the clock; not an Exception, so `except Exception` does not swallow it."""


class NoEvaluate(Exception):
    """The source defines no callable `evaluate`."""


class Clock:
    """Raises CallTimeout in the running call once it has had its CPU seconds.

    One repeating timer per child (started by `ChildLock`) instead of one per call: a call costs
    no system call.

    Attributes:
        call: A list of one number that tells the calls of a child apart; -1 between calls.
    """

    def __init__(self) -> None:
        self.call = [_IDLE]
        self._seen = _IDLE
        self._ticks = 0
        signal.signal(signal.SIGPROF, self._tick)

    def _tick(self, *_: object) -> None:
        call = self.call[0]
        if call != self._seen:
            self._seen, self._ticks = call, 0
        self._ticks += 1
        # The first tick may come at once, so one more than TICKS is needed.
        if call != _IDLE and self._ticks > TICKS:
            raise CallTimeout


class Orders(NamedTuple):
    """What a child is to do.

    Attributes:
        file: Number of the memory file that the request is in.
        size: Its length.
        sources: Verifiers in it.
        inputs: Inputs in it.
        first: Input to begin with; those before it are done.
        struck: Timeouts and crashes so far.
    """

    file: int
    size: int
    sources: int
    inputs: int
    first: int
    struck: int


class Settings(NamedTuple):
    """What every child of a zygote shares."""

    clock: Clock
    builtins: dict[str, Any]
    lock: ChildLock
    strikes: int
    repeats: int
    coerce_strings: bool


def run_child(
    settings: Settings,
    files: Sequence[int],
    area: mmap,
    orders: Orders | None,
    warm_up: Callable[[], None],
) -> NoReturn:
    """Run a request in this process, which ends here.

    Args:
        settings: As every child.
        files: The memory files that requests come in.
        area: Shared memory: the orders, if they come later, then the statuses.
        orders: What to do; None to warm up and then wait for it.
        warm_up: What to do before the orders come.
    """
    try:
        settings.lock.begin()
        if orders is None:
            warm_up()
            signal.sigwaitinfo(_ORDERS)
            orders = Orders(*wire.ORDERS.unpack_from(area, 1))
        file, size, sources, inputs, first, struck = orders
        layout = wire.Layout(sources, inputs)
        try:
            # Private: what this child does to it reaches neither the file nor another child.
            data = mmap(files[file], size, MAP_PRIVATE, PROT_READ)
        except OSError:
            os._exit(4)
        settings.lock.enter()
        codes, texts = wire.places(data)
        text: Callable[[int], str] = partial(wire.text, data, texts)
        if layout.sources > 1 and len(data) <= _DECODED_AT_ONCE:
            text = [text(i) for i in range(layout.inputs)].__getitem__
        for index in range(layout.sources):
            source = wire.text(data, codes, index)
            judge(settings, source, text, area, layout, index, first, struck)
        area[0] = wire.DONE
        os._exit(0)
    except MemoryError:
        os._exit(4)
    except BaseException:
        os._exit(3)


def judge(
    settings: Settings,
    source: str,
    text: Callable[[int], str],
    area: mmap,
    layout: wire.Layout,
    index: int,
    first: int,
    struck: int,
) -> None:
    """Load one verifier, call it on each input, repeat a few calls."""
    count = layout.inputs
    status = layout.status + index * count
    call = settings.clock.call
    coerce = settings.coerce_strings
    area[0] = wire.LOADING
    try:
        call[0] = _LOAD - index
        # Neighbours of share mode have one dictionary: what may share cannot reach it, and a copy
        # would write to, and so duplicate, 80 pages.
        evaluate = load(source, settings.builtins)
        call[0] = _IDLE
    except BaseException as error:
        call[0] = _IDLE
        detail = load_failure(error)
        for cell in range(index * count, (index + 1) * count):
            layout.put(area, cell, wire.LOAD_ERROR, detail)
        return
    # A sample in the reverse order, the first input included: a function of its input agrees
    # with itself.
    step = -(-count // settings.repeats) if settings.repeats else 0  # rounded up
    sample = reversed(range(0, count, step)) if step else ()
    for phase, base, order in (
        (wire.CALLING, status, range(first, count)),
        (wire.REPEATING, status + _REPEAT, sample),
    ):
        area[0] = phase
        again = phase == wire.REPEATING
        for i in order:
            if again and area[status + i] not in _REPEATABLE:
                continue
            detail = ""
            try:
                call[0] = base + i
                answer = evaluate(text(i))
                call[0] = _IDLE
            except BaseException as error:
                call[0] = _IDLE
                code, detail = call_failure(error)
            else:
                # `is`: an object that equals everything is not a verdict.
                if answer is True:
                    code = wire.PASS
                elif answer is False:
                    code = wire.FAIL
                else:
                    code, detail = no_verdict(answer, coerce)
            if again:
                if code != area[status + i]:
                    area[layout.flags + index] = 1
                    return
                continue
            area[status + i] = code
            if detail:
                layout.put(area, index * count + i, code, detail)
                if code == wire.TIMEOUT:
                    struck += 1
                    if struck >= settings.strikes:
                        for cell in range(index * count + i + 1, (index + 1) * count):
                            layout.put(area, cell, wire.SKIPPED, wire.STRUCK)
                        return


def load(source: str, builtins: dict[str, Any]) -> Any:
    """Run the source in a namespace of its own and return its `evaluate`."""
    namespace: dict[str, Any] = {"__name__": "verifier", "__builtins__": builtins}
    exec(compile(source, "<verifier>", "exec", dont_inherit=True), namespace)
    evaluate = namespace.get("evaluate")
    if not callable(evaluate):
        raise NoEvaluate
    return evaluate


def no_verdict(answer: object, coerce_strings: bool) -> tuple[int, str]:
    """Status and detail of an answer that is neither True nor False."""
    if coerce_strings and type(answer) is str:
        word = answer.strip().lower()
        if word == "true":
            return wire.PASS, ""
        if word == "false":
            return wire.FAIL, ""
    return wire.NOT_BOOL, type_name(answer)


def call_failure(error: BaseException) -> tuple[int, str]:
    """Status and detail of a call that raised."""
    if isinstance(error, CallTimeout):
        return wire.TIMEOUT, "CPU time"
    if isinstance(error, MemoryError):
        return wire.MEMORY, "MemoryError"
    if isinstance(error, ForbiddenImport):
        return wire.LOAD_ERROR, load_failure(error)
    return wire.ERROR, describe(error)


def load_failure(error: BaseException) -> str:
    """A reason first, then what Python said."""
    if isinstance(error, ForbiddenImport):
        return f"forbidden_import:{first_text(error)}"
    if isinstance(error, NoEvaluate):
        return "no_evaluate"
    if isinstance(error, CallTimeout):
        return "timeout"
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, SyntaxError | UnicodeEncodeError):
        return f"syntax_error: {describe(error)}"
    return f"load_error: {describe(error)}"


def type_name(value: object) -> str:
    """A type's name without asking the value, whose attributes may be traps."""
    return type.__dict__["__name__"].__get__(type(value))  # type: ignore[no-any-return]


def first_text(error: BaseException) -> str:
    """The error's message, if it is a plain string."""
    args = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    return args[0] if args and type(args[0]) is str else ""


def describe(error: BaseException) -> str:
    """`ValueError: text`, without calling anything the verifier could have defined."""
    text = first_text(error)
    return f"{type_name(error)}: {text}" if text else type_name(error)
