"""`autoif dev`: Dagster's UI and daemon on the data folder."""

import os
import sys
from pathlib import Path

import click

from autoif_assets.cli.home import prepare_home


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(arguments: tuple[str, ...]) -> None:
    """Start Dagster's UI and daemon on this data folder; ARGUMENTS go to `dagster dev`."""
    prepare_home()
    program = Path(sys.executable).parent / "dagster"
    os.execv(program, ["dagster", "dev", "-m", "autoif_assets.definitions", *arguments])
