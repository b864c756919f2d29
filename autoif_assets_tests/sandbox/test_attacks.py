"""The hostile corpus, between honest neighbours, on one worker, at several levels."""

import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from autoif_assets.sandbox import Limits, Outcome, Sandbox, Unit
from autoif_assets_tests.sandbox import corpus
from autoif_assets_tests.sandbox.hostile import attacks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
ROOT = Path(__file__).resolve().parents[2]


def test_corpus_is_large():
    found = attacks("/nowhere", 1, 1)
    assert len(found) >= 80
    assert len({(one.family, one.name) for one in found}) == len(found)
    assert min(Counter(one.family for one in found).values()) >= 8


def test_memory_that_stays_is_seen_and_that_of_neighbours_is_not():
    before = corpus.shared_memory()
    with (
        NamedTemporaryFile(dir="/dev/shm") as stays,
        NamedTemporaryFile(dir="/dev/shm") as used,
    ):
        used.write(b"x")
        used.flush()
        with mmap.mmap(used.fileno(), 1):
            names = {Path(file.name).name for file in (stays, used)}
            left = corpus.left_behind(before, os.geteuid())
            assert names & set(left) == {Path(stays.name).name}
            assert not names & set(corpus.left_behind(before, os.geteuid() + 1))


def test_a_verifier_cannot_change_the_inputs_of_the_next():
    (attack,) = [one for one in attacks("/", 1, 1) if one.name == "rewrites its inputs"]
    inputs = ["a", "b", ""]
    sources = [corpus.HONEST, *[attack.source] * 2, *[corpus.HONEST] * 2]
    with Sandbox(workers=1, repeats=0) as sandbox:
        results = list(sandbox.evaluate(Unit("", source, inputs) for source in sources))
    assert [result.outcomes[0] for result in results] == ["pass"] * 5, results
    assert {result.outcomes for result in (results[0], *results[3:])} == {("pass", "fail", "fail")}


def test_a_verifier_cannot_change_the_modules_of_the_next():
    (attack,) = [one for one in attacks("/", 1, 1) if one.name == "rewrites the modules of others"]
    honest = "import textwrap\ndef evaluate(r): return textwrap.dedent(' a') == r"
    with Sandbox(workers=1, repeats=0) as sandbox:
        units = [Unit("", source, ["a"]) for source in (attack.source, honest, attack.source)]
        assert [result.outcomes for result in sandbox.evaluate(units)] == [("pass",)] * 3


def test_a_verifier_cannot_find_the_results_of_another_that_was_stopped():
    stopped = """
def evaluate(r):
    while r == "hang":
        try:
            while True:
                pass
        except BaseException:
            pass
    raise ValueError("SECRET " + r)
"""
    spy = """
def evaluate(r):
    try:
        raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
    seen = 0
    while frame is not None:
        seen += 1
        for value in frame.f_locals.values():
            if type(value) is bytes and b"SECRET" in value:
                return True
        frame = frame.f_back
    return "" if seen < 5 else False
"""
    with Sandbox(workers=1, limits=corpus.LIMITS) as sandbox:
        units = [Unit("", stopped, ["a", "hang", "b"]), *[Unit("", spy, ["a"])] * 3]
        outcomes = [result.outcomes for result in sandbox.evaluate(units)]
    assert outcomes == [("error", "timeout", "error"), *[("fail",)] * 3]


@pytest.mark.parametrize("family", ["files", "network", "processes", "spying", "kernel"])
def test_quick_families(family):
    assert corpus.run(families=[family]) == []


@pytest.mark.slow
@pytest.mark.parametrize("share", [False, True], ids=["strict", "share"])
def test_all_layers(share):
    assert corpus.run(share=share) == []


@pytest.mark.long
def test_no_core_to_spare(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert corpus.run() == []


@pytest.mark.long
@pytest.mark.parametrize("share", [False, True], ids=["strict", "share"])
def test_seccomp_only(share):
    assert corpus.run(share=share, without=corpus.LAYERS) == []


@pytest.mark.long
# What may not share runs alone in share mode too.
@pytest.mark.parametrize("options", ["", "share", "share seccomp"])
def test_unprivileged_user(options):
    if os.geteuid() != 0:
        pytest.skip("not root: every other test here runs unprivileged already")
    python = _python_for_nobody()
    if python is None:
        pytest.skip("no Python >= 3.11 that user 65534 may execute")
    done = subprocess.run(
        [python, "-m", "autoif_assets_tests.sandbox.corpus", *options.split()],
        cwd=ROOT,
        env={"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"},
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def _python_for_nobody() -> str | None:
    for python in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        check = "import sys; sys.path.insert(0, '.'); import autoif_assets.sandbox"
        try:
            done = subprocess.run(
                [python or "", "-c", check], cwd=ROOT, user=65534, group=65534, capture_output=True
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


def test_attacks_work_where_nothing_confines_them(tmp_path):
    """The corpus can fail: without the layers the harmless ones among the attacks succeed."""
    harmless = {
        "reads passwd", "reads its maps", "writes", "lists", "stat", "access", "memory file",
        "tcp", "udp", "socketpair", "raw system call", "fork", "clone", "thread", "execv_",
        "interrupts the parent", "pidfd", "executable memory", "executable memory by mprotect",
        "eventfd2", "outlives the zygote",
    }  # fmt: skip
    signals = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    target = tmp_path / "canary"
    layers = ("uid", "rlimits", "no_new_privs", "landlock", "seccomp")
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            found = attacks(str(target), server.getsockname()[1], os.getpid())
            units = [Unit(o.name, o.source, ["a"]) for o in found if o.name in harmless]
            with Sandbox(
                workers=1, limits=Limits(), repeats=0, allow_unconfined=True, without=layers
            ) as sandbox:
                assert sandbox.report.level == "none"
                results = {result.id: result for result in sandbox.evaluate(units)}
            server.settimeout(5)
            server.accept()[0].close()
    finally:
        signal.signal(signal.SIGUSR1, before)
    failed = {name: r for name, r in results.items() if r.outcomes != (Outcome.PASS,)}
    # fork and clone: RLIMIT_NPROC is not among the layers and holds for users other than root.
    assert set(failed) <= (set() if os.geteuid() == 0 else {"fork", "clone", "thread"}), failed
    assert target.exists()
    assert signals
