"""The self-test: a confined child tries what must not work.

Each probe makes one system call and knows its number on both architectures. It counts as
denied only with EPERM or ENOSYS: any other answer means the kernel looked at the arguments.
"""

import ctypes
import os
from collections.abc import Callable
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE

from autoif_assets.sandbox.inside import kernel

# name: (x86_64, aarch64)
_NUMBERS = {
    "openat": (257, 56), "open": (2, -1), "creat": (85, -1), "openat2": (437, 437),
    "read": (0, 63), "write": (1, 64), "readlinkat": (267, 78), "newfstatat": (262, 79),
    "unlinkat": (263, 35), "mkdirat": (258, 34), "chdir": (80, 49), "socket": (41, 198),
    "socketpair": (53, 199), "connect": (42, 203), "sendto": (44, 206), "clone": (56, 220),
    "fork": (57, -1), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tgkill": (234, 131), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "pidfd_open": (434, 434), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "memfd_create": (319, 279), "shmget": (29, 194),
    "shmat": (30, 196), "mq_open": (180, 180), "pipe2": (293, 59), "eventfd2": (290, 19),
    "prctl": (157, 167), "seccomp": (317, 277), "bpf": (321, 280), "io_uring_setup": (425, 425),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "chroot": (161, 51),
    "setuid": (105, 146), "prlimit64": (302, 261), "setitimer": (38, 103),
    "timer_create": (222, 107), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "setsid": (112, 157), "setpgid": (109, 154), "sched_setaffinity": (203, 122),
    "nanosleep": (35, 101), "getppid": (110, 173), "ioctl": (16, 29), "fcntl": (72, 25),
    "dup": (32, 23), "init_module": (175, 105), "reboot": (169, 142), "uname": (63, 160),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "syslog": (103, 116),
    "personality": (135, 92), "remap_file_pages": (216, 234), "pkey_mprotect": (329, 288),
}  # fmt: skip


def _number(name: str) -> int:
    return _NUMBERS[name][0 if os.uname().machine == "x86_64" else 1]


def _answers(name: str, *args: int) -> Callable[[], bool]:
    nr = _number(name)

    def probe() -> bool:
        if nr < 0:
            return False
        result, error = kernel.syscall(nr, *args)
        return result != -1 or error not in (kernel.EPERM, kernel.ENOSYS)

    return probe


def _forks(name: str, *args: int) -> Callable[[], bool]:
    nr = _number(name)

    def probe() -> bool:
        if nr < 0:
            return False
        result, _ = kernel.syscall(nr, *args)
        if result == 0:
            os._exit(0)  # the new process
        return result > 0

    return probe


def _maps_code() -> bool:
    prot, flags = PROT_READ | PROT_WRITE | kernel.PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS
    return kernel.syscall(kernel.number("mmap"), 0, 4096, prot, flags, -1, 0)[0] != -1


def _protects_code() -> bool:
    flags = MAP_PRIVATE | MAP_ANONYMOUS
    page, _ = kernel.syscall(kernel.number("mmap"), 0, 4096, PROT_READ | PROT_WRITE, flags, -1, 0)
    prot = PROT_READ | kernel.PROT_EXEC
    return page == -1 or kernel.syscall(kernel.number("mprotect"), page, 4096, prot)[0] != -1


def _clone3() -> bool:
    result, error = kernel.syscall(kernel.number("clone3"), 0, 0)
    return result != -1 or error != kernel.ENOSYS


_keep = ctypes.create_string_buffer(b"/\0")
_root = ctypes.addressof(_keep)
_SIGCHLD = 17


def probes(parent: int) -> dict[str, Callable[[], bool]]:
    """Probe by name; each returns True if the forbidden act worked.

    Args:
        parent: Process id to aim signals at.
    """
    tests: dict[str, Callable[[], bool]] = {
        "map executable memory": _maps_code,
        "make memory executable": _protects_code,
        "clone3": _clone3,
        "fork": _forks("fork"),
        "clone": _forks("clone", _SIGCHLD, 0, 0, 0, 0),
        "open a file": _answers("openat", -100, _root, 0, 0),
        "open a file (old call)": _answers("open", _root, 0, 0),
        "signal the parent": _answers("kill", parent, 0),
        "signal everybody": _answers("kill", -1, 0),
        "open a socket": _answers("socket", 2, 1, 0),
        "open a local socket": _answers("socket", 1, 1, 0),
        "stop the CPU clock": _answers("setitimer", 2, 0, 0),
        "raise a limit": _answers("prlimit64", 0, 7, 0, _root),
    }
    # The first argument makes the call harmless where it is not denied.
    tests["seccomp"] = _answers("seccomp", 2, 0, 0)
    tests["ptrace"] = _answers("ptrace", 2, 0, 0, 0)
    used = {"fork", "clone", "openat", "open", "kill", "socket", "setitimer", "prlimit64"}
    simple = set(_NUMBERS) - used - set(tests)
    tests.update((name, _answers(name, 0, 0, 0, 0, 0)) for name in sorted(simple))
    return tests
