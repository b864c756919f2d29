"""Share mode: the same verdicts as strict mode, and only harmless verifiers together."""

import sys
from dataclasses import replace
from itertools import chain

import pytest

from autoif_assets.sandbox import Limits, Sandbox, Unit
from autoif_assets.sandbox.batches import batches
from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.share import may_share
from autoif_assets.sandbox.stream import _undisturbed

linux = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
LIMITS = Limits(call_cpu_s=0.1, unit_wall_s=5.0)
GOOD = "def evaluate(r): return 'a' in r"


@pytest.mark.parametrize(
    "source",
    [
        "import re\ndef evaluate(r): return bool(re.findall(r'[a-z]', r))",
        "from collections import Counter\ndef evaluate(r): return Counter(r)['a'] > 1",
        "def helper(w):\n    n = {}\n    n[w] = 1\n    return n\n"
        "def evaluate(r):\n    try:\n        return helper(r)[r] == 1\n"
        "    except (KeyError, ValueError) as error:\n        return error.args == ()",
        "import string as s\ndef evaluate(r): return all(c in s.ascii_letters for c in r)",
        "def evaluate(r):\n    total = 0\n    for w in r.split():\n        total += len(w)\n"
        "    return f'{total:>3}' != '' and (lambda x: x)(True)",
        # Locals may have any builtin's name: no builtin is meant where they are unbound.
        "def evaluate(r):\n    type, input = r, [id for id in r]\n    return type in input",
        "import re\ndef evaluate(r):\n    import re\n    return bool(re.match('a', r))",
        "def evaluate(response, query): return response.startswith(query)",
    ],
)
def test_ordinary_verifiers_share(source):
    assert may_share(source)


@pytest.mark.parametrize(
    "body",
    [
        "return ().__class__",
        "return getattr(r, 'x')",
        "return eval(r)",
        "return exec(r)",
        "return globals()",
        "return '{0.x}'.format(r)",
        "return type(r)",
        "return __builtins__",
        "return open(r)",
        "import random\n    return random.random()",
        "import re\n    re.match = None\n    return True",
        "import re\n    re.purge()\n    return True",
        "import re\n    return re.enum.sys",
        "from string import Formatter\n    return True",
        "from re import *\n    return True",
        "import functools\n    return functools.update_wrapper",
        "try:\n        pass\n    except:\n        pass",
        "try:\n        pass\n    except BaseException:\n        pass",
        "del r",
        "class A: pass",
        "return (x for x in r).gi_frame",
        "return unknown",
        "with r: pass",
    ],
)
def test_others_run_alone(body):
    assert not may_share(f"def evaluate(r):\n    {body}\n")


@pytest.mark.parametrize(
    "binding",
    [
        "import re as {}",
        "from re import sub as {}",
        "def f({}): pass",
        "def f(*{}): pass",
        "def f(**{}): pass",
        "f = lambda {}: 0",
        "def {}(): pass",
        "try: pass\nexcept ValueError as {}: pass",
        "x = [{0} for {0} in 'a']",
        "for {} in 'a': pass",
        "({} := 1)",
        "{}: int = 1",
        "def f():\n    global {0}\n    {0} = 1",
    ],
)
def test_names_of_the_interpreter_are_bound_by_nobody(binding):
    source = binding.format("__builtins__") + "\ndef evaluate(r): return True"
    assert not may_share(source)
    assert may_share(source.replace("__builtins__", "builtins"))


@pytest.mark.parametrize(
    "elsewhere",
    [
        "def f(open): pass",
        "f = lambda open: 0",
        "try: pass\nexcept ValueError as open: pass",
        "if 0: open = 1",
        "x = [open for open in 'a']",
        "def f():\n    open = 1",
        "def f():\n    global open\n    open = 1",
        "def f():\n    [(open := x) for x in 'a']",
    ],
)
def test_a_name_bound_elsewhere_is_not_bound_here(elsewhere):
    assert not may_share(f"{elsewhere}\ndef evaluate(r): return open(r)")


@pytest.mark.parametrize(
    "use",
    ["x = re", "for x in (re,): pass", "f(re)", "f(x=re)", "x = [re]", "x = str(re)", "(x := re)",
     "def g(x=re): pass", "def g(re): return re.match", "re = 1", "x = f'{re}'", "x = re._cache",
     "x = re.enum", "x = re.RegexFlag", "from string import digits as re", "x = re.ascii_letters"],
)  # fmt: skip
def test_a_module_is_nothing_but_where_its_functions_are_read(use):
    source = "import re\ndef f(x): return x\n{}\ndef evaluate(r): return bool(re.match('a', r))"
    assert may_share(source.format("x = re.match"))
    assert not may_share(source.format(use))


@pytest.mark.parametrize(
    "use",
    ["C.copy(C)", "C.copy", "x = C", "x = [C]", "f(C)", "x = C.update", "D.Counter.copy",
     "x = D.Counter", "f(D.Counter)", "x = isinstance('', C)"],
)  # fmt: skip
def test_a_class_written_in_python_is_called_and_nothing_else(use):
    """`Counter.copy(Counter)` is `type`, and with `type` one makes keys of `re`'s cache."""
    source = (
        "from collections import Counter as C\nimport collections as D\ndef f(x): return x\n{}\n"
        "def evaluate(r): return C(r).copy()['a'] == D.Counter(r)['a']"
    )
    assert may_share(source.format("x = C('a')"))
    assert not may_share(source.format(use))


def test_one_name_for_two_modules_runs_alone():
    assert not may_share("import math as m, re as m\ndef evaluate(r): return bool(m.match('a', r))")


def test_a_generator_that_cleans_up_runs_alone():
    """Nobody says when it does: it could be in a neighbour's call."""
    source = "def g():\n    try: yield 1\n    finally: print()\ndef evaluate(r): return True"
    assert not may_share(source)
    assert may_share(source.replace("yield 1", "print()"))


@pytest.mark.parametrize(
    ("code", "detail", "undisturbed"),
    [
        (wire.PASS, "", True),
        (wire.LOAD_ERROR, "no_evaluate", True),
        (wire.LOAD_ERROR, "memory", False),
        (wire.LOAD_ERROR, "timeout", False),
        (wire.MEMORY, "MemoryError", False),
        (wire.TIMEOUT, "CPU time", False),
    ],
)
def test_who_lacked_time_or_memory_is_run_again_alone(code, detail, undisturbed):
    parts = [(False, bytes([wire.PASS]), [""]), (False, bytes([code]), [detail])]
    assert _undisturbed(parts) is undisturbed


@linux
def test_a_neighbour_that_keeps_memory_costs_no_verdict():
    keeps = "kept = [bytes(150 << 20)]\ndef evaluate(r): return True"
    careful = (
        "def evaluate(r):\n    try:\n        return len(bytes(200 << 20)) > 0\n"
        "    except Exception:\n        return False"
    )
    loads = "X = len(bytes(200 << 20)) > 0\ndef evaluate(r): return X"
    units = [Unit("", source, ["a"], "g") for source in (keeps, careful, loads)]
    assert [len(b.units) for b in batches(units, LIMITS, share=True)] == [3]
    with Sandbox(1, replace(LIMITS, memory_mb=256), share=True) as sandbox:
        assert [r.outcomes for r in sandbox.evaluate(units)] == [("pass",)] * 3


def test_neighbours_of_a_group_with_equal_inputs_join():
    inputs = ["a", "b"]
    units = [
        Unit("1", GOOD, inputs, "g"),
        Unit("2", GOOD, list(inputs), "g"),
        Unit("3", GOOD, ["c"], "g"),
        Unit("4", GOOD, ["c"], "h"),
        Unit("5", GOOD, ["c"], "h"),
        Unit("6", GOOD, ["c"]),
        Unit("7", "import os", ["c"], "h"),
        Unit("8", GOOD, ["c"], "h"),
    ]
    shared = [batch.numbers for batch in batches(units, LIMITS, share=True)]
    assert shared == [[0, 1], [2], [3, 4], [5], [6], [7]]
    assert [batch.numbers for batch in batches(units, LIMITS, share=False)] == [
        [n] for n in range(8)
    ]


def test_a_group_goes_on_past_those_that_run_alone_but_not_for_long():
    units = [Unit(str(n), GOOD if n % 50 == 0 else "import os", ["a"], "g") for n in range(101)]
    found = [batch.numbers for batch in batches(units, LIMITS, share=True)]
    assert [numbers for numbers in found if len(numbers) > 1] == [[0, 50]]
    assert found.index([0, 50]) == wire.SOURCES - 2
    assert sorted(chain.from_iterable(found)) == list(range(101))


@pytest.mark.slow
@linux
def test_many_that_run_alone_do_not_hold_up_a_group():
    sources = [GOOD, *["import os"] * 1500, GOOD]
    units = [Unit(str(n), source, ["a"], "g") for n, source in enumerate(sources)]
    with Sandbox(1, LIMITS, share=True) as sandbox:
        outcomes = [result.outcomes for result in sandbox.evaluate(units)]
    assert outcomes == [("pass",), *[("load_error",)] * 1500, ("pass",)]


@linux
def test_same_verdicts_as_strict_mode():
    sources = [
        GOOD,
        "def evaluate(r): return len(r) > 1",
        "def evaluate(r):\n    while r == 'b': pass\n    return True",
        "def evaluate(r): return len('x' * 10**10) > 0",
        "def evaluate(r): return 1 / 0",
        "def evaluate(",
        "def evaluate(r): return 'true'",
        "n = [0]\ndef evaluate(r):\n    n[0] += 1\n    return n[0] == 1",
    ]
    units = [
        Unit(f"{group}/{n}", source, ["a", "b", "ab"], group)
        for group in ("g", "h", "i")
        for n, source in enumerate(sources)
        if n not in (2, 3) or group == "h"
    ]
    with Sandbox(1, LIMITS) as strict, Sandbox(1, LIMITS, share=True) as shared:
        expected = [(r.id, r.outcomes, r.details, r.reason) for r in strict.evaluate(units)]
        found = [(r.id, r.outcomes, r.details, r.reason) for r in shared.evaluate(units)]
    assert found == expected
