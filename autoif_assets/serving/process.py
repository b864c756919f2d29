"""Starting vLLM, waiting until it answers, and ending it."""

import http.client
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from autoif_assets.serving.program import (
    ServingError,
    command_line,
    find_program,
    given,
    served_name,
    visible_gpus,
)

_GUARD = Path(__file__).with_name("guard.py")
_STOP_S = 40.0  # the guard's own patience, and some
_LOG_LINES = 20
_CAUSES = 5


def serve(
    model: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str = "",
    reasoning_parser: str | None = None,
    arguments: Sequence[str] = (),
) -> None:
    """Serve a model with vLLM until interrupted; print the environment that reaches it.

    vLLM's log goes to stderr.

    Args:
        model: A model's name on the Hugging Face hub, or a folder.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        api_key: What requests must carry; none is asked for if empty. It reaches vLLM through its
            environment and is not printed.
        reasoning_parser: vLLM's parser that separates a reasoning model's thoughts.
        arguments: Further arguments of `vllm serve`; they win over what is set here.

    Raises:
        ServingError: vLLM or a GPU is missing, the address is taken, or the server ends.
    """
    with _server(model, host, port, api_key, reasoning_parser, arguments, sys.stderr) as started:
        process, base_url = started
        print(f"export AUTOIF_BASE_URL={shlex.quote(base_url)}")
        print(f"export AUTOIF_MODEL={shlex.quote(served_name(model, arguments))}", flush=True)
        raise ServingError(
            f"vLLM ended with exit status {process.wait()}; what it wrote before says why."
        )


@contextmanager
def running(
    model: str,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str = "",
    reasoning_parser: str | None = None,
    arguments: Sequence[str] = (),
    log: Path | None = None,
    start_s: float = 3600.0,
) -> Iterator[str]:
    """Serve a model with vLLM while the block runs; yield its URL (``…/v1``).

    The model's name there is ``served_name(model, arguments)``. The server ends with the block,
    also after an exception and when this process is killed, and with everything it started.

    Args:
        model: A model's name on the Hugging Face hub, or a folder.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        api_key: What requests must carry; none is asked for if empty.
        reasoning_parser: vLLM's parser that separates a reasoning model's thoughts.
        arguments: Further arguments of `vllm serve`; they win over what is set here.
        log: File that vLLM's log is appended to; a temporary one by default.
        start_s: Seconds the server may take until it answers: loading weights takes minutes, and
            downloading them longer.

    Raises:
        ServingError: vLLM or a GPU is missing, the address is taken, or the server ends or does
            not answer in time; the text holds the last lines of its log.
    """
    with (
        tempfile.TemporaryFile("w+") if log is None else log.open("a+", encoding="utf-8") as file,
        _server(model, host, port, api_key, reasoning_parser, arguments, file, start_s) as started,
    ):
        yield started[1]


@contextmanager
def _server(
    model: str,
    host: str,
    port: int,
    api_key: str,
    reasoning_parser: str | None,
    arguments: Sequence[str],
    log: IO[str],
    start_s: float = float("inf"),
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    host = given(arguments, "--host") or host
    port = _free_port(host, int(given(arguments, "--port") or port))
    command = command_line(
        find_program(), visible_gpus(), model, host, port, reasoning_parser, arguments
    )
    # What listens on every address is asked at the loopback one.
    here = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    written = log.seek(0, os.SEEK_END) if log.readable() else None
    # With -P, the modules beside the guard cannot take the place of the standard library's.
    guard = subprocess.Popen(
        [sys.executable, "-P", str(_GUARD), str(os.getpid()), *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=_environment(api_key),
        # Ctrl-C in a terminal reaches only this process, which then ends the server in order.
        start_new_session=True,
    )
    try:
        if not _healthy(guard, here, port, start_s):
            status = guard.poll()
            how = f"did not answer within {start_s:g} s"
            if status is not None:
                how = f"ended with exit status {status}"
            raise ServingError(f"vLLM {how} while starting to serve {model}.{_tail(log, written)}")
        yield guard, f"http://{f'[{here}]' if ':' in here else here}:{port}/v1"
    finally:
        guard.terminate()
        try:
            guard.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()


def _free_port(host: str, port: int) -> int:
    """Return ``port``, or a free one for 0.

    Raises:
        ServingError: It cannot be listened on: whatever listens there would be taken for vLLM.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServingError(
                f"Cannot listen on {host}:{port} ({error.strerror or error}); end what listens "
                "there, or name another address of this machine in AUTOIF_BASE_URL."
            ) from None
        return int(probe.getsockname()[1])


def _environment(api_key: str) -> dict[str, str]:
    """Return this process's environment without our settings, with the key under vLLM's name."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AUTOIF_")}
    kept.pop("VLLM_API_KEY", None)
    return {"VLLM_NO_USAGE_STATS": "1", **kept, **({"VLLM_API_KEY": api_key} if api_key else {})}


def _healthy(guard: subprocess.Popen[bytes], host: str, port: int, seconds: float) -> bool:
    """Wait until the server answers; False where it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while guard.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.5)
    return False


def _tail(log: IO[str], written: int | None) -> str:
    """Return the last lines since position ``written``, or nothing where they are on screen."""
    if written is None:
        return ""
    log.seek(written)
    lines = [line.rstrip() for line in log]
    # An engine that fails says why long before the server ends with "see above".
    causes = [line for line in lines[:-_LOG_LINES] if "Error: " in line][-_CAUSES:]
    last = [*causes, *lines[-_LOG_LINES:]]
    return " The end of its log:\n" + "\n".join(last) if last else " It wrote nothing."
