"""Runs a server and leaves nothing of it behind: `python guard.py PARENT COMMAND…`.

vLLM's engine is a process of its own that holds the GPU's memory. This process stands between the
user's and vLLM's: when it is asked to end, when the user's process is gone (kill -9 included) or
when the server ends by itself, it ends everything the server started.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE_S = 20.0


def main() -> int:
    """Run the command until it ends or is to end; return its exit status."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.append(number))
    libc = ctypes.CDLL(None)
    # Whatever loses its parent below here becomes a child of this process.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
    )
    while server.poll() is None and not asked and os.getppid() == parent:
        time.sleep(0.1)
    # vLLM frees the GPU in order when asked; what is left after that is killed.
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(_GRACE_S)
    status = server.poll()
    _kill_children()
    return 128 + signal.SIGKILL if status is None else status if status >= 0 else 128 - status


def _kill_children() -> None:
    """Kill all children, and theirs, which become this process's as their parents go."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def children() -> list[int]:
    """Return the processes that this one is the parent of."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name, in parentheses, may hold blanks; state and parent follow it.
                fields = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.exit(main())
