"""Serving a GGUF file with llama.cpp behind an OpenAI-compatible HTTP address.

llama.cpp's own server listens on a free local port; in front of it a thin proxy rewrites requests
that ask for a JSON schema, so that no insignificant whitespace is generated: a weak model can
otherwise write blanks until its tokens are spent.
"""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import requests
from aiohttp import web

from autoif_assets.localmodel.catalogue import LocalModelError

# The separators of json.dumps, which are those of the prompts' examples.
_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding", "host"}
_STOP_SECONDS = 10


def serve(
    gguf: Path,
    host: str = "127.0.0.1",
    port: int = 8080,
    slots: int = 4,
    threads: int | None = None,
    ctx: int = 4096,
) -> None:
    """Serve a model until interrupted; print its address once it answers.

    Args:
        gguf: The model's file.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        slots: Completions computed at a time; a request's ``n`` must not exceed it.
        threads: CPU threads; default: all cores. More threads than idle cores slow it down.
        ctx: Tokens of context a slot has, prompt and completion together.

    Raises:
        LocalModelError: The extra ``local`` is not installed, the file cannot be loaded, or the
            port is taken.
    """
    _require_extra()
    backend = _load(gguf, slots, threads or os.cpu_count() or 1, ctx)
    try:
        asyncio.run(_front(backend.listening_address, host, port))
    except OSError as error:
        raise LocalModelError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    except KeyboardInterrupt:
        pass


def _require_extra() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise LocalModelError(
            "serving a local model needs the extra `local`: pip install 'autoif-assets[local]'"
        )


def _load(gguf: Path, slots: int, threads: int, ctx: int) -> Any:
    import xllamacpp

    if not gguf.is_file():
        raise LocalModelError(f"there is no model file {gguf}")
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.model_alias = {gguf.stem}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = slots
    params.n_ctx = slots * ctx
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = 1
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise LocalModelError(f"llama.cpp cannot load {gguf}: {error}") from error


def without_whitespace(body: bytes) -> bytes:
    """Turn a request's JSON schema into a grammar that allows no insignificant whitespace.

    Other requests, also those that are not JSON, come back unchanged: the server refuses
    what it does not understand.
    """
    try:
        request = json.loads(body)
        schema = request["response_format"]["json_schema"]["schema"]
        guided = {**schema, "x-guidance": _COMPACT}
    except (ValueError, KeyError, TypeError):
        return body
    del request["response_format"]
    request["grammar"] = f"%llguidance {{}}\nstart: %json {json.dumps(guided)}"
    return json.dumps(request).encode()


async def _front(backend: str, host: str, port: int) -> None:
    # No total timeout: a queue of long completions on a slow CPU takes as long as it takes.
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        backend, timeout=timeout, connector=connector, auto_decompress=False
    ) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            if request.path.endswith("/chat/completions"):
                body = without_whitespace(body)
            headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
            async with session.request(
                request.method, request.raw_path, data=body, headers=headers
            ) as answer:
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
                # Passed on piece by piece, so that streamed completions arrive as they are made.
                out = web.StreamResponse(status=answer.status, headers=kept)
                await out.prepare(request)
                async for piece in answer.content.iter_any():
                    await out.write(piece)
                await out.write_eof()
                return out

        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", forward)
        # A client that goes away takes its generation with it: the slot is free at once.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        print(f"http://{host}:{runner.addresses[0][1]}/v1", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


@contextmanager
def running(
    gguf: Path,
    slots: int = 4,
    threads: int | None = None,
    ctx: int = 4096,
    port: int = 0,
    start_seconds: float = 180,
) -> Iterator[str]:
    """Serve a model in a subprocess while the block runs; yield its address (``…/v1``).

    The process ends with the block, also after an exception, and where this process is killed: it
    watches a pipe that the kernel then closes.

    Raises:
        LocalModelError: The extra ``local`` is not installed, or the server ends or does not
            answer within ``start_seconds``; the text holds the last lines it wrote.
    """
    _require_extra()
    settings = {"gguf": str(gguf), "slots": slots, "threads": threads, "ctx": ctx, "port": port}
    code = f"from {__name__} import _child; _child({json.dumps(json.dumps(settings))})"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            address = _wait_for_health(process, start_seconds)
            if address is None:
                log.seek(0)
                last = " ".join(log.read().split("\n")[-4:]).strip()
                raise LocalModelError(
                    f"the local model's server did not start: {last or 'no word'}"
                )
            yield address
        finally:
            _stop(process)


def _child(settings_json: str) -> None:
    """Serve until stdin closes; for the subprocess of ``running``."""

    def end_with_parent() -> None:
        sys.stdin.read()
        # Without a farewell: llama.cpp's threads may be in the midst of a completion.
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    settings = json.loads(settings_json)
    try:
        serve(Path(settings.pop("gguf")), **settings)
    except LocalModelError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)


def _wait_for_health(process: subprocess.Popen[str], seconds: float) -> str | None:
    deadline = time.monotonic() + seconds
    lines: list[str] = []
    assert process.stdout is not None
    # In a thread, since a server that hangs before its first line would hold up a read for good.
    reader = threading.Thread(
        target=lambda out: lines.append(out.readline()), args=[process.stdout]
    )
    reader.daemon = True
    reader.start()
    reader.join(seconds)
    address = lines[0].strip() if lines else ""
    while address and process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(address.removesuffix("v1") + "health", timeout=5).ok:
                return address
        except requests.RequestException:
            pass
        time.sleep(0.2)
    return None


def _stop(process: subprocess.Popen[str]) -> None:
    # The child ends when its input does.
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()
