"""Workers that die, callers that stop early, parents that are killed; nothing may remain."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from autoif_assets.sandbox import Limits, Sandbox, SandboxUnavailable, Unit
from autoif_assets_tests.sandbox.corpus import began, children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
ROOT = Path(__file__).resolve().parents[2]
GOOD = "def evaluate(r): return 'a' in r"
LOOP = "def evaluate(r):\n    while True: pass"


def gone(pid):
    """True once no process (a zombie counts as none) has this id."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def open_files(pid):
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_units_are_taken_as_they_are_needed():
    taken = []

    def units():
        for number in itertools.count():
            taken.append(number)
            yield Unit(str(number), GOOD, ["a"])

    with Sandbox(workers=1) as sandbox:
        for result in itertools.islice(sandbox.evaluate(units()), 20):
            assert result.outcomes == ("pass",)
    assert len(taken) < 40


def test_stopping_early_leaves_the_sandbox_usable():
    with Sandbox(workers=2) as sandbox:
        for _ in range(3):
            stream = sandbox.evaluate(Unit(str(n), GOOD, ["a"]) for n in range(100))
            next(stream)
            stream.close()
        (result,) = sandbox.evaluate([Unit("x", GOOD, ["b"])])
        assert result.outcomes == ("fail",)


def test_an_error_in_the_units_passes_through():
    def units():
        yield Unit("1", GOOD, ["a"])
        raise KeyError("mine")

    with Sandbox(workers=1) as sandbox:
        with pytest.raises(KeyError, match="mine"):
            list(sandbox.evaluate(units()))
        assert len(list(sandbox.evaluate([Unit("1", GOOD, ["a"])]))) == 1


def test_one_evaluate_at_a_time():
    with Sandbox(workers=1) as sandbox:
        stream = sandbox.evaluate(Unit(str(n), GOOD, ["a"]) for n in range(9))
        next(stream)
        with pytest.raises(RuntimeError, match="second Sandbox"):
            next(sandbox.evaluate([Unit("x", GOOD, ["a"])]))
        assert len(list(stream)) == 8


def test_unopened_sandbox_says_so():
    with pytest.raises(RuntimeError, match="with Sandbox"):
        next(Sandbox().evaluate([]))


def test_a_killed_worker_is_replaced_and_its_unit_retried():
    with Sandbox(workers=2) as sandbox:
        victims = []

        def units():
            for number in range(30):
                if number == 10:
                    victim = sandbox._workers[0].process.pid
                    victims.append(victim)
                    os.kill(victim, signal.SIGKILL)
                yield Unit(str(number), GOOD, ["a", "b"])

        # Once each: on a slow machine the same unit would be under way at both, and given up.
        for _ in range(2):
            results = list(sandbox.evaluate(units()))
            assert [result.outcomes for result in results] == [("pass", "fail")] * 30
        assert len(set(victims)) == 2
        assert all(worker.process.pid not in victims for worker in sandbox._workers)


@pytest.mark.slow
def test_what_few_need_is_loaded_in_a_worker_of_its_own():
    rare = "import hashlib\ndef evaluate(r): return hashlib.md5(r.encode()).hexdigest() > '8'"
    units = [Unit(str(n), rare if n % 3 else GOOD, ["a", "b"]) for n in range(30)]
    with Sandbox(workers=1) as sandbox:
        list(sandbox.evaluate(units[:1]))
        assert [worker.rare for worker in sandbox._workers] == [False]
        for _ in range(2):
            results = list(sandbox.evaluate(units))
            assert [result.id for result in results] == [unit.id for unit in units]
            assert all(outcome.is_verdict for result in results for outcome in result.outcomes)
            assert [worker.rare for worker in sandbox._workers] == [False, True]
            os.kill(sandbox._workers[1].process.pid, signal.SIGKILL)
        stream = sandbox.evaluate(units)
        next(stream)
        next(stream)
        stream.close()
        assert len(list(sandbox.evaluate(units))) == 30
        pids = [worker.process.pid for worker in sandbox._workers]
    assert all(gone(pid) for pid in pids)


def test_who_asks_for_the_other_worker_for_nothing_is_a_crash():
    source = "import enum\ndef evaluate(r): enum.sys.modules['posix']._exit(6)"
    with Sandbox(workers=1) as sandbox:
        for result in sandbox.evaluate([Unit("x", source, ["a", "b"])] * 2):
            assert result.outcomes == ("crash", "crash")


def test_a_unit_that_kills_its_workers_is_given_up(monkeypatch):
    with Sandbox(workers=1, limits=Limits(call_cpu_s=5.0)) as sandbox:
        stop = threading.Event()

        def killer():
            while not stop.is_set():
                time.sleep(0.1)
                for worker in list(sandbox._workers):
                    if worker.waiting and worker.process.returncode is None:
                        os.kill(worker.process.pid, signal.SIGKILL)

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            (result,) = sandbox.evaluate([Unit("x", LOOP, ["a", "b"])])
        finally:
            stop.set()
            thread.join()
    assert result.outcomes == ("crash", "crash")
    assert "died twice" in result.details[0]


def test_usable_from_a_thread_that_ends():
    opened = []
    thread = threading.Thread(target=lambda: opened.append(Sandbox(workers=1).__enter__()))
    thread.start()
    thread.join()
    (sandbox,) = opened
    time.sleep(0.2)
    (result,) = sandbox.evaluate([Unit("x", GOOD, ["a"])])
    sandbox.close()
    assert result.outcomes == ("pass",)


def test_closing_leaves_no_process_and_no_descriptor():
    descriptors = open_files("self")
    with Sandbox(workers=2) as sandbox:
        list(sandbox.evaluate(Unit(str(n), GOOD, ["a"]) for n in range(9)))
        pids = [worker.process.pid for worker in sandbox._workers]
    assert all(gone(pid) for pid in pids)
    assert open_files("self") == descriptors


_SCRIPT = """
    import signal, sys
    from autoif_assets.sandbox import Limits, Sandbox, SandboxUnavailable, Unit
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
    with Sandbox(workers=1, limits=Limits(call_cpu_s=60.0)) as sandbox:
        print(sandbox._workers[0].process.pid, flush=True)
        try:
            list(sandbox.evaluate([Unit("x", {loop!r}, ["a"])]))
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            (result,) = sandbox.evaluate([Unit("x", {good!r}, ["a"])])
            print(*result.outcomes, flush=True)
"""


def start():
    code = textwrap.dedent(_SCRIPT.format(loop=LOOP, good=GOOD))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    worker = int(process.stdout.readline())
    for _ in range(200):
        found = children(worker)
        if any(map(began, found)):
            return process, worker, found
        time.sleep(0.05)
    raise AssertionError("no child began")


@pytest.mark.slow
def test_everything_dies_with_a_killed_parent():
    process, worker, found = start()
    process.kill()
    process.wait()
    assert gone(worker)
    assert all(map(gone, found))


@pytest.mark.slow
def test_the_child_dies_with_a_killed_worker():
    process, worker, found = start()
    os.kill(worker, signal.SIGKILL)
    assert all(map(gone, found))
    process.kill()
    process.wait()


def test_a_waiting_child_that_is_killed_costs_nobody_a_verdict(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    with Sandbox(workers=1) as sandbox:
        worker = sandbox._workers[0].process.pid
        for _ in range(50):
            (result,) = sandbox.evaluate([Unit("x", GOOD, ["a"])])
            assert result.outcomes == ("pass",)
            (child,) = children(worker)
            os.kill(child, signal.SIGKILL)
        assert sandbox._workers[0].process.pid == worker


@pytest.mark.slow
def test_ctrl_c_stops_the_unit_and_leaves_the_sandbox_usable():
    process, worker, found = start()
    process.send_signal(signal.SIGINT)
    output = process.stdout.read()
    assert process.wait() == 0
    assert output == b"interrupted\npass\n"
    assert gone(worker)
    assert all(map(gone, found))


@pytest.mark.long
def test_soak_of_5000_units_grows_nothing():
    hostile = ["def evaluate(r): return 1 / 0", "import os", "def evaluate(r): return 'x' * 10**10"]
    sources = [GOOD] * 7 + hostile

    def usage(sandbox):
        pids = [os.getpid(), *(worker.process.pid for worker in sandbox._workers)]
        fds = [open_files(pid) for pid in pids]
        kilobytes = []
        for pid in pids:
            text = Path(f"/proc/{pid}/status").read_text()
            kilobytes.append(int(text.partition("VmRSS:")[2].split()[0]))
        return fds, kilobytes, [len(children(pid)) for pid in pids[1:]]

    def run(sandbox, count):
        texts = [f"{'a' * (n % 3)} {n}" for n in range(16)]
        units = (Unit(str(n), sources[n % len(sources)], texts) for n in range(count))
        return sum(1 for _ in sandbox.evaluate(units))

    with Sandbox(workers=2) as sandbox:
        run(sandbox, 500)
        fds, kilobytes, waiting = usage(sandbox)
        assert run(sandbox, 5000) == 5000
        fds_after, kilobytes_after, waiting_after = usage(sandbox)
    assert fds_after == fds
    assert waiting_after == waiting
    assert max(waiting) <= 1
    for before, after in zip(kilobytes, kilobytes_after, strict=True):
        assert after - before < 2048, (kilobytes, kilobytes_after)


@pytest.mark.slow
def test_a_sandbox_whose_workers_all_die_is_no_crash_of_every_verifier():
    with Sandbox(workers=1) as sandbox:
        start = sandbox._start

        def short_lived():
            worker = start()
            os.kill(worker.process.pid, signal.SIGKILL)
            return worker

        sandbox._start = short_lived
        os.kill(sandbox._workers[0].process.pid, signal.SIGKILL)
        with pytest.raises(SandboxUnavailable, match="one after the other"):
            list(sandbox.evaluate(Unit(str(n), GOOD, ["a"]) for n in range(50)))
