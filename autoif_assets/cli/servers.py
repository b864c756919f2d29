"""Servers: Dagster's UI, vLLM, the simulator, and the local model of `autoif demo-llm`."""

import logging
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from urllib.parse import urlsplit

import click

from autoif_assets.cli.home import (
    DEMO_MODEL,
    check_not_mixed,
    data_dir,
    home_note,
    prepare_home,
)
from autoif_assets.cli.output import say


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--simulate", "simulated", is_flag=True, help="Ask the demo's simulator: synthetic data."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(arguments: tuple[str, ...], simulated: bool) -> None:
    """Start Dagster's UI and daemon on this data folder; ARGUMENTS go to `dagster dev`."""
    prepare_home(database=False)
    with ExitStack() as stack:
        if simulated:
            check_not_mixed(DEMO_MODEL)
            base_url = stack.enter_context(server("simulate", "--port", "0", "--model", DEMO_MODEL))
            ask_only(base_url, DEMO_MODEL)
            say("The model is a simulator: what is made here is synthetic.", fg="yellow", err=True)
        if note := home_note():
            say(note, fg="yellow", err=True)
        _serve_exports()
        # A script's `autoif dev &` begins with interrupts ignored, and Dagster would then stop at
        # no signal at all.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _dagster("dev", "-m", "autoif_assets.definitions", *arguments)


def _dagster(*words: str) -> None:
    """Run Dagster's own command in this process, less what it says to people who type it."""
    from dagster._cli import ENV_PREFIX, cli

    # `dg dev`, which it would have instead, needs a project's folder: an installed wheel has none.
    warnings.filterwarnings("ignore", "Function `dev_command` is superseded")
    # That of a checkout, which is the same file as that of the home in the data folder.
    logging.getLogger("dagster").addFilter(
        lambda record: "will not be used to configure Dagster" not in record.getMessage()
    )
    cli.main(words, prog_name="dagster", auto_envvar_prefix=ENV_PREFIX)


def ask_only(base_url: str, model: str) -> None:
    """Have every role ask this model, whatever the shell says of the user's own servers."""
    from autoif_assets.resources.settings import ROLES

    for role in (one.upper() for one in ROLES if one != "supervision"):
        for name in list(os.environ):
            if name == f"AUTOIF_{role}" or name.startswith(f"AUTOIF_{role}_"):
                del os.environ[name]
    # Nor what a file says of them.
    os.environ["AUTOIF_DATA"] = str(data_dir())
    os.environ["AUTOIF_CONFIG"] = os.devnull
    os.environ["AUTOIF_BASE_URL"] = base_url
    os.environ["AUTOIF_MODEL"] = model


def _serve_exports() -> None:
    """Serve the exports to this machine: a browser follows no link from the UI to a file."""
    from autoif_assets.resources.settings import settings

    port, exports = settings().report_port, data_dir() / "exports"
    # The server's own complaint would be lost among Dagster's log.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            click.secho(
                f"The report is not linked from the UI: port {port} is not free "
                f"({error.strerror}). Set AUTOIF_REPORT_PORT to one that is.",
                fg="yellow",
                err=True,
            )
            return
    exports.mkdir(parents=True, exist_ok=True)
    command = ["http.server", str(port), "--bind", "127.0.0.1", "--directory", str(exports)]
    subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=end_with_parent,
    )


@click.command()
@click.argument("model")
@click.option(
    "--reasoning-parser", metavar="NAME", help="vLLM's parser of a reasoning model's thoughts."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- VLLM_ARGUMENTS]")
def serve(model: str, reasoning_parser: str | None, arguments: tuple[str, ...]) -> None:
    """Serve MODEL, a name on the Hugging Face hub or a folder, with vLLM until interrupted.

    Listens at the host and port of AUTOIF_BASE_URL (http://127.0.0.1:8000/v1 if unset), asks for
    the key in AUTOIF_API_KEY if that is set, and prints what to export once it answers. What
    follows -- goes to `vllm serve`. AUTOIF_VLLM names a `vllm` of another environment.
    """
    from autoif_assets.endpoint import EndpointSettings
    from autoif_assets.resources.settings import settings
    from autoif_assets.serving import serve as serve_with_vllm

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Explicitly, as a shell starts what it runs in the background with Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    given = settings().endpoints.supervision.base_url
    host, port = _address(given or EndpointSettings.model_fields["base_url"].default)
    key = os.environ.get("AUTOIF_API_KEY", "")
    try:
        serve_with_vllm(model, host, port, key, reasoning_parser, arguments)
    except KeyboardInterrupt:
        click.echo(f"{model} is no longer served.", err=True)


def _address(base_url: str) -> tuple[str, int]:
    """Return the host and port to listen on."""
    parts = urlsplit(base_url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme != "http" or not host or parts.path.rstrip("/") != "/v1":
        raise click.ClickException(
            "AUTOIF_BASE_URL is no place to serve a model at: unset it, or write an address of "
            "this machine like http://127.0.0.1:8000/v1."
        )
    return host, port or 80


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """Serve the simulator, a stand-in supervision model, over HTTP."""
    from autoif_assets.simulator.running import simulate as command

    command.main(list(arguments), prog_name="autoif simulate")


@click.group("local-model")
def local_model() -> None:
    """The real small model of `autoif demo-llm`: its weights and its server."""


@local_model.command("fetch")
@click.argument("model", envvar="AUTOIF_LOCAL_MODEL", default="qwen2.5-coder-1.5b")
def local_model_fetch(model: str) -> None:
    """Download the weights of MODEL, check their hash and print where they are."""
    from autoif_assets.localmodel import fetch

    click.echo(fetch(model))


@local_model.command("serve")
@click.argument("model", envvar="AUTOIF_LOCAL_MODEL", default="qwen2.5-coder-1.5b")
@click.option("--host", default="127.0.0.1")
@click.option("--port", default=8080)
@click.option("--slots", default=4, help="Completions computed at a time; n may not exceed it.")
@click.option("--threads", default=None, type=int, help="CPU threads; default: all cores.")
def local_model_serve(model: str, host: str, port: int, slots: int, threads: int | None) -> None:
    """Serve MODEL over OpenAI's protocol until interrupted."""
    from autoif_assets.localmodel import fetch, serve

    serve(fetch(model), host, port, slots=slots, threads=threads)


@contextmanager
def server(*command: str) -> Iterator[str]:
    """Run an `autoif` server command, yield the URL it prints first, and stop it at the end."""
    with module_server("autoif_assets.cli", *command) as url:
        yield url


@contextmanager
def module_server(*command: str) -> Iterator[str]:
    """Run a module that serves, yield the URL it prints first, and stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,
    )
    try:
        assert process.stdout is not None
        # Empty where the process ended before it served; its own words are on stderr.
        line = process.stdout.readline()
        url = next((word for word in line.split() if word.startswith("http://")), None)
        if url is None:
            raise click.ClickException(f"{' '.join(command)} did not start.")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_with_parent() -> None:
    """Have the kernel end this process when its parent is gone, even by kill -9 (Linux).

    For servers that have nothing to put in order: SIGTERM may be ignored, which is inherited.
    """
    import ctypes
    import signal

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
