"""The zygote: one per worker, forks a confined child per request and watches it.

Where the machine has a core to spare, each child is forked while the one before it runs, and
waits for its orders. The zygote never opens a request; its memory holds nothing that a child of
another request could find.
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

from autoif_assets.sandbox.inside import kernel, modules, prefork, probes, wire
from autoif_assets.sandbox.inside.runner import START, TICKS, Clock, Orders, Settings, run_child

_WATCHDOG_S = 0.05  # how often the watchdog looks
_WARM_UP_INPUTS = 2  # of a child that waits for its orders
_UNIT_WALL = "unit wall time"
_STARVED = 0.02  # a call that waits uses less than this share of the CPU


class End(NamedTuple):
    """How a child ended: clean or not, why, and its CPU seconds."""

    clean: bool
    code: int
    detail: str
    cpu_s: float


class Child(NamedTuple):
    """A forked process, and the memory it shares with the zygote."""

    pid: int
    area: mmap.mmap


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
        self.ahead = bool(config["ahead"])
        self.spare: Child | None = None  # forked ahead
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD, START})
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        modules.preload(config["modules"], config["path"], config["rare"])
        self.seccomp = "left out" if "seccomp" in config["without"] else "on"
        self.layers = kernel.lock_zygote(config["memory_mb"], config["without"])
        if self.seccomp == "on":
            self.seccomp = self._try_seccomp()
        self.layers["seccomp"] = self.seccomp
        self.settings = Settings(
            clock=Clock(self.call_cpu_s / TICKS),
            builtins=modules.verifier_builtins(
                (*modules.STANDARD, *map(modules.module_name, config["modules"]))
            ),
            lock=self._lock(self.seccomp == "on"),
            memory=config["memory_mb"] << 20,
            strikes=self.strikes,
            repeats=config["repeats"],
            coerce_strings=config["coerce_strings"],
        )
        self.warm_up = prefork.warm_up_run(self.settings, _WARM_UP_INPUTS)

    def _lock(self, seccomp: bool) -> kernel.ChildLock:
        cpu_s = math.ceil(self.unit_wall_s) + 1
        return kernel.ChildLock(cpu_s, self.call_cpu_s / TICKS, seccomp)

    # --- self-test -----------------------------------------------------------------------

    def _try_seccomp(self) -> str:
        lock = self._lock(seccomp=True)
        pid = os.fork()
        if pid == 0:
            try:
                lock.begin()
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
        with mmap.mmap(-1, wire.AREA) as area:
            pid = os.fork()
            if pid == 0:
                self._probe(area, list(tests.values()))
            end = self._watch(pid, area, wire.Layout(1, 1), time.monotonic())
            if not end.clean:
                raise RuntimeError(f"the self-test ended with: {end.detail}")
            return {name: area[index + 1] != 1 for index, name in enumerate(tests)}

    def _probe(self, area: mmap.mmap, tests: list[Any]) -> NoReturn:
        try:
            self.settings.lock.begin()
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
            request = wire.REQUEST.unpack(self._receive(wire.REQUEST.size))
            self.control.sendall(self._answer(*request))

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.control.recv(size - len(data))
            if not part:
                os._exit(0)
            data += part
        return data

    def _answer(self, file: int, size: int, sources: int, inputs: int) -> bytes:
        """Run children until every cell is filled."""
        layout = wire.Layout(sources, inputs)
        cpu_s, began, first, struck, results = 0.0, time.monotonic(), 0, 0, b""
        while True:
            orders = Orders(file, size, sources, inputs, first, struck)
            pid, area = self.spare or (0, mmap.mmap(-1, wire.AREA))
            with area:
                # What the dead child before it found: the answer is read from the last one's.
                area[layout.flags : layout.flags + len(results)] = results
                results = b""  # not to be found by the child that is forked ahead
                if pid:
                    wire.ORDERS.pack_into(area, 1, *orders)
                    os.kill(pid, START)
                else:
                    pid = self._fork(area, orders)
                if self.ahead:
                    # The child of the next request must not find the statuses of this one.
                    area.madvise(mmap.MADV_DONTFORK)
                    after = mmap.mmap(-1, wire.AREA)
                    self.spare = Child(self._fork(after, None), after)
                end = self._watch(pid, area, layout, began, cpu_s)
                cpu_s += end.cpu_s
                struck += not end.clean
                if end.clean or sources > 1:  # share mode: the parent runs each alone
                    first = inputs
                elif end.detail == wire.RARE:
                    first = layout.fill(area, layout.row(0), end.code, end.detail)
                else:
                    first = self._unclean(area, layout, end, first, struck, began)
                if first >= inputs:
                    body = wire.collect(area, layout)
                    return wire.REPLY.pack(not struck, round(cpu_s * 1e6), len(body)) + body
                results = area[layout.flags : layout.size]

    def _fork(self, area: mmap.mmap, orders: Orders | None) -> int:
        pid = os.fork()
        if pid == 0:
            run_child(self.settings, self.files, area, orders, self.warm_up)
        return pid

    def _unclean(
        self, area: mmap.mmap, layout: wire.Layout, end: End, first: int, struck: int, began: float
    ) -> int:
        """Fill in what a dead child of one verifier could not; returns the input to go on with."""
        phase = area[0]
        if phase == wire.STARTING and struck < self.strikes:
            return first  # not the verifier's doing
        if phase == wire.REPEATING:
            if end.detail != _UNIT_WALL:
                area[layout.flags] = 1  # the first time it did return
            return layout.cells
        if phase == wire.LOADING:
            return layout.fill(area, layout.row(0), wire.LOAD_ERROR, wire.LOAD_REASONS[end.code])
        at = area.find(wire.NOT_REACHED, layout.status, layout.details)  # the call that runs
        if phase != wire.CALLING or at < 0:
            return layout.fill(area, layout.row(0), end.code, end.detail)
        cell = at - layout.status
        layout.put(area, cell, end.code, end.detail)
        if struck >= self.strikes or time.monotonic() - began > self.unit_wall_s:
            return layout.fill(area, layout.row(0, cell + 1), wire.SKIPPED, wire.STRUCK)
        return cell + 1

    # --- watchdog ------------------------------------------------------------------------

    def _watch(
        self, pid: int, area: mmap.mmap, layout: wire.Layout, began: float, spent: float = 0.0
    ) -> End:
        """Wait for a child, killing it at its limits.

        Args:
            pid: The child.
            area: The memory it shares with the zygote.
            layout: Of the area.
            began: When the first child of the request was forked.
            spent: CPU seconds of the children before it.
        """
        reason = ""
        clock = (~pid << 3) | 2  # the child's CPU clock, as clock_getcpuclockid computes it
        call, call_began, call_cpu = (-1, -1), began, 0.0
        while True:
            signal.sigtimedwait({signal.SIGCHLD}, _WATCHDOG_S)
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                return _end(area[0], status, reason, usage.ru_utime + usage.ru_stime)
            if os.getppid() != self.parent:  # nobody is left to read the answer
                os.kill(pid, signal.SIGKILL)
                os._exit(0)
            now, cpu, phase = time.monotonic(), time.clock_gettime(clock), area[0]
            running = (phase, area.find(wire.NOT_REACHED, layout.status, layout.details))
            if running != call:  # the next call has its own time
                call, call_began, call_cpu = running, now, cpu
            used, waited = cpu - call_cpu, now - call_began
            # Twice the limit: the clock inside the child comes first, and tells more.
            limit = 2 * self.call_cpu_s
            if phase == wire.REPEATING:
                # These write nothing and so look like one call; all have been made before.
                limit += 2 * (spent + call_cpu)
            if used > limit:
                reason = "CPU time, ignored the clock"
            elif waited > self.call_wall_s and used < _STARVED * waited:
                reason = "waits"
            elif now - began > self.unit_wall_s:
                reason = _UNIT_WALL
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
    if code == modules.RARE_NEEDED:
        return End(False, wire.CRASH, wire.RARE, cpu_s)
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
    prefork.prepare(zygote.settings)
    zygote.serve()
