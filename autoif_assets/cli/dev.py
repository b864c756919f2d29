"""`autoif dev`: Dagster's UI and daemon on the data folder."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import click

from autoif_assets.cli.demos import end_with_parent
from autoif_assets.cli.home import data_dir, prepare_home


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(arguments: tuple[str, ...]) -> None:
    """Start Dagster's UI and daemon on this data folder; ARGUMENTS go to `dagster dev`."""
    prepare_home()
    _serve_exports()
    program = Path(sys.executable).parent / "dagster"
    os.execv(program, ["dagster", "dev", "-m", "autoif_assets.definitions", *arguments])


def _serve_exports() -> None:
    """Serve the exports to this machine: a browser follows no link from the UI to a file."""
    from autoif_assets.reports import report_port

    port, exports = report_port(), data_dir() / "exports"
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
