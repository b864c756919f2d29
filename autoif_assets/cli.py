"""`autoif`: what a person types. Thin wrappers; imports wait until a command needs them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dagster import DagsterInstance

DEMO_MODEL = "autoif-simulator"


@click.group(context_settings={"show_default": True})
def main() -> None:
    """Verified instruction-following data, made by an LLM and checked by execution."""


def data_dir() -> Path:
    """Return the folder of everything the project writes."""
    return Path(os.environ.get("AUTOIF_DATA") or "data").absolute()


def prepare_home() -> Path:
    """Point DAGSTER_HOME at the data folder, unless the user has a home of their own."""
    if named := os.environ.get("DAGSTER_HOME"):
        return Path(named)
    home = data_dir() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    settings = Path(__file__).parent.parent / "dagster.yaml"
    link = home / "dagster.yaml"
    if settings.exists() and not (link.exists() and link.samefile(settings)):
        link.unlink(missing_ok=True)
        link.symlink_to(settings)
    os.environ["DAGSTER_HOME"] = str(home)
    # Run workers start in another folder than the shell that set a relative AUTOIF_DATA.
    os.environ["AUTOIF_DATA"] = str(data_dir())
    return home


def parse_override(text: str) -> tuple[str, Any]:
    """Read ``name=value``; the value is JSON, or else a text such as ``> 0.5``."""
    import json

    name, sign, value = text.partition("=")
    if not sign:
        raise click.BadParameter(f"{text!r} is not of the form name=value")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()


@main.command()
@click.option("--batch", default="batch-1", help="Key of the batch; made if it is new.")
@click.option("--profile", default=None, help="paper or authors_code.")
@click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Replace a number; repeatable."
)
@click.option("--refresh", is_flag=True, help="Ask the model anew for what the journals hold.")
def run(batch: str, profile: str | None, overrides: tuple[str, ...], refresh: bool) -> None:
    """Materialise one batch, from the seeds to the exports, against AUTOIF_BASE_URL."""
    run_batch(batch, profile, dict(map(parse_override, overrides)), refresh)


def run_batch(
    batch: str, profile: str | None, overrides: dict[str, Any], refresh: bool = False
) -> None:
    """Run the job of one batch in this process and print what came of it."""
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.definitions import defs

    check_not_mixed(os.environ.get("AUTOIF_MODEL", ""))
    recipe: dict[str, Any] = {"overrides": overrides}
    if profile:
        recipe["profile"] = profile
    config: dict[str, Any] = {"recipe": {"config": recipe}}
    if refresh:
        config["supervision"] = {"config": {"refresh": True}}
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(BATCHES.name), [batch])
        report_killed_runs(instance)
        result = defs.resolve_job_def("batch").execute_in_process(
            partition_key=batch,
            instance=instance,
            raise_on_error=False,
            tags=_process_tags(),
            run_config={
                "resources": config,
                "loggers": {"console": {"config": {"log_level": "INFO"}}},
            },
        )
        failures = [
            (event.step_key, event.step_failure_data.error)
            for event in result.all_events
            if event.is_step_failure
        ]
    if not result.success:
        for step, error in failures:
            cause = error
            while cause is not None and cause.cause is not None:
                cause = cause.cause
            words = cause.message.strip() if cause else "no reason is recorded"
            click.secho(f"{step} failed: {words}", fg="red", err=True)
        click.echo(
            f"Run the same command again to go on: what the model answered is kept in "
            f"{data_dir() / 'journals'}.",
            err=True,
        )
        sys.exit(1)
    print_funnel(batch)


def _process_tags() -> dict[str, str]:
    import socket

    return {"autoif/host": socket.gethostname(), "autoif/pid": str(os.getpid())}


def report_killed_runs(instance: "DagsterInstance") -> None:
    """Mark runs of this command whose process is gone as failed.

    Nobody watches them as the daemon watches its own: they would stay "started" for ever and hold
    a place in the run queue.
    """
    import dagster as dg

    running = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING],
        tags={"autoif/host": _process_tags()["autoif/host"]},
    )
    for run in instance.get_runs(running):
        if not Path(f"/proc/{run.tags['autoif/pid']}").exists():
            instance.report_run_failed(run, "Its process is gone; it was killed.")


def check_not_mixed(model: str) -> None:
    """Refuse to put a real model's batches beside the demo's synthetic ones."""
    from autoif_assets.warehouse import Warehouse

    warehouse = Warehouse(data_dir())
    if not warehouse.path.exists():
        return
    models = set(warehouse.query("SELECT DISTINCT model FROM autoif.llm_calls")["model"])
    if models and (DEMO_MODEL in models) != (model == DEMO_MODEL):
        kept = "the demo's synthetic data" if DEMO_MODEL in models else "real data"
        raise click.ClickException(
            f"{data_dir()} holds {kept}, and the exports hold all batches of a folder. "
            "Set AUTOIF_DATA to another folder, or delete this one."
        )


def print_funnel(batch: str) -> None:
    """Print what each gate kept and why it rejected the rest, and where the results are."""
    from autoif_assets.warehouse import TABLES, Warehouse

    warehouse = Warehouse(data_dir())
    funnel = warehouse.query(
        "SELECT stage, status, reason, rows FROM autoif.funnel WHERE batch = ?"
        " ORDER BY position, status, rows DESC, reason",
        [batch],
    )
    click.echo(f"\n{'stage':<30}{'rows':>7}{'kept':>7}  rejected because")
    gates = funnel.partition_by("stage", as_dict=True)
    for stage in (name for name, table in TABLES.items() if table.section and table.partitions):
        gate = gates.get((stage,), funnel.clear())
        kept = gate.filter(gate["status"].fill_null("accepted") == "accepted")["rows"].sum()
        reasons = ", ".join(
            f"{reason} {rows}"
            for status, reason, rows in gate.select("status", "reason", "rows").iter_rows()
            if status == "rejected"
        )
        click.echo(f"{stage:<30}{gate['rows'].sum():>7}{kept:>7}  {reasons}".rstrip())
    click.echo(
        f"\nTables:   {warehouse.published_path} (schema autoif)\n"
        f"Datasets: {data_dir() / 'exports'}\n"
        "Dagster:  make dev"
    )


@main.command()
@click.option("--batch", default="demo", help="Key of the batch.")
def demo(batch: str) -> None:
    """Run one batch against the built-in simulator: synthetic data that shows the machinery."""
    click.secho(
        "The demo's model is a simulator: its data is synthetic and shows the machinery only.",
        bold=True,
    )
    with server("simulate", "--port", "0", "--model", DEMO_MODEL) as base_url:
        os.environ["AUTOIF_BASE_URL"] = base_url
        os.environ["AUTOIF_MODEL"] = DEMO_MODEL
        before = served(base_url)
        run_batch(batch, None, {})
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


@main.command("demo-llm")
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
            os.environ["AUTOIF_BASE_URL"] = base_url
            os.environ["AUTOIF_MODEL"] = gguf.stem
            # More requests than slots would only wait in the server and run into the time limit.
            os.environ["AUTOIF_MAX_CONCURRENCY"] = "2"
            run_batch(batch, None, {**SMALL, **dict(map(parse_override, overrides))})
    except LocalModelError as error:
        raise click.ClickException(str(error)) from None


@main.group("local-model")
def local_model() -> None:
    """The real small model of `autoif demo-llm`: its weights and its server."""


@local_model.command("fetch")
@click.argument("model", envvar="AUTOIF_LOCAL_MODEL", default="qwen2.5-coder-1.5b")
def local_model_fetch(model: str) -> None:
    """Download the weights of MODEL, check their hash and print where they are."""
    from autoif_assets.localmodel import LocalModelError, fetch

    try:
        click.echo(fetch(model))
    except LocalModelError as error:
        raise click.ClickException(str(error)) from None


@local_model.command("serve")
@click.argument("model", envvar="AUTOIF_LOCAL_MODEL", default="qwen2.5-coder-1.5b")
@click.option("--host", default="127.0.0.1")
@click.option("--port", default=8080)
@click.option("--slots", default=4, help="Completions computed at a time; n may not exceed it.")
@click.option("--threads", default=None, type=int, help="CPU threads; default: all cores.")
def local_model_serve(model: str, host: str, port: int, slots: int, threads: int | None) -> None:
    """Serve MODEL over OpenAI's protocol until interrupted."""
    from autoif_assets.localmodel import LocalModelError, fetch, serve

    try:
        serve(fetch(model), host, port, slots=slots, threads=threads)
    except LocalModelError as error:
        raise click.ClickException(str(error)) from None


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


@main.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """Serve the simulator, a stand-in supervision model, over HTTP."""
    from autoif_assets.simulator.command import simulate as command

    command.main(list(arguments), prog_name="autoif simulate")


@main.group()
def batch() -> None:
    """Batches: the units of generation, retry and backfill."""


@batch.command("add")
@click.argument("keys", nargs=-1, required=True)
def batch_add(keys: tuple[str, ...]) -> None:
    """Register batches, to be materialised from the UI or by `autoif run --batch`."""
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES

    for key in keys:
        if "," in key or not key.strip():
            raise click.ClickException(
                f"{key!r} cannot be a batch: Dagster's backfills split keys at commas."
            )
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(BATCHES.name), list(keys))
        click.echo("\n".join(instance.get_dynamic_partitions(str(BATCHES.name))))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(arguments: tuple[str, ...]) -> None:
    """Start Dagster's UI and daemon on this data folder; ARGUMENTS go to `dagster dev`."""
    prepare_home()
    program = Path(sys.executable).parent / "dagster"
    os.execv(program, ["dagster", "dev", "-m", "autoif_assets.definitions", *arguments])


@main.command()
def doctor() -> None:
    """Say what works here: confinement of verifiers, the endpoint, the data folder."""
    from autoif_assets.endpoint import Client, EndpointError
    from autoif_assets.sandbox import confinement

    sound = True
    report = confinement()
    click.echo(f"sandbox   {report}")
    sound &= report.level != "none"
    base_url = os.environ.get("AUTOIF_BASE_URL", "http://127.0.0.1:8000/v1")
    model = os.environ.get("AUTOIF_MODEL", "")
    try:
        served = Client(base_url, model, os.environ.get("AUTOIF_API_KEY", "")).models()
        click.echo(f"endpoint  {base_url} serves {', '.join(served)}")
        if model not in served:
            sound = False
            click.echo(f"          AUTOIF_MODEL is {model!r}: set it to one of these")
    except EndpointError as error:
        sound = False
        click.echo(f"endpoint  {error}")
    click.echo(f"data      {data_dir()}")
    sys.exit(0 if sound else 1)


@main.command()
def publish() -> None:
    """Refresh the copy of the database that people read."""
    from autoif_assets.warehouse import Warehouse

    warehouse = Warehouse(data_dir())
    warehouse.publish()
    click.echo(warehouse.published_path)


if __name__ == "__main__":
    main()
