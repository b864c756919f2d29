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
from contextlib import suppress
from pathlib import Path

from autoif_assets.sandbox import Limits, Sandbox, Unit
from autoif_assets.sandbox.inside.kernel import NOBODY
from autoif_assets_tests.sandbox.hostile import Attack, attacks

LIMITS = Limits(call_cpu_s=0.1, call_wall_s=0.5, unit_wall_s=5.0, memory_mb=256)
INPUTS = ["a", "b", "ab"]
LAYERS = ("uid", "rlimits", "landlock")  # all that stands between a child and the world but seccomp
# Longer than any attack: what it leaves behind would lie behind the request of one. Runs alone in
# share mode too, where it would keep those around it apart.
MARKERS = "NEIGHBOUR-MARKER" * 1024
HONEST = (
    f'def evaluate(response):\n    "{MARKERS}"\n    return "a" in response\nclass Alone: pass\n'
)
# Neighbours that share a process with whatever may, and can be hurt there.
SHARING = [
    'MARKERS = "NEIGHBOUR-MARKER"\nimport re\ndef evaluate(r): return bool(re.search("a", r))',
    "def evaluate(r):\n    try:\n        return len(bytes(150 << 20)) > 0 and 'a' in r\n"
    "    except Exception:\n        return False",
]


def run(
    families: Collection[str] = (), share: bool = False, without: Collection[str] = ()
) -> list[str]:
    """Problems found; empty when every attack failed and nothing else noticed."""
    problems: list[str] = []
    signals: list[int] = []
    handlers = [signal.signal(n, lambda n, _: signals.append(n)) for n in _SIGNALS]
    os.environ["AUTOIF_SECRET"] = "ENVIRONMENT-MARKER"
    shared_before = shared_memory()
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
    if names := left_behind(shared_before, _owner(without)):
        problems.append(f"shared memory was left behind: {names}")
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        signal.signal(number, handler)
    del os.environ["AUTOIF_SECRET"]
    return problems


_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT)


def _run(sandbox: Sandbox, corpus: list[Attack]) -> list[str]:
    problems = []
    honest = (Unit("honest", HONEST, ["EXPECTED-MARKER a", "b", ""], "g"), ("pass", "fail", "fail"))
    # Two, so that attacks come into either of the worker's slots, after an honest one.
    around = [honest, honest]
    if sandbox.share:
        around[1:] = [(Unit("honest", s, INPUTS, "g"), ("pass", "fail", "pass")) for s in SHARING]
    plan: list[tuple[Unit, tuple[str, ...] | Attack]] = [*around]
    for attack in corpus:
        plan += [(Unit(attack.name, attack.source, INPUTS, group="g"), attack), *around]
    last = ""
    for (_, expected), result in zip(plan, sandbox.evaluate(u for u, _ in plan), strict=True):
        if isinstance(expected, Attack):
            last = expected.name
            if not all(expected.accepts(str(outcome)) for outcome in result.outcomes):
                problems.append(f"{expected.family}: {expected.name}: {result}")
        elif result.outcomes != expected or result.reason:
            problems.append(f"a neighbour of {last!r} got {result}")
    return problems


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def began(pid: int) -> bool:
    """Whether a child was given a request: it confines itself then."""
    return "Seccomp:\t0" not in Path(f"/proc/{pid}/status").read_text()


def _alive(pid: int) -> bool:
    time.sleep(0.05)
    return Path(f"/proc/{pid}").exists()


def shared_memory() -> dict[str, tuple[int, bool]]:
    """Shared memory by name: its owner, and whether a living process that we see uses it."""
    segments = Path("/proc/sysvipc/shm")
    lines = segments.read_text().splitlines()[1:] if segments.exists() else []
    found = {f"segment {line.split()[1]}": line.split() for line in lines}
    named = {name: (int(fields[7]), fields[6] != "0") for name, fields in found.items()}
    used = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            used.update(line.split()[-1] for line in maps.read_text().splitlines())
    for entry in Path("/dev/shm").iterdir():
        with suppress(FileNotFoundError):
            named[entry.name] = (entry.stat().st_uid, str(entry) in used)
    return named


def _owner(without: Collection[str]) -> int:
    """Whose rights a verifier has."""
    return NOBODY if os.geteuid() == 0 and "uid" not in without else os.geteuid()


def left_behind(before: Collection[str], owner: int) -> list[str]:
    """New shared memory of a user that no process uses: neighbours have theirs at the same time."""
    return [
        name
        for name, (uid, used) in shared_memory().items()
        if name not in before and uid == owner and not used
    ]


if __name__ == "__main__":
    without = LAYERS if "seccomp" in sys.argv else ()
    print(json.dumps(run(share="share" in sys.argv, without=without)))
