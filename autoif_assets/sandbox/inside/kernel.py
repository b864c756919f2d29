"""The confinement itself: Linux calls made through ctypes and libc, without privileges.

Two steps, each layer tried on its own:

1. `lock_zygote`, once per worker: leave root, no new privileges, Landlock without a single
   rule (no path can be opened, no TCP, no signals to outside), no core dumps, no file writes,
   few descriptors, bounded memory. Children inherit all of it.
2. `ChildLock`, in every child before it sees a byte of untrusted source: die with the zygote,
   no descriptors at all, no processes, bounded CPU, and the seccomp allow-list: the child can
   compute, manage its own memory, read clocks and exit.
"""

import ctypes
import os
import resource
import signal
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

EPERM, ENOSYS = 1, 38
PROT_EXEC = 4

# The same numbers on both architectures from 424 on.
_COMMON = {"clone3": 435, "close_range": 436}
_SYSCALLS = {
    "x86_64": {
        "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "mremap": 25, "madvise": 28,
        "rt_sigreturn": 15, "restart_syscall": 219, "sched_yield": 24, "futex": 202,
        "clock_gettime": 228, "clock_getres": 229, "gettimeofday": 96, "time": 201,
        "getrandom": 318, "gettid": 186, "exit": 60, "exit_group": 231, "seccomp": 317,
        "prctl": 157, "setitimer": 38, "prlimit64": 302,
    },
    "aarch64": {
        "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "mremap": 216, "madvise": 233,
        "rt_sigreturn": 139, "restart_syscall": 128, "sched_yield": 124, "futex": 98,
        "clock_gettime": 113, "clock_getres": 114, "gettimeofday": 169,
        "getrandom": 278, "gettid": 178, "exit": 93, "exit_group": 94, "seccomp": 277,
        "prctl": 167, "setitimer": 103, "prlimit64": 261,
    },
}  # fmt: skip
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Allowed whatever the arguments, the most frequent first; mmap and mprotect are allowed
# without PROT_EXEC.
_ALLOWED = (
    "munmap", "brk", "madvise", "mremap", "futex", "clock_gettime", "getrandom", "rt_sigreturn",
    "exit_group", "exit", "gettimeofday", "time", "clock_getres", "sched_yield", "gettid",
    "restart_syscall",
)  # fmt: skip

_MACHINE = os.uname().machine


def number(name: str) -> int:
    """A system call's number on this machine, or -1."""
    return _COMMON.get(name) or _SYSCALLS[_MACHINE].get(name, -1)


def syscall(nr: int, *args: int) -> tuple[int, int]:
    """Make a system call; returns (result, errno)."""
    ctypes.set_errno(0)
    result = _libc.syscall(*(ctypes.c_long(arg) for arg in (nr, *args)))
    return result, ctypes.get_errno()


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


# --- seccomp -------------------------------------------------------------------------------

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_OFFSET_NR, _OFFSET_ARCH, _OFFSET_ARG2 = 0, 4, 32  # low half of the third argument


def seccomp_program() -> bytes:
    """The filter as BPF instructions.

    Rules jump forward to one of the labels at the end; a jump counts the instructions it skips.
    """
    rules: list[tuple[int, int, str, str]] = [(_LD, _OFFSET_ARCH, "", "")]
    rules.append((_JEQ, _AUDIT_ARCH[_MACHINE], "", "kill"))
    rules.append((_LD, _OFFSET_NR, "", ""))
    if _MACHINE == "x86_64":
        rules.append((_JGE, 0x40000000, "kill", ""))  # the x32 numbers
    rules += [(_JEQ, number(name), "protection", "") for name in ("mmap", "mprotect")]
    rules += [(_JEQ, number(name), "allow", "") for name in _ALLOWED if number(name) >= 0]
    # libc falls back to clone, which then gets EPERM.
    rules.append((_JEQ, number("clone3"), "enosys", "eperm"))
    end = {
        "protection": [(_LD, _OFFSET_ARG2), (_JSET, PROT_EXEC)],
        "allow": [(_RET, _ALLOW)],
        "eperm": [(_RET, _ERRNO | EPERM)],
        "enosys": [(_RET, _ERRNO | ENOSYS)],
        "kill": [(_RET, _KILL)],
    }
    labels, at = {"": 0}, len(rules)
    for label, body in end.items():
        labels[label] = at
        at += len(body)
    program = b""
    for index, (code, value, yes, no) in enumerate(rules):
        skip = [labels[label] - index - 1 if label else 0 for label in (yes, no)]
        program += struct.pack("HBBI", code, *skip, value)
    for label, body in end.items():
        for code, value in body:
            # The only jump here: PROT_EXEC set goes on to "eperm", else to "allow".
            skip = [1, 0] if label == "protection" and code == _JSET else [0, 0]
            program += struct.pack("HBBI", code, *skip, value)
    return program


# --- Landlock ------------------------------------------------------------------------------

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446


def landlock() -> str:
    """Forbid every file, TCP and signal operation this kernel's Landlock knows of.

    No rule is added, so nothing handled stays allowed: all modules are imported by now.

    Returns:
        The Landlock version, e.g. "abi 6".
    """
    abi, error = syscall(_LANDLOCK_CREATE, 0, 0, 1)
    if abi < 1:
        raise OSError(error, os.strerror(error))
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    network = 3 if abi >= 4 else 0
    scopes = 3 if abi >= 6 else 0
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = ctypes.create_string_buffer(struct.pack("QQQ", files, network, scopes))
    fd, error = syscall(_LANDLOCK_CREATE, ctypes.addressof(rules), size, 0)
    if fd < 0:
        raise OSError(error, os.strerror(error))
    try:
        result, error = syscall(_LANDLOCK_RESTRICT, fd, 0)
    finally:
        os.close(fd)
    if result != 0:
        raise OSError(error, os.strerror(error))
    return f"abi {abi}"


# --- the two steps -------------------------------------------------------------------------

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
NOBODY = 65534


def _leave_root() -> str:
    if os.geteuid() != 0:
        return f"uid {os.geteuid()}"
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    return f"uid {NOBODY}"


def _no_new_privileges() -> str:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "on"


def _limit_resources(memory_mb: int) -> str:
    # 0: dumps and /proc/<pid> belong to root whatever the uid.
    _prctl(_PR_SET_DUMPABLE, 0)
    with open("/proc/self/statm") as file:  # noqa: PTH123  pathlib would make every fork dearer
        used = int(file.read().split()[0]) * resource.getpagesize()
    for which, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_AS, used + (memory_mb << 20)),
    ):
        resource.setrlimit(which, (value, value))
    return "on"


def lock_zygote(memory_mb: int, without: list[str]) -> dict[str, str]:
    """Take the layers that children inherit; returns layer → state ("unavailable: …" if not)."""
    layers = {}
    for name, take in (
        ("uid", _leave_root),
        ("rlimits", lambda: _limit_resources(memory_mb)),
        ("no_new_privs", _no_new_privileges),
        ("landlock", landlock),
    ):
        if name in without:
            layers[name] = "left out"
            continue
        try:
            layers[name] = take()
        except OSError as error:
            layers[name] = f"unavailable: {error}"
    return layers


class ChildLock:
    """The second step, prepared once in the zygote as plain system calls.

    Args:
        cpu_s: CPU seconds after which the kernel ends a child.
        tick_s: CPU seconds between two signals SIGPROF.
        seccomp: Whether to install the filter.
    """

    def __init__(self, cpu_s: int, tick_s: float, seccomp: bool) -> None:
        self.zygote = os.getpid()
        self._memory: list[ctypes.Array[ctypes.c_char]] = []  # what the pointers point to
        tick = divmod(max(1, round(tick_s * 1e6)), 1_000_000)
        # Soft before hard: SIGXCPU tells a CPU limit from the kernel's out-of-memory SIGKILL.
        cpu, none = struct.pack("QQ", cpu_s, cpu_s + 1), struct.pack("QQ", 0, 0)
        self._calls = [
            self._call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
            self._call("setitimer", 2, self._at(struct.pack("qqqq", *tick, *tick)), 0),
            self._call("prlimit64", 0, resource.RLIMIT_CPU, self._at(cpu), 0),
            self._call("prlimit64", 0, resource.RLIMIT_NPROC, self._at(none), 0),
        ]
        self._close = self._call("close_range", 0, 0xFFFFFFFF, 0)
        self._filter = self.filter_call() if seccomp else None

    def _at(self, data: bytes) -> int:
        self._memory.append(ctypes.create_string_buffer(data, len(data)))
        return ctypes.addressof(self._memory[-1])

    @staticmethod
    def _call(name: str, *args: int) -> tuple[ctypes.c_long, ...]:
        return tuple(ctypes.c_long(arg) for arg in (number(name), *args))

    def filter_call(self) -> tuple[ctypes.c_long, ...]:
        """The system call that installs the seccomp filter."""
        program = seccomp_program()
        header = struct.pack("HP", len(program) // 8, self._at(program))
        return self._call("seccomp", 1, 0, self._at(header))

    def begin(self) -> None:
        """All of the step that leaves descriptors open; raises OSError if any of it is refused."""
        for args in self._calls:
            if _libc.syscall(*args):
                raise OSError
        if os.getppid() != self.zygote:
            raise OSError  # the zygote died before the first call

    def enter(self) -> None:
        """The rest: confined for good; raises OSError if it is refused."""
        call = _libc.syscall
        if call(*self._close):
            os.closerange(0, 1024)  # Linux before 5.9
        if self._filter is not None and call(*self._filter):
            raise OSError

    def warm_up(self) -> None:
        """Go through the step in the zygote with calls that do nothing, to fill its caches."""
        real = self._calls, self._close, self._filter, self.zygote
        nothing = self._call("sched_yield")
        self._calls, self._close, self._filter = [nothing] * len(self._calls), nothing, nothing
        self.zygote = os.getppid()
        for _ in range(16):
            self.begin()
            self.enter()
        self._calls, self._close, self._filter, self.zygote = real
