"""`autoif demo` and `autoif demo-llm`: a batch without a server of one's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from autoif_assets.cli.home import DEMO_MODEL, data_dir
from autoif_assets.cli.runs import parse_override, resource_config, run_batch


@click.command()
@click.option("--batch", default="demo", help="Key of the batch.")
def demo(batch: str) -> None:
    """Run one batch against the built-in simulator: synthetic data that shows the machinery."""
    click.secho(
        "The demo's model is a simulator: its data is synthetic and shows the machinery only.",
        bold=True,
    )
    with server("simulate", "--port", "0", "--model", DEMO_MODEL) as base_url:
        _ask_only(base_url, DEMO_MODEL)
        before = served(base_url)
        run_batch(batch, resource_config())
        click.echo(f"Requests to the simulator: {served(base_url) - before}")


# A small batch: as much as a laptop's CPU does while a person waits.
SMALL = {
    "instructions_per_batch": 2,
    "instructions_per_call": 2,
    "seed_examples_per_call": 12,
    "seeds_per_batch": 10,
    "verifiers_per_instruction": 4,
    "back_translations_per_instruction": 2,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
    "self_instruct_max_tokens": 200,
    "verifier_max_tokens": 384,
    "response_max_tokens": 128,
}


@click.command("demo-llm")
@click.option("--batch", default="demo", help="Key of the batch.")
@click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Replace a number; repeatable."
)
def demo_llm(batch: str, overrides: tuple[str, ...]) -> None:
    """Run one small batch against a real small model on this machine's CPU."""
    from autoif_assets.localmodel import DEFAULT_MODEL, LocalModelError, fetch, running

    # Not beside the simulator's synthetic data.
    os.environ["AUTOIF_DATA"] = os.environ.get("AUTOIF_DATA") or str(data_dir() / "demo-llm")
    model = os.environ.get("AUTOIF_LOCAL_MODEL") or DEFAULT_MODEL
    try:
        gguf = fetch(model)
        click.echo(f"Serving {gguf.name} with llama.cpp; its log is quiet, the run's is not.")
        with running(gguf, slots=SMALL["responses_per_prompt"]) as base_url:
            _ask_only(base_url, gguf.stem)
            # More requests than slots would only wait in the server and run into the time limit.
            os.environ["AUTOIF_MAX_CONCURRENCY"] = "2"
            numbers = {**SMALL, **dict(map(parse_override, overrides))}
            run_batch(batch, resource_config(overrides=numbers))
    except LocalModelError as error:
        raise click.ClickException(str(error)) from None


def _ask_only(base_url: str, model: str) -> None:
    """Have every role ask this model, whatever the shell says of the user's own servers."""
    for role in ("RESPONDER", "JUDGE", "NLI", "POLICY"):
        for name in list(os.environ):
            if name == f"AUTOIF_{role}" or name.startswith(f"AUTOIF_{role}_"):
                del os.environ[name]
    os.environ["AUTOIF_BASE_URL"] = base_url
    os.environ["AUTOIF_MODEL"] = model


@contextmanager
def server(*command: str) -> Iterator[str]:
    """Run an `autoif` server command, yield the URL it prints first, and stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "autoif_assets.cli", *command],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_end_with_parent,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = next((word for word in line.split() if word.startswith("http://")), None)
        if url is None:
            raise click.ClickException(f"autoif {' '.join(command)} did not start.")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    """Have the kernel stop this process when its parent is gone, even by kill -9 (Linux)."""
    import ctypes
    import signal

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def served(base_url: str) -> int:
    """Return how many completion requests the simulator has answered."""
    import json
    from urllib.request import urlopen

    with urlopen(base_url.removesuffix("/v1") + "/debug/stats") as reply:
        return int(json.load(reply)["served"])
