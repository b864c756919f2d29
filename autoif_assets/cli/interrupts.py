"""Ctrl-C: one line, and the process is over soon, whatever it is doing."""

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

_PATIENCE_S = 1.2  # for what is under way to end by itself
_WAKE = signal.SIGURG  # nothing else uses it
_SHOW_CURSOR = "\x1b[?25h"
EXIT_CODE = 128 + signal.SIGINT
# These end what they have started in their own way, which may take longer.
_SERVERS = frozenset(("dev", "serve", "simulate", "local-model", "rewards"))
# These go on where they were.
_CONTINUED = frozenset(("run", "preview", "policy", "demo", "demo-llm", "demo-loop"))


@contextmanager
def short_interrupts(command: str) -> Iterator[None]:
    """Let Ctrl-C end a command with one line and the exit code 130, at most 2 s later.

    Dagster puts handlers of its own in the place of any other, and logs each step that it does not
    come to. So a thread takes the signal, silences the process and only then has the main thread
    stop, which has little time. Nothing is lost by an end at any moment: it is that of a killed
    process, for which journals and database are made. Children inherit that the signal is kept
    from them, as Dagster's helpers would print, too; they are asked to end.

    Args:
        command: Name of the command; a server's is left alone.
    """
    # A shell lets what runs in the background ignore Ctrl-C.
    if command in _SERVERS or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main = threading.get_ident()
    # Wakes the main thread from a wait, so that it comes to stop.
    signal.signal(_WAKE, lambda *_: None)
    stopped = threading.Event()
    terminal, shown = os.dup(2), {_file(1), _file(2)}
    line = "Stopped; the same command continues.\n" if command in _CONTINUED else "Stopped.\n"

    def watch() -> None:
        signal.sigwait({signal.SIGINT})
        stopped.set()
        _silence(shown, terminal)
        # What shows how far it is hides the cursor meanwhile.
        cursor = _SHOW_CURSOR if os.isatty(terminal) else ""
        os.write(terminal, f"{cursor}\n{line}".encode())
        _thread.interrupt_main(signal.SIGINT)
        signal.pthread_kill(main, _WAKE)
        time.sleep(_PATIENCE_S)
        _end()

    threading.Thread(target=watch, name="autoif-interrupts", daemon=True).start()
    try:
        yield
    finally:
        if stopped.is_set():
            _end()


def _end() -> NoReturn:
    from autoif_assets.serving.guard import children

    for child in children():
        with suppress(OSError):
            os.kill(child, signal.SIGTERM)
    os._exit(EXIT_CODE)


def _silence(files: set[tuple[int, int] | None], but: int) -> None:
    """Lead all that is written to some files nowhere: it would be about the stop alone.

    While a step runs, Dagster puts files in the place of the descriptors 1 and 2, which a helper
    of it copies to where they led before, and puts them back after it.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if descriptor in (1, 2) or (descriptor != but and _file(descriptor) in files - {None}):
            os.dup2(nowhere, descriptor)


def _file(descriptor: int) -> tuple[int, int] | None:
    """Tell the file behind a descriptor apart; None where there is none."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def command_of(arguments: list[str] | None = None) -> str:
    """Return the name of the command among the arguments of this process."""
    given = sys.argv[1:] if arguments is None else arguments
    return next((argument for argument in given if not argument.startswith("-")), "")
