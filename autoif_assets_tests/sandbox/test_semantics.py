"""What each kind of verifier yields."""

import importlib
import itertools
import sys
import time
from itertools import chain
from types import ModuleType

import pytest

from autoif_assets.sandbox import STANDARD_MODULES, Limits, Outcome, Sandbox, Unit
from autoif_assets.sandbox.batches import INPUTS, batches

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")


@pytest.fixture(scope="module")
def sandbox():
    limits = Limits(call_cpu_s=0.2, call_wall_s=1.0, unit_wall_s=10.0)
    with Sandbox(workers=1, limits=limits) as opened:
        yield opened


def run_one(sandbox, source, *inputs):
    (result,) = sandbox.evaluate([Unit("u", source, inputs)])
    assert result.id == "u"
    assert len(result.outcomes) == len(result.details) == len(inputs)
    return result


def test_one_namespace_with_helpers_and_imports(sandbox):
    source = (
        "import re\nfrom collections import Counter\nLIMIT = 2\n"
        "def helper(text):\n    return Counter(re.findall('a', text))['a'] > LIMIT\n"
        "def evaluate(response):\n    return helper(response)\n"
    )
    assert run_one(sandbox, source, "aaa", "aa").outcomes == ("pass", "fail")


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("True", "pass"),
        ("False", "fail"),
        ("1", "not_bool"),
        ("None", "not_bool"),
        ("'True'", "not_bool"),
        ("[True]", "not_bool"),
        ("1 / 0", "error"),
        ("exit()", "error"),
        ("[0] * 10**11", "memory"),
        ("undefined", "error"),
    ],
)
def test_outcome_of_an_answer(sandbox, expression, outcome):
    result = run_one(sandbox, f"def evaluate(r): return {expression}", "x")
    assert result.outcomes == (outcome,)
    assert bool(result.details[0]) == (not result.outcomes[0].is_verdict)


def test_details_name_the_cause(sandbox):
    result = run_one(sandbox, "def evaluate(r): raise ValueError('no ' + r)", "a\nb")
    assert result.details == ("ValueError: no a b",)
    assert run_one(sandbox, "def evaluate(r): return 0.5", "x").details == ("float",)
    assert run_one(sandbox, "import socket\n", "x").details == ("forbidden_import:socket",)
    assert run_one(sandbox, "x = 1", "x").details == ("no_evaluate",)
    assert run_one(sandbox, "def evaluate(", "x").details[0].startswith("syntax_error: ")
    assert run_one(sandbox, "#" * 99999, "x").details == ("source_too_long",)


def test_printing_and_reading_are_harmless(sandbox):
    source = "def evaluate(r):\n    print(r * 1000)\n    return True"
    assert run_one(sandbox, source, "x").outcomes == ("pass",)
    assert run_one(sandbox, "def evaluate(r): return bool(input())", "x").details == (
        "EOFError: EOF when reading a line",
    )


@pytest.mark.parametrize(
    "text",
    ["", "\0", "a\0b", "\ud800", "\udfff\ud800", "\U0001f600", "\r\n\u2028", "é" * 1000],
    ids=ascii,
)
def test_texts_survive_the_trip(sandbox, text):
    source = f"def evaluate(r): return r == {text!a} and type(r) is str"
    assert run_one(sandbox, source, text).outcomes == ("pass",)


def test_ten_megabytes_survive_the_trip(sandbox):
    # Little to compute: a call may take a fifth of a second here, on a slow machine, too.
    source = "def evaluate(r): return len(r) == 10_000_000 and r.count('é') == len(r)"
    assert run_one(sandbox, source, "é" * 10_000_000).outcomes == ("pass",)


def test_inputs_that_do_not_fit_are_named_so():
    small = Limits(memory_mb=32)
    source = "def evaluate(response): return True"
    units = [Unit("large", source, ["é" * 30_000_000]), Unit("small", source, ["x"])]
    with Sandbox(workers=1, limits=small) as sandbox:
        large, little = sandbox.evaluate(units)
    assert (large.outcomes, large.details) == (("memory",), ("the inputs do not fit",))
    assert little.outcomes == ("pass",)


def test_no_inputs(sandbox):
    assert run_one(sandbox, "def evaluate(r): return True").outcomes == ()


def test_more_inputs_than_a_request_holds(sandbox):
    texts = [str(n) for n in range(2 * INPUTS + 5)]
    result = run_one(sandbox, "def evaluate(r): return int(r) % 3 == 0", *texts)
    assert result.outcomes == tuple(
        Outcome.PASS if n % 3 == 0 else Outcome.FAIL for n in range(len(texts))
    )


def test_slow_inputs_only_are_timeouts(sandbox):
    source = "def evaluate(r):\n    while r == 'slow': pass\n    return r == 'good'"
    result = run_one(sandbox, source, "good", "slow", "bad", "slow", "good")
    assert result.outcomes == ("pass", "timeout", "fail", "timeout", "pass")


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ("class D:\n    def __del__(self):\n        while True: pass", "D()"),
        ("def g():\n    try: yield\n    finally:\n        while True: pass", "next(g())"),
        ("", "try:\n        while True: pass\n    except BaseException: pass"),
    ],
    ids=["__del__", "generator", "handler"],
)
def test_a_swallowed_timeout_is_one_all_the_same(sandbox, before, body):
    source = (
        f"{before}\ndef evaluate(r):\n    if r == 'fast': return True\n    {body}\n    return True"
    )
    result = run_one(sandbox, source, "fast", "slow", "fast")
    assert result.outcomes == ("pass", "timeout", "pass")
    assert result.details == ("", "CPU time", "")
    assert run_one(sandbox, f"{before}\ndef evaluate(r): pass\nif 1:\n    {body}", "x").details == (
        "timeout",
    )


def test_one_long_step_of_c_uses_the_time_up(sandbox):
    """As many signals as came during it arrive as one, when it is over."""
    steps, began = 10**6, time.process_time()
    assert sum(itertools.repeat(1, steps)) == steps
    count = int(steps * 1.8 * sandbox.limits.call_cpu_s / (time.process_time() - began))
    source = f"import itertools\ndef evaluate(r): return sum(itertools.repeat(1, {count})) > 0"
    assert run_one(sandbox, source, "a").outcomes == ("timeout",)


@pytest.mark.parametrize("act", ["lock.acquire(timeout=0.04)", "sum(range(10**4))"])
def test_who_fakes_progress_holds_a_worker_for_a_few_calls_only(act):
    faker = (
        "import enum\nM = enum.sys.modules\nlock = M['_thread'].allocate_lock()\nlock.acquire()\n"
        "def evaluate(r):\n    area = enum.sys._getframe(1).f_locals['area']\n    while True:\n"
        f"        try:\n            area[0] ^= 1\n            {act}\n"
        "        except BaseException: pass"
    )
    limits = Limits(call_cpu_s=0.1, call_wall_s=0.25)
    assert limits.unit_s == 1.0
    assert Limits().unit_s == 20.0
    began = time.monotonic()
    with Sandbox(workers=1, limits=limits) as sandbox:
        result = run_one(sandbox, faker, *"abcdef")
    assert not any(outcome.is_verdict for outcome in result.outcomes)
    assert time.monotonic() - began < 15


def test_running_out_of_the_units_time_in_repeated_calls_is_no_contradiction():
    """A slow verifier on a busy machine has said nothing wrong."""
    source = (
        "import enum\nclock = enum.sys.modules['time'].monotonic\ncalls = []\ndef evaluate(r):\n"
        "    calls.append(r)\n    end = clock() + (0.05 if len(calls) < 3 else 9)\n"
        "    while clock() < end: pass\n    return True"
    )
    limits = Limits(call_cpu_s=5.0, unit_wall_s=0.5)
    with Sandbox(workers=1, limits=limits) as sandbox:
        result = run_one(sandbox, source, "a", "b")
    assert (result.outcomes, result.reason) == (("pass", "pass"), None)


def test_crashing_inputs_only_are_crashes(sandbox):
    source = (
        "import enum\ndef evaluate(r):\n"
        "    if r == 'crash': enum.sys.modules['ctypes'].string_at(0)\n    return r == 'good'"
    )
    result = run_one(sandbox, source, "good", "crash", "bad", "crash", "good")
    assert result.outcomes == ("pass", "crash", "fail", "crash", "pass")
    assert result.details[1] == "SIGSEGV"


@pytest.mark.parametrize(
    ("returns_on", "outcomes"),
    [
        ("", "timeout timeout skipped skipped skipped skipped"),  # never: it loops
        ("b", "timeout pass timeout timeout skipped skipped"),
        ("a", "pass timeout timeout timeout skipped skipped"),
        ("bcd", "timeout pass pass pass timeout timeout"),
    ],
)
def test_the_rest_is_skipped_after_three_strikes(sandbox, returns_on, outcomes):
    source = f"def evaluate(r):\n    while r not in {returns_on!r}: pass\n    return True"
    assert run_one(sandbox, source, *"abcdef").outcomes == tuple(outcomes.split())


def test_a_crash_before_a_timeout_does_not_make_a_loop(sandbox):
    source = (
        "import enum\ndef evaluate(r):\n"
        "    if r == 'crash': enum.sys.modules['ctypes'].string_at(0)\n"
        "    while r == 'loop': pass\n    return True"
    )
    result = run_one(sandbox, source, "crash", "loop", "good", "good")
    assert result.outcomes == ("crash", "timeout", "pass", "pass")


def test_the_call_after_a_timeout_is_hurried_only_if_nothing_has_returned():
    """How long a call may take is told by what it gets to, not by a clock."""
    source = (
        "import enum\nspent = enum.sys.modules['time'].process_time\ndef evaluate(r):\n"
        "    end = spent() + float(r)\n    while spent() < end: pass\n    return True"
    )
    with Sandbox(workers=1, limits=Limits(call_cpu_s=0.8)) as sandbox:
        first = run_one(sandbox, source, "9", "0.5", "0")
        after = run_one(sandbox, source, "0", "9", "0.5")
        quick = run_one(sandbox, source, "9", "0", "0.5")
    assert first.outcomes == ("timeout", "timeout", "skipped")
    assert after.outcomes == ("pass", "timeout", "pass")
    assert quick.outcomes == ("timeout", "pass", "pass")


@pytest.mark.parametrize(
    "source",
    [
        "import random\ndef evaluate(r): return random.random() < 0.5",
        "seen = set()\ndef evaluate(r):\n    new = r not in seen\n    seen.add(r)\n    return new",
        "n = [0]\ndef evaluate(r):\n    n[0] += 1\n    return n[0] % 2 == 0",
        "def evaluate(r, calls=[]):\n    calls.append(r)\n    return len(calls) == 1",
        "n = [0]\ndef evaluate(r):\n    n[0] += 1\n    if n[0] > 32: raise r\n    return True",
    ],
)
@pytest.mark.parametrize("count", [16, 32])
def test_nondeterministic_verifiers_are_named(sandbox, source, count):
    result = run_one(sandbox, source, *map(str, range(count)))
    if "n[0] > 32" in source and count == 16:
        assert result.reason is None  # 24 calls: it has not shown yet
    else:
        assert result.reason == "nondeterministic"


def test_hanging_in_the_repeated_call_is_nondeterministic(sandbox):
    source = (
        "n = []\ndef evaluate(r):\n    n.append(r)\n    while len(n) > 2:\n"
        "        try:\n            while True: pass\n        except BaseException: pass\n"
        "    return True"
    )
    result = run_one(sandbox, source, "a", "b")
    assert (result.outcomes, result.reason) == (("pass", "pass"), "nondeterministic")


def test_deterministic_verifiers_are_not(sandbox):
    source = "import random\ndef evaluate(r):\n    random.seed(r)\n    return random.random() < 0.5"
    assert run_one(sandbox, source, *map(str, range(50))).reason is None


def test_state_does_not_reach_other_verifiers(sandbox):
    writer = "import re, string\nre.mark = string.mark = 1\ndef evaluate(r): return True"
    reader = (
        "import re, string\ndef evaluate(r): return hasattr(re, 'mark') or hasattr(string, 'mark')"
    )
    units = [Unit(str(n), source, ["x"]) for n, source in enumerate([writer, reader] * 3)]
    found = [result.outcomes[0] for result in sandbox.evaluate(units)]
    assert found == ["pass", "fail"] * 3


def test_the_hash_of_strings_is_fixed(sandbox):
    source = "def evaluate(r): return hash(r) % 2 == 0"
    texts = [str(n) for n in range(64)]
    first = run_one(sandbox, source, *texts).outcomes
    with Sandbox(workers=1) as other:
        assert run_one(other, source, *texts).outcomes == first


def test_strings_as_verdicts_on_request():
    source = "def evaluate(r): return r"
    with Sandbox(workers=1, coerce_strings=True) as sandbox:
        result = run_one(sandbox, source, "true", "False", " TRUE\n", "yes", "")
    assert result.outcomes == ("pass", "fail", "pass", "not_bool", "not_bool")


def test_optional_modules(tmp_path, monkeypatch):
    (tmp_path / "autoif_extra.py").write_text("WORDS = {'good'}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    source = "import autoif_extra\ndef evaluate(r): return r in autoif_extra.WORDS"
    with Sandbox(workers=1, modules=["autoif_extra"]) as sandbox:
        assert run_one(sandbox, source, "good", "bad").outcomes == ("pass", "fail")
    with Sandbox(workers=1) as sandbox:
        assert run_one(sandbox, source, "good").details == ("forbidden_import:autoif_extra",)


@pytest.mark.parametrize("module", STANDARD_MODULES)
def test_every_allowed_module_is_there_whole(sandbox, module):
    # Modules within it are there once somebody imported them.
    here = {k: v for k, v in vars(importlib.import_module(module)).items() if k[0] != "_"}
    names = [name for name, value in here.items() if not isinstance(value, ModuleType)]
    source = f"import {module}\ndef evaluate(r): return set(r.split()) <= set(dir({module}))"
    assert run_one(sandbox, source, " ".join(names)).outcomes == ("pass",)


def test_a_module_is_imported_once(sandbox):
    source = (
        "import dataclasses, textwrap\nfrom dataclasses import dataclass\ndef evaluate(r):\n"
        "    import dataclasses as again\n"
        "    return again is dataclasses and again.dataclass is dataclass"
    )
    assert run_one(sandbox, source, "a").outcomes == ("pass",)


def test_lazy_parts_of_the_standard_library(sandbox):
    source = (
        "import datetime, statistics, json, urllib.parse\ndef evaluate(r):\n"
        "    datetime.datetime.strptime('2024-01-02', '%Y-%m-%d')\n"
        "    'é'.encode('utf-16'), b'x'.decode('cp1252'), 'ü.de'.encode('idna')\n"
        "    statistics.median([1, 2]), json.loads('[1]'), urllib.parse.urlparse(r)\n"
        "    return True"
    )
    assert run_one(sandbox, source, "http://x").outcomes == ("pass",)


def test_a_verifier_may_ask_for_the_query(sandbox):
    source = "def evaluate(response, query): return response.startswith(query)"
    unit = Unit("u", source, ["hi there", "hi", "hi"], queries=["hi", "you", "\ud800é"])
    (result,) = sandbox.evaluate([unit])
    assert result.outcomes == ("pass", "fail", "fail")


@pytest.mark.parametrize(
    "source",
    [
        "def evaluate(response, query='d'): return query == 'd'",
        "def evaluate(response, strict=False): return strict is False",
        "def evaluate(response, **query): return not query",
        "def evaluate(*query): return len(query) == 1",
        "def evaluate(query): return query == 'a'",
        "def evaluate(response, /, *, query=1): return query == 1",
        "class E:\n    def __getattr__(self, name): raise AttributeError(name)\n"
        "    def __call__(self, response): return True  # query\nevaluate = E()",
        "evaluate = bool  # query",
    ],
)
def test_who_does_not_ask_gets_no_query(sandbox, source):
    (result,) = sandbox.evaluate([Unit("u", source, ["a"], queries=["q"])])
    assert result.outcomes == ("pass",)


@pytest.mark.parametrize(
    "source",
    [
        "evaluate = lambda response, query: query == 'q'",
        "def evaluate(response, query, /, strict=True): return query == 'q' and strict",
        "import functools\n@functools.cache\ndef evaluate(response, query): return query == 'q'",
        "import functools\ndef d(f):\n    @functools.wraps(f)\n"
        "    def w(*a, **k): return f(*a, **k)\n    return w\n"
        "@d\n@d\ndef evaluate(response, query): return query == 'q'",
    ],
)
def test_who_asks_gets_the_query(sandbox, source):
    (result,) = sandbox.evaluate([Unit("u", source, ["a", "b"], queries=["q", "r"])])
    assert result.outcomes == ("pass", "fail")


def test_a_text_that_answers_no_query_has_no_verdict(sandbox):
    source = "def evaluate(response, query): return response.startswith(query)"
    for queries in (["a", None], None):
        (result,) = sandbox.evaluate([Unit("u", source, ["a", "b"], queries=queries)])
        assert result.outcomes == (("pass" if queries else "error"), "error")
        assert result.details[1].startswith("TypeError: evaluate() missing 1 required")


def test_queries_of_more_inputs_than_a_request_holds(sandbox):
    texts = [str(n) for n in range(INPUTS + 5)]
    source = "def evaluate(response, query): return response == query"
    queries = [text if int(text) % 3 else "" for text in texts]
    (result,) = sandbox.evaluate([Unit("u", source, texts, queries=queries)])
    assert [outcome == "pass" for outcome in result.outcomes] == [
        n % 3 > 0 for n in range(INPUTS + 5)
    ]


def test_neighbours_share_with_and_without_queries():
    asks = "def evaluate(response, query): return response == query"
    plain = "def evaluate(response): return response == 'a'"
    units = [
        Unit(str(n), source, ["a", "b"], "g", queries)
        for n, (source, queries) in enumerate(
            [(plain, ["b", "b"]), (asks, ["b", "b"]), (asks, ["b", "b"]), (asks, ["a", "a"])]
        )
    ]
    assert [b.numbers for b in batches(units, Limits(), share=True)] == [[0], [1, 2], [3]]
    with Sandbox(workers=1, share=True) as sandbox:
        outcomes = [result.outcomes for result in sandbox.evaluate(units)]
    assert outcomes == [("pass", "fail"), *[("fail", "pass")] * 2, ("pass", "fail")]


def test_queries_that_do_not_belong_to_the_inputs_are_refused(sandbox):
    for queries in (["a"], "ab", ["a", 1]):
        with pytest.raises(TypeError, match=r"Unit 'u': .*quer"):
            list(sandbox.evaluate([Unit("u", "", ["a", "b"], queries=queries)]))


def test_units_that_are_not_text_are_refused(sandbox):
    with pytest.raises(TypeError, match="Unit 'u': input 1 is NoneType"):
        list(sandbox.evaluate([Unit("u", "", ["a", None])]))
    with pytest.raises(TypeError, match="one string"):
        list(sandbox.evaluate([Unit("u", "", "abc")]))
    assert run_one(sandbox, "def evaluate(r): return True", "x").outcomes == ("pass",)


@pytest.mark.slow
def test_results_come_in_the_order_of_the_units():
    slow = "def evaluate(r):\n    for _ in range(10**6): pass\n    return True"
    fast = "def evaluate(r): return True"
    units = [Unit(str(n), slow if n % 7 == 0 else fast, ["x"]) for n in range(40)]
    with Sandbox(workers=2) as sandbox:
        results = list(sandbox.evaluate(chain(units)))
    assert [result.id for result in results] == [unit.id for unit in units]
    assert all(result.cpu_s > 0 for result in results)
