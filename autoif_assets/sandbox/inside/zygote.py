"""The zygote: one per worker, forks a confined child per request and watches it.

It never parses or runs untrusted source and reads only the lengths of what a request holds; its
memory holds nothing that a child of another request could find.
"""

import json
import math
import mmap
import os
import signal
import socket
import sys
import time
from typing import Any, NamedTuple, NoReturn

from autoif_assets.sandbox.inside import kernel, modules, probes, warm, wire
from autoif_assets.sandbox.inside.runner import TICKS, Clock, Request, Settings, run_child

LOOK_S = 0.05  # the watchdog looks this often
_STARVED = 0.02  # a call that waits uses less than this share of the CPU


class End(NamedTuple):
    """How a child ended: clean or not, why, and its CPU seconds."""

    clean: bool
    code: int
    detail: str
    cpu_s: float


class Zygote:
    """Serves one socket until it closes."""

    def __init__(self, control: socket.socket, config: dict[str, Any]) -> None:
        self.control = control
        self.files: list[int] = config["files"]
        self.parent = os.getppid()
        self.call_cpu_s = float(config["call_cpu_s"])
        self.call_wall_s = float(config["call_wall_s"])
        self.unit_wall_s = float(config["unit_wall_s"])
        self.strikes = int(config["strikes"])
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD})
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        modules.preload(config["modules"], config["path"])
        self.seccomp = "left out" if "seccomp" in config["without"] else "on"
        self.layers = kernel.lock_zygote(config["memory_mb"], config["without"])
        if self.seccomp == "on":
            self.seccomp = self._try_seccomp()
        self.layers["seccomp"] = self.seccomp
        self.settings = Settings(
            clock=Clock(),
            builtins=modules.verifier_builtins((*modules.STANDARD, *config["modules"])),
            lock=self._lock(self.seccomp == "on"),
            strikes=self.strikes,
            repeats=config["repeats"],
            coerce_strings=config["coerce_strings"],
        )

    def _lock(self, seccomp: bool) -> kernel.ChildLock:
        cpu_s = math.ceil(self.unit_wall_s) + 1
        return kernel.ChildLock(cpu_s, self.call_cpu_s / TICKS, seccomp)

    # --- self-test -----------------------------------------------------------------------

    def _try_seccomp(self) -> str:
        lock = self._lock(seccomp=True)
        pid = os.fork()
        if pid == 0:
            try:
                lock.enter()
            except OSError:
                os._exit(1)
            os._exit(0)
        if os.waitpid(pid, 0)[1] == 0:
            return "on"
        return "unavailable: the kernel refuses the filter"

    def self_test(self) -> dict[str, bool]:
        """Probe by name: True if a confined child could do it."""
        tests = probes.probes(self.parent)
        with mmap.mmap(-1, len(tests) + 1) as area:
            pid = os.fork()
            if pid == 0:
                self._probe(area, list(tests.values()))
            end = self._watch(pid, area, wire.Layout(1, 1), time.monotonic())
            if not end.clean:
                raise RuntimeError(f"the self-test ended with: {end.detail}")
            return {name: area[index + 1] != 1 for index, name in enumerate(tests)}

    def _probe(self, area: mmap.mmap, tests: list[Any]) -> NoReturn:
        try:
            self.settings.lock.enter()
            for index, test in enumerate(tests):
                area[index + 1] = 2 if test() else 1
            area[0] = wire.DONE
            os._exit(0)
        except BaseException:
            os._exit(3)

    # --- requests ------------------------------------------------------------------------

    def serve(self) -> None:
        """Answer requests in order until the parent is gone."""
        while True:
            head = self._receive(wire.REQUEST.size)
            slot, size, sources, inputs = wire.REQUEST.unpack(head)
            self.control.sendall(self._request(self.files[slot], size, sources, inputs))

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.control.recv(size - len(data))
            if not part:
                os._exit(0)
            data += part
        return data

    def _request(self, fd: int, size: int, sources: int, inputs: int) -> bytes:
        layout = wire.Layout(sources, inputs)
        with mmap.mmap(-1, layout.size) as area:
            try:
                # Private: what a child does to it reaches neither the file nor another child.
                data = mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ)
            except OSError:
                clean, cpu_s = False, 0.0
                layout.fill(area, 0, wire.MEMORY, "the inputs do not fit")
            else:
                with data:
                    clean, cpu_s = self._run(Request(data, *wire.places(data)), area, layout)
            body = wire.collect(area, layout)
        return wire.REPLY.pack(clean, round(cpu_s * 1e6), len(body)) + body

    def _run(self, request: Request, area: mmap.mmap, layout: wire.Layout) -> tuple[bool, float]:
        """Fork children until every cell is filled; returns clean end and CPU seconds."""
        cpu_s, began, first, struck = 0.0, time.monotonic(), 0, 0
        while True:
            pid = os.fork()
            if pid == 0:
                run_child(self.settings, request, area, layout, first, struck)
            end = self._watch(pid, area, layout, began)
            cpu_s += end.cpu_s
            if end.clean:
                return not struck, cpu_s
            struck += 1
            if layout.sources > 1:
                return False, cpu_s  # share mode: the parent runs each alone
            first = self._unclean(area, layout, end, struck, began)
            if first >= layout.inputs:
                return False, cpu_s

    def _unclean(
        self, area: mmap.mmap, layout: wire.Layout, end: End, struck: int, began: float
    ) -> int:
        """Fill in what a dead child could not; returns the input to go on with."""
        phase = area[0]
        area[0] = wire.STARTING
        if phase == wire.REPEATING:
            area[layout.flags] = 1  # the first time it did return
            return layout.cells
        if phase == wire.LOADING:
            return layout.fill(area, 0, wire.LOAD_ERROR, wire.LOAD_WORDS[end.code])
        at = area.find(bytes([wire.RUNNING]), layout.status, layout.details)
        if phase != wire.CALLING or at < 0:
            return layout.fill(area, 0, end.code, end.detail)
        cell = at - layout.status
        layout.put(area, cell, end.code, end.detail)
        if struck >= self.strikes or time.monotonic() - began > self.unit_wall_s:
            return layout.fill(area, cell + 1, wire.SKIPPED, wire.STRUCK)
        return cell + 1

    # --- watchdog ------------------------------------------------------------------------

    def _watch(self, pid: int, area: mmap.mmap, layout: wire.Layout, began: float) -> End:
        """Wait for a child, killing it at its limits."""
        reason = ""
        clock = (~pid << 3) | 2  # the child's CPU clock, as clock_getcpuclockid computes it
        call, call_began, call_cpu = (-1, -1), began, 0.0
        while True:
            signal.sigtimedwait({signal.SIGCHLD}, LOOK_S)
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                return _end(area[0], status, reason, usage.ru_utime + usage.ru_stime)
            if os.getppid() != self.parent:
                os.kill(pid, signal.SIGKILL)
                os._exit(0)
            now, cpu, phase = time.monotonic(), time.clock_gettime(clock), area[0]
            running = (phase, area.rfind(bytes([wire.RUNNING]), layout.status, layout.details))
            if running != call:
                call, call_began, call_cpu = running, now, cpu
            used, waited = cpu - call_cpu, now - call_began
            calls = self.settings.repeats + 1 if phase == wire.REPEATING else 1
            if used > 2 * self.call_cpu_s * calls:
                reason = "CPU time, ignored the clock"
            elif waited > self.call_wall_s and used < _STARVED * waited:
                reason = "waits"
            elif now - began > self.unit_wall_s:
                reason = "unit wall time"
            if reason:
                os.kill(pid, signal.SIGKILL)


def _end(phase: int, status: int, reason: str, cpu_s: float) -> End:
    code = os.waitstatus_to_exitcode(status)
    if reason:
        return End(False, wire.TIMEOUT, reason, cpu_s)
    if code == 0 and phase == wire.DONE:
        return End(True, 0, "", cpu_s)
    if code == 4 and phase == wire.STARTING:
        return End(False, wire.MEMORY, "the inputs do not fit", cpu_s)
    if code == -signal.SIGXCPU:
        return End(False, wire.TIMEOUT, "CPU time of the unit", cpu_s)
    if code == -signal.SIGKILL:
        return End(False, wire.MEMORY, "killed by the kernel, most likely out of memory", cpu_s)
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return End(False, wire.CRASH, how, cpu_s)


def main() -> None:
    """Entry point of the zygote process: `… <control fd> <config as JSON>`."""
    control = socket.socket(fileno=int(sys.argv[-2]))
    try:
        zygote = Zygote(control, json.loads(sys.argv[-1]))
        report: dict[str, Any] = {"layers": zygote.layers, "probes": zygote.self_test()}
    except BaseException as error:
        report = {"error": f"{type(error).__name__}: {error}"}
    line = json.dumps(report).encode()
    control.sendall(len(line).to_bytes(4, "little") + line)
    if "error" in report:
        return
    warm.prepare(zygote.settings)
    zygote.serve()
