"""Runs the hostile corpus between honest verifiers and looks for what got out.

`python -m autoif_assets_tests.sandbox.corpus [share] [seccomp]` prints the problems as JSON, for
runs under another user id.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from autoif_assets.sandbox import Limits, Sandbox, Unit
from autoif_assets_tests.sandbox.hostile import Attack, attacks

LIMITS = Limits(call_cpu_s=0.1, call_wall_s=0.5, unit_wall_s=5.0, memory_mb=256)
LAYERS = ("uid", "rlimits", "landlock")  # all that stands between a child and the world but seccomp
HONEST = 'def evaluate(response):\n    "NEIGHBOUR-MARKER"\n    return "a" in response\n'


def run(
    families: Collection[str] = (), share: bool = False, without: Collection[str] = ()
) -> list[str]:
    """Problems found; empty when every attack failed and nothing else noticed."""
    problems: list[str] = []
    signals: list[int] = []
    handlers = [signal.signal(n, lambda n, _: signals.append(n)) for n in _SIGNALS]
    os.environ["AUTOIF_SECRET"] = "ENVIRONMENT-MARKER"
    shared_before = _shared_memory()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        Path(folder).chmod(0o777)
        target = Path(folder) / "canary"
        server.setblocking(False)
        corpus = attacks(str(target), server.getsockname()[1], os.getpid())
        corpus = [one for one in corpus if not families or one.family in families]
        with Sandbox(workers=1, limits=LIMITS, share=share, without=without) as sandbox:
            worker = sandbox._workers[0].process.pid
            problems += _run(sandbox, corpus)
            if sandbox._workers[0].process.pid != worker:
                problems.append("the worker was replaced")
            left = children(worker)
            if any(map(began, left)) or len(left) > 1:
                problems.append("the worker has other children than the one that waits")
        if target.exists() or target.is_symlink():
            problems.append("a file was created")
        try:
            server.accept()
            problems.append("a connection was made")
        except BlockingIOError:
            pass
    if signals:
        problems.append(f"signals reached the parent: {signals}")
    if _alive(worker):
        problems.append("the worker outlived the sandbox")
    if _shared_memory() != shared_before:
        problems.append("shared memory was left behind")
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        signal.signal(number, handler)
    del os.environ["AUTOIF_SECRET"]
    return problems


_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT)


def _run(sandbox: Sandbox, corpus: list[Attack]) -> list[str]:
    problems = []
    honest = Unit("honest", HONEST, ["EXPECTED-MARKER a", "b", ""], group="g")
    units = [honest]
    for attack in corpus:
        units += [Unit(attack.name, attack.source, ["a", "b", "ab"], group="g"), honest]
    results = list(sandbox.evaluate(units))
    for index, result in enumerate(results):
        if index % 2 == 0:
            if result.outcomes != ("pass", "fail", "fail") or result.reason:
                neighbour = corpus[max(0, index // 2 - 1)]
                problems.append(f"a neighbour of {neighbour.name!r} got {result}")
        else:
            attack = corpus[index // 2]
            if not all(attack.accepts(str(outcome)) for outcome in result.outcomes):
                problems.append(f"{attack.family}: {attack.name}: {result}")
    return problems


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def began(pid: int) -> bool:
    """Whether a child was given a request: it confines itself then."""
    return "Seccomp:\t0" not in Path(f"/proc/{pid}/status").read_text()


def _alive(pid: int) -> bool:
    time.sleep(0.05)
    return Path(f"/proc/{pid}").exists()


def _shared_memory() -> tuple[str, list[str]]:
    segments = Path("/proc/sysvipc/shm")
    text = segments.read_text() if segments.exists() else ""
    return text, sorted(entry.name for entry in Path("/dev/shm").iterdir())


if __name__ == "__main__":
    without = LAYERS if "seccomp" in sys.argv else ()
    print(json.dumps(run(share="share" in sys.argv, without=without)))
