"""The command ``autoif simulate``: one option for each setting."""

from dataclasses import Field, fields
from typing import Any, get_args

import click

from autoif_assets.simulator.running import run_simulator
from autoif_assets.simulator.settings import SimulatorSettings


def _option(item: "Field[Any]") -> click.Option:
    name = item.name.replace("_", "-")
    kind = next(iter(get_args(item.type)), item.type)
    flag = f"--{name}/--no-{name}" if kind is bool else f"--{name}"
    return click.Option(
        [flag, item.name],
        type=kind,
        default=item.default,
        show_default=item.default is not None,
        help=item.metadata["help"],
        # A key on the command line is seen by everybody who may list processes.
        envvar="AUTOIF_SIMULATOR_KEY" if item.name == "api_key" else None,
    )


@click.command(
    help="Serve a deterministic stand-in for a supervision model over OpenAI's protocol. "
    "Its data is synthetic: it shows the machinery and injects faults."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8399, show_default=True, help="Port to listen on; 0 takes a free one."
)
def simulate(host: str, port: int, **settings: Any) -> None:
    """Run the server until it is interrupted."""
    try:
        run_simulator(SimulatorSettings(**settings), host, port)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


simulate.params.extend(_option(item) for item in fields(SimulatorSettings))
