"""What happens inside a confined child: load one verifier, call it on every input.

The child is free to lie about its own unit: it only has bytes of that unit to write. Written
flat, with few objects: every page a child writes is first copied, and that is most of a unit's
cost.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from mmap import MAP_PRIVATE, PROT_READ, mmap
from time import process_time
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, NoReturn

from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.inside.kernel import ChildLock
from autoif_assets.sandbox.inside.modules import ForbiddenImport

START = signal.SIGUSR1  # tells a child that its orders are there
_ORDERS = frozenset((int(START),))
TICKS = 4  # the CPU clock interrupts this often per `call_cpu_s`
_HURRIED_TICKS = 1
_LOOPS = 2  # timeouts before anything has returned, from which on a verifier is taken to loop
_KEPT = 24 << 20  # bytes that the verifiers of a shared process may leave behind
_WRAPPERS = 8  # decorators around an `evaluate` that are looked behind
_DECODED_AT_ONCE = 1 << 20  # bytes of a request whose verifiers share its decoded inputs
_PROT_NONE = 0
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

    Args:
        tick_s: CPU seconds between two signals.

    Attributes:
        call: A list of one number that tells the calls of a child apart; -1 between calls.
        late: Not empty once the call has had its CPU seconds: whoever called finds it there,
            whatever became of the exception (`__del__` and a bare `except` swallow it).
        hurried: The call that has a quarter of the time.
    """

    def __init__(self, tick_s: float) -> None:
        self.call = [_IDLE]
        self.late: list[int] = []
        self.hurried = _IDLE
        self._tick_s = tick_s
        self._seen = _IDLE
        self._ticks = 0
        self._last = 0.0
        signal.signal(signal.SIGPROF, self._tick)

    def _tick(self, *_: object) -> None:
        call = self.call[0]
        if call != self._seen:
            self._seen, self._ticks = call, 0
        # The signals that came during one long step of C arrive as one.
        now = process_time()
        self._ticks += max(1, int((now - self._last) / self._tick_s))
        self._last = now
        # The first tick may come at once, so one more than these is needed.
        allowed = _HURRIED_TICKS if call == self.hurried else TICKS
        if call != _IDLE and self._ticks > allowed:
            self.late.append(call)
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
    memory: int  # bytes that a verifier may use
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
        query = None
        if len(texts) > inputs + 1:
            query = partial(wire.query, data, texts, inputs)
        if layout.sources > 1 and len(data) <= _DECODED_AT_ONCE:
            text = [text(i) for i in range(layout.inputs)].__getitem__
        if layout.sources > 1:
            # What one leaves behind stays to the end, where it is seen: had the collector freed
            # it, a neighbour might have lacked it before, and have said so to nobody.
            gc.disable()
        kept = []
        for index in range(layout.sources):
            source = wire.text(data, codes, index)
            run_verifier(settings, source, text, query, area, layout, index, first, struck)
            kept.append(sys.modules.get("verifier"))
        if layout.sources > 1 and not has_room(settings.memory - len(data) - _KEPT):
            os._exit(5)  # each is run alone then
        area[0] = wire.DONE
        os._exit(0)
    except MemoryError:
        os._exit(4)
    except BaseException:
        os._exit(3)


def run_verifier(
    settings: Settings,
    source: str,
    text: Callable[[int], Any],
    query: Callable[[int], str | None] | None,
    area: mmap,
    layout: wire.Layout,
    index: int,
    first: int,
    struck: int,
) -> None:
    """Load one verifier, call it on each input, repeat a few calls.

    Args:
        settings: As every child.
        source: The verifier.
        text: Input by number.
        query: The query that an input answers, by the input's number; None where there are none.
        area: Shared memory, where the phase and the statuses go.
        layout: Of the area.
        index: Number of the verifier in its request.
        first: Input to begin with.
        struck: Timeouts and crashes so far.
    """
    call, late = settings.clock.call, settings.clock.late
    # The zygote goes by the phase if this process dies, so it is written before each begins.
    area[0] = wire.LOADING
    try:
        # Unlike the number of any call and of any other load: each has the clock for itself.
        call[0] = _LOAD - index
        # Neighbours of share mode have one dictionary: what may share cannot reach it, and a copy
        # would write to, and so duplicate, 80 pages.
        evaluate = load(source, settings.builtins)
        if query is not None and takes_query(evaluate):
            evaluate, text = with_queries(evaluate, text, query)
        call[0] = _IDLE
        if late:
            raise CallTimeout
    except BaseException as error:
        call[0] = _IDLE
        why = load_failure(CallTimeout() if late else error)
        late.clear()
        layout.fill(area, layout.row(index), wire.LOAD_ERROR, why)
        return
    area[0] = wire.CALLING
    inputs = range(first, layout.inputs)
    if not call_each(settings, evaluate, text, area, layout, index, inputs, struck, again=False):
        return
    area[0] = wire.REPEATING
    inputs = sample(layout.inputs, settings.repeats)
    call_each(settings, evaluate, text, area, layout, index, inputs, struck, again=True)


def call_each(
    settings: Settings,
    evaluate: Callable[[Any], object],
    text: Callable[[int], Any],
    area: mmap,
    layout: wire.Layout,
    index: int,
    inputs: range,
    struck: int,
    again: bool,
) -> bool:
    """Call a verifier on some inputs and write down, or compare with, what it says of each.

    The calls of both phases are this one loop, in one frame: a function more per call would cost
    a fifth of a short call.

    Args:
        settings: As every child.
        evaluate: What the source defined.
        text: Input by number.
        area: Shared memory.
        layout: Of the area.
        index: Number of the verifier in its request.
        inputs: The inputs to call it on, in this order.
        struck: Timeouts and crashes so far.
        again: Whether to compare with the statuses of the first calls instead of writing them.

    Returns:
        False if it gave up before the last input.
    """
    status = layout.status + index * layout.inputs
    call, late = settings.clock.call, settings.clock.late
    # A repeated call is another one to the clock than the first on the same input.
    base = status + _REPEAT if again else status
    for i in inputs:
        # What ran out of time or memory need not do so twice.
        if again and area[status + i] not in _REPEATABLE:
            continue
        detail = ""
        try:
            # The clock raises between the two marks only, so no status is ever half written.
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
                code, detail = no_verdict(answer, settings.coerce_strings)
        if late:
            late.clear()
            code, detail = wire.TIMEOUT, "CPU time"
        if again:
            if code != area[status + i]:
                area[layout.flags + index] = 1
                return False  # one contradiction is enough
            continue
        area[status + i] = code
        if detail:  # empty for verdicts, which are most
            layout.put(area, index * layout.inputs + i, code, detail)
            if code == wire.TIMEOUT:
                struck += 1
                seen = area[status : status + i + 1]
                loops = _REPEATABLE.isdisjoint(seen)
                if loops and i + 1 < layout.inputs:
                    settings.clock.hurried = base + i + 1
                if struck >= settings.strikes or (loops and seen.count(wire.TIMEOUT) >= _LOOPS):
                    rest = layout.row(index, i + 1)
                    layout.fill(area, rest, wire.SKIPPED, wire.STRUCK)
                    return False
    return True


def sample(inputs: int, repeats: int) -> range:
    """At most `repeats` of so many inputs, in the reverse order, the first input included.

    A function of its input alone agrees with itself in any order.
    """
    if not inputs or not repeats:
        return range(0)
    return range(0, inputs, -(-inputs // repeats))[::-1]  # the step is rounded up


def load(source: str, builtins: dict[str, Any]) -> Any:
    """Run the source in a module of its own and return its `evaluate`."""
    # Where `dataclass`, `enum` and `typing` look up the names of a class's module.
    module = sys.modules["verifier"] = ModuleType("verifier")
    namespace = module.__dict__
    namespace["__builtins__"] = builtins
    exec(compile(source, "<verifier>", "exec", dont_inherit=True), namespace)
    evaluate = namespace.get("evaluate")
    if not callable(evaluate):
        raise NoEvaluate
    return evaluate


def takes_query(evaluate: Any) -> bool:
    """Whether a verifier's second parameter is called `query` and must be given."""
    for _ in range(_WRAPPERS):
        wrapped = getattr(evaluate, "__wrapped__", None)  # behind `functools.wraps`
        if wrapped is None:
            break
        evaluate = wrapped
    if type(evaluate) is not FunctionType:
        return False
    code = evaluate.__code__
    required = code.co_argcount - len(evaluate.__defaults__ or ())
    return required == 2 and code.co_varnames[1] == "query"


def with_queries(
    evaluate: Callable[..., object], text: Callable[[int], str], query: Callable[[int], str | None]
) -> tuple[Callable[[tuple[str, ...]], object], Callable[[int], tuple[str, ...]]]:
    """Verifier and inputs for one that looks at the query too: what it is given is a tuple."""

    def arguments(index: int) -> tuple[str, ...]:
        asked = query(index)
        # Of a text that answers no query, Python's own TypeError says what is missing.
        return (text(index),) if asked is None else (text(index), asked)

    return lambda given: evaluate(*given), arguments


def has_room(size: int) -> bool:
    """Whether so many bytes could still be mapped."""
    if size <= 0:
        return True
    try:
        mmap(-1, size, MAP_PRIVATE, _PROT_NONE).close()
    except OSError:
        return False
    return True


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
