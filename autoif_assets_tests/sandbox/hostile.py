# ruff: noqa: E501  (one attack per line reads best)
"""Hostile verifiers by family.

Each returns True where its act succeeded, or ends some other way. `PASS` therefore means that
something got out, unless the attack says that it may claim anything about itself.
"""

from dataclasses import dataclass

# How an attacker gets at the modules that `import` refuses: through one that is allowed.
PRELUDE = """
import enum
S = enum.sys
M = S.modules
os = M["posix"]
ctypes = M["ctypes"]
kernel = M["autoif_assets.sandbox.inside.kernel"]
probes = M["autoif_assets.sandbox.inside.probes"]
FILE = {file!r}
PORT = {port}
PARENT = {parent}
ZYGOTE = M["autoif_assets.sandbox.inside.runner"].os.getppid

def sys_call(name, *args):
    result, error = kernel.syscall(probes._number(name), *args)
    return result != -1
"""

BLANKET = "anything but pass"
ANYTHING = "it may say what it likes about itself"


@dataclass(frozen=True)
class Attack:
    family: str
    name: str
    source: str
    allowed: str  # outcomes separated by blanks, or one of the two above

    def accepts(self, outcome: str) -> bool:
        if self.allowed == ANYTHING:
            return True
        if self.allowed == BLANKET:
            return outcome != "pass"
        return outcome in self.allowed.split()


def _indent(body: str, by: int) -> str:
    return "\n".join(" " * by + line for line in body.strip().splitlines())


def act(body: str) -> str:
    """A verifier whose body returns True on success and False on any refusal."""
    return (
        f"{PRELUDE}\ndef evaluate(response):\n    try:\n{_indent(body, 8)}\n"
        "    except Exception:\n        return False\n"
    )


def plain(body: str) -> str:
    return f"{PRELUDE}\ndef evaluate(response):\n{_indent(body, 4)}\n"


_SWALLOWED = [
    ("__del__", "class D:\n    def __del__(self):\n        while True: pass", "D()\nreturn True"),
    (
        "a generator's finally",
        "def g():\n    try: yield\n    finally:\n        while True: pass",
        "x = g()\nnext(x)\ndel x\nreturn True",
    ),
    ("a handler", "", "try:\n    while True: pass\nexcept BaseException: return True"),
    ("a finally", "", "try:\n    while True: pass\nfinally: return True"),
    (
        "another error",
        "",
        "try:\n    while True: pass\nexcept BaseException as e: raise ValueError",
    ),
]


def _time() -> dict[str, tuple[str, str]]:
    late = "timeout skipped"
    return {
        "endless loop": (plain("while True: pass"), late),
        "catches the clock": (
            plain("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
            late,
        ),
        "loops in finally": (
            plain("try:\n    while True: pass\nfinally:\n    while True: pass"), late,
        ),
        "catastrophic regex": (plain('import re\nreturn bool(re.match(r"(a+)+$", "a" * 64 + "b"))'), late),
        "huge power": (plain("return 9 ** 9 ** 9 > 0"), late + " memory"),
        "endless sum": (plain("import itertools\nreturn sum(itertools.count()) > 0"), late),
        "loops while loading": (PRELUDE + "while True: pass", "load_error"),
        "loops in a decorator": (
            "def slow(f):\n    while True: pass\n@slow\ndef evaluate(r): return True", "load_error",
        ),
        "waits for a lock": (
            plain('lock = M["_thread"].allocate_lock()\nlock.acquire()\nlock.acquire()'), late,
        ),
        "sleeps": (plain("import time\ntime.sleep(60)\nreturn True"), "error"),
        "stops the clock": (
            act('M["signal"].setitimer(M["signal"].ITIMER_PROF, 0)\nreturn True'), BLANKET,
        ),
        "ignores the clock's signal": (
            act('M["signal"].signal(M["signal"].SIGPROF, M["signal"].SIG_IGN)\nreturn True'), BLANKET,
        ),
        "blocks the clock's signal": (
            act('M["signal"].pthread_sigmask(0, {M["signal"].SIGPROF})\nreturn True'), BLANKET,
        ),
        "resets the clock's count": (
            plain("call = S._getframe(1).f_locals['call']\nwhile True: call[0] = -1"), late,
        ),
        **{
            f"swallows the clock in {where}": (
                source + f"\ndef evaluate(r):\n    if r != 'a': return False\n{_indent(body, 4)}\n", "timeout fail",
            )
            for where, source, body in _SWALLOWED
        },
        "swallows the clock while loading": (
            "try:\n    while True: pass\nexcept BaseException: pass\ndef evaluate(r): return True", "load_error",
        ),
    }  # fmt: skip


def _memory() -> dict[str, tuple[str, str]]:
    out = "memory crash timeout skipped error"
    return {
        "one huge string": (plain('return len("x" * 10**11) > 0'), "memory"),
        "growing list": (plain("x = [0]\nwhile True: x = x + x"), out),
        "growing dict": (plain("x = {{}}\nwhile True: x[len(x)] = bytes(100000)"), out),
        "many objects": (plain("return bool([object() for _ in range(10**10)])"), out),
        "huge allocation by libc": (act("return bool(ctypes.CDLL(None).malloc(ctypes.c_size_t(1 << 40)) or 0)"), BLANKET),
        "anonymous mapping": (act('M["mmap"].mmap(-1, 1 << 36)\nreturn True'), BLANKET),
        "endless recursion": (plain("return evaluate(response)"), "error"),
        "recursion without its limit": (
            plain("S.setrecursionlimit(10**9)\nf = lambda n: f(n + 1)\nreturn f(0)"), out,
        ),
        "deep repr": (
            plain("S.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nreturn bool(repr(x))"),
            out,
        ),
        "memory while loading": (PRELUDE + "x = 'x' * 10**11\n" + "def evaluate(r): return True", "load_error"),
        "swallows MemoryError": (
            plain("while True:\n    try: x = bytearray(10**10)\n    except MemoryError: pass"), out,
        ),
    }  # fmt: skip


def _processes() -> dict[str, tuple[str, str]]:
    return {
        "fork": (act("pid = os.fork()\nif pid == 0: os._exit(0)\nreturn True"), BLANKET),
        "fork bomb": (act("while True: os.fork()"), BLANKET),
        "forkpty": (act("pid, _ = os.forkpty()\nif pid == 0: os._exit(0)\nreturn True"), BLANKET),
        "clone": (act('r, _ = kernel.syscall(probes._number("clone"), 17, 0, 0, 0, 0)\nif r == 0: os._exit(0)\nreturn r > 0'), BLANKET),
        "clone3": (act('return kernel.syscall(435, 0, 0)[1] != 38'), BLANKET),
        "thread": (act('M["_thread"].start_new_thread(print, ())\nreturn True'), BLANKET),
        "execv": (act('os.execv("/bin/true", ["true"])\nreturn True'), BLANKET),
        "posix_spawn": (act('os.posix_spawn("/bin/sh", ["sh", "-c", "touch " + FILE], {{}})\nreturn True'), BLANKET),
        "system": (act('return os.system("touch " + FILE) == 0'), BLANKET),
        "own session": (act("os.setsid()\nreturn True"), BLANKET),
    }  # fmt: skip


def _files() -> dict[str, tuple[str, str]]:
    return {
        "reads passwd": (act('return bool(open("/etc/passwd").read())'), BLANKET),
        "reads its maps": (act('return bool(open("/proc/self/maps").read())'), BLANKET),
        "reads the program": (act('return bool(open(S.executable, "rb").read(1))'), BLANKET),
        "writes": (act('open(FILE, "w").write("x")\nreturn True'), BLANKET),
        "low-level open": (act("os.open(FILE, os.O_CREAT | os.O_WRONLY)\nreturn True"), BLANKET),
        "openat2": (act('return sys_call("openat2", -100, 0, 0, 0)'), BLANKET),
        "lists": (act('return bool(os.listdir("/"))'), BLANKET),
        "stat": (act('return bool(os.stat("/"))'), BLANKET),
        "access": (act('return os.access("/", os.R_OK)'), BLANKET),
        "mkdir": (act("os.mkdir(FILE)\nreturn True"), BLANKET),
        "symlink": (act('os.symlink("/etc/passwd", FILE)\nreturn True'), BLANKET),
        "chdir": (act('os.chdir("/tmp")\nreturn True'), BLANKET),
        "memory file": (act('os.memfd_create("x")\nreturn True'), BLANKET),
        "inherited descriptors": (
            act("got = 0\nfor fd in range(1024):\n    try:\n        os.fstat(fd)\n        got += 1\n    except OSError: pass\nreturn got > 0"),
            BLANKET,
        ),
        "writes to descriptors": (
            act('got = 0\nfor fd in range(1024):\n    try: got += os.write(fd, b"x")\n    except OSError: pass\nreturn got > 0'),
            BLANKET,
        ),
        "a module from disk": (act("S.path.append('/usr/lib/python3/dist-packages')\nM['importlib'].import_module('json.tool')\nreturn True"), BLANKET),
    }  # fmt: skip


def _network() -> dict[str, tuple[str, str]]:
    connect = 'M["socket"].create_connection(("127.0.0.1", PORT), 1)\nreturn True'
    return {
        "tcp": (act(connect), BLANKET),
        "udp": (act('s = M["socket"].socket(2, 2)\ns.sendto(b"x", ("127.0.0.1", PORT))\nreturn True'), BLANKET),
        "local socket": (act('M["socket"].socket(1, 1).connect("\\0x")\nreturn True'), BLANKET),
        "socketpair": (act('M["socket"].socketpair()\nreturn True'), BLANKET),
        "netlink": (act('M["socket"].socket(16, 3)\nreturn True'), BLANKET),
        "names": (act('return bool(M["socket"].getaddrinfo("localhost", 80))'), BLANKET),
        "raw system call": (act('return sys_call("socket", 2, 1, 0)'), BLANKET),
        "through the zygote's socket": (
            act('got = 0\nfor fd in range(64):\n    try:\n        M["socket"].socket(fileno=fd).send(b"x" * 17)\n        got = 1\n    except OSError: pass\nreturn got > 0'),
            BLANKET,
        ),
    }  # fmt: skip


def _signals() -> dict[str, tuple[str, str]]:
    return {
        "interrupts the parent": (act("os.kill(PARENT, 10)\nreturn True"), BLANKET),
        "kills the zygote": (act("os.kill(os.getppid(), 9)\nreturn True"), BLANKET),
        "kills everybody": (act("os.kill(-1, 9)\nreturn True"), BLANKET),
        "kills its group": (act("os.killpg(0, 9)\nreturn True"), BLANKET),
        "kills a thread": (act('return sys_call("tgkill", PARENT, PARENT, 10)'), BLANKET),
        "queues a signal": (act('return sys_call("rt_sigqueueinfo", PARENT, 10, 0)'), BLANKET),
        "pidfd": (act('return sys_call("pidfd_open", PARENT, 0)'), BLANKET),
        "stops itself": (act("os.kill(os.getpid(), 19)\nreturn True"), BLANKET),
        "raises a signal": (act('M["signal"].raise_signal(9)\nreturn True'), BLANKET),
        "outlives the zygote": (act("return kernel._prctl(1, 0) is None"), BLANKET),
    }


def _kernel() -> dict[str, tuple[str, str]]:
    attacks = {
        name: (act(f'return sys_call("{name}", 0, 0, 0, 0, 0)'), BLANKET)
        for name in (
            "bpf", "io_uring_setup", "perf_event_open", "userfaultfd", "keyctl", "unshare", "setns",
            "mount", "chroot", "shmget", "mq_open", "inotify_init1", "timer_create", "eventfd2",
            "personality", "sched_setaffinity", "process_vm_readv", "process_vm_writev", "ioctl",
            "init_module", "reboot", "memfd_create", "pipe2", "dup", "fcntl",
        )
    }  # fmt: skip
    attacks |= {
        "ptrace": (act('return sys_call("ptrace", 16, PARENT, 0, 0)'), BLANKET),
        "root again": (act("os.setuid(0)\nreturn True"), BLANKET),
        "raises a limit": (act('M["resource"].setrlimit(M["resource"].RLIMIT_NPROC, (99, 99))\nreturn True'), BLANKET),
        "another filter": (act('return sys_call("seccomp", 2, 0, 0)'), BLANKET),
        "executable memory": (act('M["mmap"].mmap(-1, 4096, prot=7)\nreturn True'), BLANKET),
        "executable memory by mprotect": (act("return probes._protects_code()"), BLANKET),
        "x32 numbers": (plain("kernel.syscall(0x40000000 + 39)\nreturn kernel._MACHINE == 'x86_64'"), BLANKET),
        "negative number": (act("return kernel.syscall(-5)[0] != -1"), BLANKET),
        "native callback": (act("return bool(ctypes.CFUNCTYPE(None)(print)())"), BLANKET),
    }  # fmt: skip
    return attacks


def _exits() -> dict[str, tuple[str, str]]:
    out = "crash skipped"
    return {
        "_exit(0)": (plain("os._exit(0)"), out),
        "_exit(0) while loading": (PRELUDE + "os._exit(0)", "load_error"),
        "exit_group": (plain("kernel.syscall(kernel.number('exit_group'), 0)"), out),
        "SystemExit": (plain("raise SystemExit(0)"), "error"),
        "SystemExit while loading": (PRELUDE + "raise SystemExit(0)", "load_error"),
        "KeyboardInterrupt": (plain("raise KeyboardInterrupt"), "error"),
        "GeneratorExit": (plain("raise GeneratorExit"), "error"),
        "abort": (plain("os.abort()"), out),
        "null pointer": (plain("ctypes.string_at(0)"), out),
        "corrupts its heap": (plain("ctypes.memset(id(response) - 4096, 255, 8192)"), ANYTHING),
        "corrupts None": (plain("ctypes.memset(id(None), 0, 16)\nreturn None"), ANYTHING),
        "claims to be done": (
            plain('for o in _maps():\n    o[0] = 4\nos._exit(0)') + _MAPS, ANYTHING,
        ),
        "an exception that lies": (
            PRELUDE + "class E(BaseException):\n    def __str__(self): os._exit(0)\n    __repr__ = __str__\n"
            "def evaluate(r): raise E(E())", "error",
        ),
    }  # fmt: skip


_MAPS = """
def _maps(name="area"):
    frame = S._getframe()
    while frame:
        if type(frame.f_locals.get(name)).__name__ == "mmap":
            yield frame.f_locals[name]
        frame = frame.f_back
"""

# Makes the mapping of its request writable and turns every "a" in it into a "z".
REWRITES_INPUTS = """
for o in _maps("data"):
    at = ctypes.c_void_p.from_address(id(o) + 16).value
    kernel.syscall(kernel.number("mprotect"), at, len(o), 3)
    new = ctypes.string_at(at, len(o)).replace(b"a", b"z")
    ctypes.memmove(at, new, len(new))
    return o[:] == new
"""

# The same with the bytecode of modules that are not imported yet.
REWRITES_MODULES = """
o = S.meta_path[-1]._data
at = ctypes.c_void_p.from_address(id(o) + 16).value
kernel.syscall(kernel.number("mprotect"), at, len(o), 3)
ctypes.memset(at, 0, len(o))
return not any(o[:])
"""


def _forging() -> dict[str, tuple[str, str]]:
    eq = "    def __eq__(self, other): return True\n    def __bool__(self): return True\n"
    return {
        "always equal": (f"class A:\n{eq}def evaluate(r): return A()", "not_bool"),
        "metaclass": (f"class T(type):\n{eq}class A(metaclass=T): pass\ndef evaluate(r): return A", "not_bool"),
        "pretends its class": (
            "class A:\n    @property\n    def __class__(self): return bool\ndef evaluate(r): return A()", "not_bool",
        ),
        "one": ("def evaluate(r): return 1", "not_bool"),
        "subclass of int": ("class A(int): pass\ndef evaluate(r): return A(1)", "not_bool"),
        "the word": ('def evaluate(r): return "true"', "not_bool"),
        "None": ("def evaluate(r): pass", "not_bool"),
        "float": ("def evaluate(r): return 1.0", "not_bool"),
        "numpy-like": (
            "class bool_:\n    def __bool__(self): return True\ndef evaluate(r): return bool_()", "not_bool",
        ),
        "coroutine": ("async def evaluate(r): return True", "not_bool"),
        "generator": ("def evaluate(r): yield True", "not_bool"),
        "writes all statuses": (
            plain("for o in _maps():\n    o[1:] = bytes([1]) * (len(o) - 1)\nos._exit(0)") + _MAPS, ANYTHING,
        ),
        "writes nonsense statuses": (
            plain("for o in _maps():\n    o[:] = bytes([255]) * len(o)\nos._exit(0)") + _MAPS, "crash",
        ),
        "rewrites its inputs": (plain(REWRITES_INPUTS) + _MAPS, ANYTHING),
        "rewrites the modules of others": (plain(REWRITES_MODULES), ANYTHING),
        "replaces the caller": (
            plain('M["autoif_assets.sandbox.inside.runner"].no_verdict = lambda *a: (1, "")\nreturn 2'), ANYTHING,
        ),
        "random verdict": ("import random\ndef evaluate(r): return random.random() < 0.5", ANYTHING),
    }  # fmt: skip


def _source() -> dict[str, tuple[str, str]]:
    return {
        "null byte": ("def evaluate(r): return True\0", "load_error"),
        "lone surrogate": ("def evaluate(r): return '\ud800' == r", "load_error"),
        "encoding declaration": ("# coding: utf-7\ndef evaluate(r): return +AFQ-rue", "load_error error not_bool"),
        "byte order mark": ("\ufeff\ufeffdef evaluate(r): return True", "load_error"),
        "nested brackets": ("(" * 20000 + ")" * 20000, "load_error"),
        "nested minus": ("x = " + "-" * 40000 + "1", "load_error"),
        "nested lambdas": ("x = " + "lambda:" * 6000 + "1", "load_error"),
        "many constants": ("x = 1" + "+1" * 20000, "load_error"),
        "future braces": ("from __future__ import braces", "load_error"),
        "imports os": ("import os\ndef evaluate(r): return True", "load_error"),
        "imports os when called": ("def evaluate(r):\n    import os\n    return True", "load_error"),
        "__import__": ('def evaluate(r): return bool(__import__("os"))', "load_error"),
        "relative import": ("from . import x\ndef evaluate(r): return True", "load_error"),
        "undoes the guard": (
            PRELUDE + 'M["builtins"].__import__ = None\n__builtins__["__import__"] = None\ndef evaluate(r): raise ValueError',
            "error load_error",
        ),
        "import hook": (
            PRELUDE + "class F:\n    def find_spec(self, *a): raise SystemExit\nS.meta_path.insert(0, F())\n"
            "def evaluate(r): raise ValueError", "error",
        ),
        "poisons re": (
            PRELUDE + "import re\nre.match = re.search = re.findall = lambda *a: 1\nre.purge()\n"
            "def evaluate(r): raise ValueError", "error",
        ),
        "evaluate is a property": ("class evaluate:\n    def __new__(cls, r): return r", "not_bool"),
        "evaluate is a number": ("evaluate = 1", "load_error"),
        "decorated away": ("@lambda f: 3\ndef evaluate(r): return True", "load_error"),
        "too long": ("#" * 60000 + "\ndef evaluate(r): return True", "load_error"),
        "empty": ("", "load_error"),
    }  # fmt: skip


def _spying() -> dict[str, tuple[str, str]]:
    # The neighbours' sources contain the marker; the attack may not contain it in one piece.
    seen = '"-".join(["NEIGHBOUR", "MARKER"]) in'
    return {
        "other verifiers in objects": (
            act(f"texts = [str(o) for o in _objects() if isinstance(o, (str, bytes))]\nreturn any({seen} t for t in texts)")
            + _OBJECTS, BLANKET,
        ),
        "other verifiers in the heap": (
            act('arena = ctypes.string_at(id(response) & ~0xFFFFF, 1 << 20)\nimport re\nreturn bool(re.search(b"NEIGHBOU[R]-MARKER", arena))'),
            "fail crash skipped error",
        ),
        "expected outputs": (act('return any("-".join(["EXPECTED", "MARKER"]) in str(o) for o in _objects() if isinstance(o, str))') + _OBJECTS, BLANKET),
        "reads on behind its request": (plain(READS_ON) + _MAPS, BLANKET),
        "parent's environment": (act('return "-".join(["ENVIRONMENT", "MARKER"]) in str(M["os"].environ)'), BLANKET),
        "parent's environment by libc": (
            act('getenv = ctypes.CDLL(None).getenv\ngetenv.restype = ctypes.c_char_p\nreturn bool(getenv(b"AUTOIF_SECRET"))'), BLANKET,
        ),
        "parent's environment by proc": (act('return bool(open(f"/proc/{{PARENT}}/environ").read())'), BLANKET),
        "parent's memory": (
            act('return sys_call("process_vm_readv", PARENT, 0, 0, 0, 0, 0)'), BLANKET,
        ),
        "arguments": (act("return len(S.argv) > 1 or S.argv[0] != ''"), BLANKET),
        "orig_argv": (act('return "-".join(["ENVIRONMENT", "MARKER"]) in str(S.orig_argv)'), BLANKET),
        "user name": (act('return bool(M["os"].environ.get("HOME") or M["os"].environ.get("USER"))'), BLANKET),
        "module search path": (act("return bool(S.path)"), BLANKET),
    }  # fmt: skip


# Makes the mapping of its request longer and reads on where the request ends.
READS_ON = """
for o in _maps("data"):
    at = ctypes.c_void_p.from_address(id(o) + 16).value
    size = -(-len(o) // 4096) * 4096
    new, _ = kernel.syscall(kernel.number("mremap"), at, size, size + 65536, 1)
    return "-".join(["NEIGHBOUR", "MARKER"]).encode() in ctypes.string_at(new + size, 4096)
"""

# Makes `re` find nothing, from inside a process that it shares with neighbours who use it.
SPOILS_RE = "setattr(re, 'search', lambda *a: None)\nreturn True"


def _sharing() -> dict[str, tuple[str, str]]:
    """What would change a neighbour's verdict if it ran in one process with it."""

    def spoils(binder: str) -> tuple[str, str]:
        return f"import re\n{binder}\ndef evaluate(r):\n{_indent(SPOILS_RE, 4)}", ANYTHING

    by_cache = "_cache[STR, 'a', 0] = NEVER\nreturn True"
    return {
        "a module for builtins": (
            "import re\nSTR, NEVER = str, re.compile('(?!)')\ndef f(_cache): pass\n"
            f"import re as __builtins__\ndef evaluate(r):\n{_indent(by_cache, 4)}", ANYTHING,
        ),
        "a module for builtins by an argument": (
            "import re\nSTR, NEVER = str, re.compile('(?!)')\ndef f(_cache): pass\n"
            f"def g(__builtins__):\n    def evaluate(r):\n{_indent(by_cache, 8)}\n    return evaluate\n"
            "evaluate = g(re)", ANYTHING,
        ),
        "a builtin's name bound as an argument": spoils("def f(setattr): pass"),
        "a builtin's name bound by a lambda": spoils("f = lambda setattr: 0"),
        "a builtin's name bound by a handler": spoils("try: 1 / 0\nexcept ArithmeticError as setattr: pass"),
        "a builtin's name never bound": spoils("if 0: setattr = 1"),
        "a builtin's name bound in a comprehension": spoils("x = [0 for setattr in 'a']"),
        "a builtin's name bound in a function": spoils("def f():\n    setattr = 1"),
        "a module under another name": (
            "import re\nfor m in (re,): m.search = None\ndef evaluate(r): return True", ANYTHING,
        ),
        "a class whose instances equal what neighbours look up": (
            "from collections import Counter\nimport re\nT = Counter.copy(Counter)\n"
            "M = T('M', (T,), {'__eq__': lambda a, b: True, '__hash__': lambda a: hash(str)})\n"
            "S = M('S', (str,), {'__eq__': lambda a, b: True, '__hash__': lambda a: hash('a')})\n"
            "re.compile(S('(?!)'))\ndef evaluate(r): return True", ANYTHING,
        ),
        "leaves no memory": (
            "kept = []\nsize = 1 << 30\nwhile size > 1024:\n    try: kept.append(bytes(size))\n"
            "    except Exception: size = size // 2\ndef evaluate(r): return True", ANYTHING,
        ),
        "leaves no memory when called": (
            "kept = []\ndef evaluate(r):\n    size = 1 << 30\n    while size > 1024:\n"
            "        try: kept.append(bytes(size))\n        except Exception: size = size // 2\n    return True",
            ANYTHING,
        ),
        "takes memory when it is thrown away": (
            "kept = []\ndef g():\n    try: yield\n    finally:\n        size = 1 << 30\n"
            "        while size > 1024:\n            try: kept.append(bytes(size))\n"
            "            except Exception: size = size // 2\n"
            "x = g()\nnext(x)\ny = [x]\ny.append(y)\nx = y = None\ndef evaluate(r): return True", ANYTHING,
        ),
    }  # fmt: skip


_OBJECTS = """
def _objects():
    seen, todo = set(), [M, S._getframe()]
    frame = S._getframe()
    while frame:
        todo.extend([frame.f_locals, frame.f_globals])
        frame = frame.f_back
    while todo and len(seen) < 200000:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            todo.extend(value.keys())
            todo.extend(value.values())
        elif isinstance(value, (list, tuple, set)):
            todo.extend(value)
        else:
            todo.append(getattr(value, "__dict__", None))
"""


def attacks(file: str, port: int, parent: int) -> list[Attack]:
    """The corpus, aimed at a file to create, a port to reach and a process to signal."""
    families = {
        "time": _time(), "memory": _memory(), "processes": _processes(), "files": _files(),
        "network": _network(), "signals": _signals(), "kernel": _kernel(), "exits": _exits(),
        "forging": _forging(), "source": _source(), "spying": _spying(),
        "sharing": _sharing(),
    }  # fmt: skip
    found = []
    for family, members in families.items():
        for name, (source, allowed) in members.items():
            if PRELUDE in source:
                source = source.replace("{{", "{").replace("}}", "}")
                for key, value in (("file!r", repr(file)), ("port", port), ("parent", parent)):
                    source = source.replace("{" + key + "}", str(value))
            found.append(Attack(family, name, source, allowed))
    return found
