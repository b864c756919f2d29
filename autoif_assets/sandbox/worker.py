"""The parent's end of one zygote: start it, hand it requests, take its answers, replace it."""

import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.types import SandboxUnavailable

SLOTS = 2  # requests a worker holds: one running, one waiting
_KEEP = 1 << 20  # a memory file with more bytes of inputs is emptied once they are done
_START_S = 120.0

# Stands for the package without running its __init__, which would load the parent's side.
_BOOT = """
import sys, types
for name, folder in (("autoif_assets", {top!r}), ("autoif_assets.sandbox", {here!r})):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from autoif_assets.sandbox.inside.zygote import main
main()
"""


class WorkerDied(Exception):
    """The zygote is gone; the requests it had have no result."""


class Worker:
    """One zygote process, which serves once `ready` has returned.

    Attributes:
        waiting: What was sent and not yet answered, oldest first.
        rare: Whether it has loaded what few verifiers need.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.rare: bool = config["rare"]
        self.waiting: deque[tuple[Any, int, int, int]] = deque()
        self._free = list(range(SLOTS))
        self._files = [os.memfd_create(f"request-{slot}") for slot in range(SLOTS)]
        self._inputs: list[bytes | None] = [None] * SLOTS  # in each file now
        self.control, theirs = socket.socketpair()
        here = Path(__file__).parent
        boot = _BOOT.format(top=str(here.parent), here=str(here))
        arguments = [str(theirs.fileno()), json.dumps({**config, "files": self._files})]
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", "-c", boot, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={
                    "PYTHONHASHSEED": "0",
                    "PYTHONUTF8": "1",
                    "LD_BIND_NOW": "1",  # links now, not once more in every child
                    # Numeric libraries the user may allow must not start threads.
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
                cwd="/",
                pass_fds=[theirs.fileno(), *self._files],
                start_new_session=True,  # Ctrl-C reaches the parent only
            )

    def ready(self) -> dict[str, Any]:
        """Wait for what the zygote says of its confinement: `layers` and `probes`.

        Raises:
            SandboxUnavailable: The zygote did not start.
        """
        self.control.settimeout(_START_S)
        try:
            line = self._receive(int.from_bytes(self._receive(4), "little"))
        except (WorkerDied, TimeoutError) as error:
            raise SandboxUnavailable(
                f"The sandbox's process ({sys.executable} -s -S -P) did not start: "
                f"{'no answer' if isinstance(error, TimeoutError) else 'it ended at once'}. "
                "Check that this interpreter runs on its own with an empty environment."
            ) from error
        self.control.settimeout(None)
        report: dict[str, Any] = json.loads(line)
        if "error" in report:
            raise SandboxUnavailable(f"The sandbox's process could not start: {report['error']}")
        return report

    @property
    def free(self) -> bool:
        """Whether another request fits."""
        return bool(self._free)

    def send(
        self, token: Any, sources: Sequence[str], inputs: bytes, count: int, texts: int
    ) -> None:
        """Queue a request of `count` inputs, encoded with their queries as so many texts.

        `token` comes back with its answer.
        """
        slot = self._free.pop()
        self.waiting.append((token, slot, len(sources), count))
        file = self._files[slot]
        head, tail = wire.encode_sources(sources, texts, len(inputs))
        _write(file, head, 0)
        if self._inputs[slot] is not inputs:  # neighbours often have the same ones
            _write(file, inputs, len(head))
            self._inputs[slot] = inputs
        size = len(head) + len(inputs) + len(tail)
        # A child must not find an earlier request behind its own: neither on the last page, for
        # it maps whole pages, nor after it, for it can make its mapping longer.
        _write(file, tail + bytes(-size % mmap.PAGESIZE), len(head) + len(inputs))
        os.ftruncate(file, size + -size % mmap.PAGESIZE)
        with contextlib.suppress(OSError):  # a dead zygote shows when its answer is read
            self.control.sendall(wire.REQUEST.pack(slot, size, len(sources), count))

    def receive(self) -> tuple[Any, bool, float, list[tuple[bool, bytes, list[str]]]]:
        """Token, clean end, CPU seconds and the parts of the oldest request's answer.

        Raises:
            WorkerDied: The zygote ended.
        """
        clean, cpu_us, length = wire.REPLY.unpack(self._receive(wire.REPLY.size))
        body = self._receive(length)
        token, slot, sources, count = self.waiting.popleft()
        inputs = self._inputs[slot]
        if inputs is not None and len(inputs) > _KEEP:
            os.ftruncate(self._files[slot], 0)
            self._inputs[slot] = None
        self._free.append(slot)
        return token, clean, cpu_us / 1e6, wire.split(body, sources, count)

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self.control.recv(size - len(data))
            except ConnectionError as error:
                raise WorkerDied from error
            if not part:
                raise WorkerDied
            data += part
        return bytes(data)

    def kill(self) -> None:
        """End the zygote and whatever it forked."""
        # The zygote leads its own session; its children cannot leave it.
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.control.close()
        for fd in self._files:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._files = []


def _write(fd: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        done = os.pwrite(fd, rest, at)
        rest, at = rest[done:], at + done
