"""The folder of everything the project writes, and the Dagster home in it."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from autoif_assets.warehouse import Warehouse

DEMO_MODEL = "autoif-simulator"
_SETTINGS = Path(__file__).parents[1] / "dagster.yaml"
# What stands in these settings for something that a person would miss in another home.
_OF_OUR_HOME = {
    "PooledSqliteStorage": "rows of failed runs begin with Dagster's words, not with the reason",
    "dagster/partition": "two runs may make one batch at a time and pay twice",
}
_MIN_FREE_MB = 20  # Dagster's own storage fails below this, and not in one sentence.


def data_dir() -> Path:
    """Return the folder of everything the project writes."""
    from autoif_assets.resources.settings import settings

    return Path(settings().data).expanduser().absolute()


def open_warehouse() -> "Warehouse":
    """Return the warehouse that the settings name."""
    from autoif_assets.resources.storage import configured_warehouse

    return configured_warehouse(data_dir())


def prepare_home(*, database: bool = True) -> Path:
    """Point DAGSTER_HOME at the data folder, unless the user has a home of their own.

    Args:
        database: Whether what follows reads or writes the database.

    Raises:
        click.ClickException: the folder cannot be written, or its disk is full.
        WarehouseError: The database is lost. Without its rows every batch would seem to lack all.
    """
    from autoif_assets.resources.settings import config_file

    # Run workers start in another folder than the shell: a relative path leads elsewhere there.
    file, os.environ["AUTOIF_DATA"] = config_file(), str(data_dir())
    # Named, for it need not lie beside the data folder that it names.
    if file is not None:
        os.environ["AUTOIF_CONFIG"] = str(file)
    if database:
        open_warehouse().check_not_lost()
    # Theirs has settings of its own, and may not be on this disk.
    if named := os.environ.get("DAGSTER_HOME"):
        if not Path(named).is_absolute() or not Path(named).is_dir():
            raise click.ClickException(
                f"DAGSTER_HOME is {named}, which is no folder that is there, by its whole path. "
                "Make it, or unset the variable: then Dagster's home is in the data folder."
            )
        _check_data()
        return Path(named)
    home = data_dir() / "dagster"
    try:
        home.mkdir(parents=True, exist_ok=True)
        link = home / "dagster.yaml"
        # A link, so that the home follows the settings of the version that is installed now.
        if not (link.exists() and link.samefile(_SETTINGS)):
            link.unlink(missing_ok=True)
            link.symlink_to(_SETTINGS)
    except OSError as error:
        raise click.ClickException(_unwritable(home, error.strerror)) from error
    if problem := folder_problem(home):
        raise click.ClickException(problem)
    _check_data()
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _check_data() -> None:
    if problem := data_problem():
        raise click.ClickException(problem)


def data_problem() -> str | None:
    """Say why the data folder does not do; None where it does."""
    data = data_dir()
    # Of those in it, the one that answers are written to first: a run as root may have made it.
    folders = (data, data / "journals", data / "exports")
    return next(filter(None, map(folder_problem, folders)), None)


def home_note() -> str | None:
    """Say what a Dagster home of the user's own does otherwise than that of the project."""
    import json

    import yaml

    named = os.environ.get("DAGSTER_HOME")
    if not named or Path(named) == data_dir() / "dagster":
        return None
    try:
        config = yaml.safe_load((Path(named) / "dagster.yaml").read_text("utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError):
        config = {}
    said = json.dumps(config, default=str)
    otherwise = [words for name, words in _OF_OUR_HOME.items() if name not in said]
    if not otherwise:
        return None
    return (
        f"DAGSTER_HOME is a home of your own, {named}: {'; '.join(otherwise)}. Take over what "
        f"{_SETTINGS} says, or unset the variable."
    )


def folder_problem(folder: Path) -> str | None:
    """Say why nothing can be stored in a folder, which need not be there yet; None where it can."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        return _unwritable(folder, "Not a directory")
    if not os.access(there, os.W_OK | os.X_OK):
        return _unwritable(folder, "no write access")
    free = shutil.disk_usage(there).free / 1e6
    if free < _MIN_FREE_MB:
        return (
            f"The disk of {data_dir()} is full ({free:.1f} MB are free). Free some space and run "
            f"the command again; nothing that was stored is lost."
        )
    return None


def _unwritable(folder: Path, why: str | None) -> str:
    return f"Cannot write to {folder} ({why}). Set AUTOIF_DATA to a folder that you may write to."


def ui_command() -> str:
    """Return what a person types in this folder to look at the data in Dagster's UI."""
    # `make` knows the environment of a checkout; who installed a wheel has no Makefile.
    checkout = Path(__file__).parents[2]
    if checkout == Path.cwd() and (checkout / "Makefile").is_file():
        return _with_data("make dev")
    return typed("dev")


def typed(*words: str) -> str:
    """Return what a person types in this folder to have `autoif` do something with the data."""
    return _with_data(shlex.join([program(), *words]))


def program() -> str:
    """Return the program as a person types it."""
    ours, found = Path(sys.executable).parent / "autoif", shutil.which("autoif")
    known = found is not None and ours.exists() and ours.samefile(found)
    # By its path where a shell would find none, or that of another environment.
    return str(ours) if ours.exists() and not known else "autoif"


def _with_data(command: str) -> str:
    # What the command would take without being told.
    if data_dir() != Path("data").absolute() or Path("autoif.yaml").exists():
        return f"AUTOIF_DATA={shlex.quote(str(data_dir()))} {command}"
    return command


def check_not_mixed(model: str) -> None:
    """Refuse real batches beside the demo's synthetic ones."""
    warehouse = open_warehouse()
    if not warehouse.exists:
        return
    models = set(warehouse.query("SELECT DISTINCT model FROM autoif.llm_calls")["model"])
    if models and (DEMO_MODEL in models) != (model == DEMO_MODEL):
        kept = "the demo's synthetic data" if DEMO_MODEL in models else "real data"
        raise click.ClickException(
            f"{data_dir()} holds {kept}, and the exports hold all batches of a folder. "
            "Set AUTOIF_DATA to another folder, or delete this one."
        )
