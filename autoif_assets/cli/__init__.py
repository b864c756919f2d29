"""`autoif`: what a person types. Thin wrappers; imports wait until a command needs them."""

import sys
import traceback
from typing import Any

import click

from autoif_assets import __version__
from autoif_assets.cli import remake, standing, watch
from autoif_assets.cli.batches import batch, grow
from autoif_assets.cli.browse import browse
from autoif_assets.cli.data import export, history, journal, publish, restore
from autoif_assets.cli.demos import demo, demo_llm, demo_loop
from autoif_assets.cli.doctor import doctor
from autoif_assets.cli.hub import pull, push
from autoif_assets.cli.interrupts import command_of, short_interrupts
from autoif_assets.cli.lake import lake, migrate_storage, sql
from autoif_assets.cli.output import say
from autoif_assets.cli.policies import policy
from autoif_assets.cli.preview import preview
from autoif_assets.cli.rewards import rewards
from autoif_assets.cli.runs import run
from autoif_assets.cli.servers import dev, local_model, serve, simulate
from autoif_assets.cli.settings import init, prompts, settings
from autoif_assets.cli.shows import show
from autoif_assets.display import displayed

__all__ = ["main"]


class _Commands(click.Group):
    """The commands; as a program of their own, which tests are not, they stop in their own way."""

    debug = False

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command; what a person can mend is told in a sentence, with the exit code 2."""
        self.debug = False
        try:
            return super().main(*arguments, **{**options, "standalone_mode": False})
        except click.Abort:
            click.echo("Stopped.", err=True)
            sys.exit(1)
        except Exception as error:
            if isinstance(error, click.ClickException):
                error.show()
            elif isinstance(error, _mistakes()):
                say(f"Error: {error}", err=True)
            else:
                raise
            if self.debug:
                traceback.print_exception(error)
            sys.exit(2)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        with short_interrupts(command_of()):
            return super().__call__(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it stops with may hold a server's words."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = displayed(error.message)  # type: ignore[misc]
            raise


def _mistakes() -> tuple[type[Exception], ...]:
    """Return the errors whose messages are for the person who reads them."""
    from autoif_assets.datasets import HubError
    from autoif_assets.endpoint import EndpointError
    from autoif_assets.inputs import InputError
    from autoif_assets.localmodel import LocalModelError
    from autoif_assets.method.recipe import RecipeError
    from autoif_assets.resources.settings import SettingsError
    from autoif_assets.rewards import RewardDataError, ServeError
    from autoif_assets.sandbox import SandboxUnavailable
    from autoif_assets.serving import ServingError
    from autoif_assets.warehouse import WarehouseError

    return (
        *(EndpointError, HubError, InputError, LocalModelError, RecipeError),
        *(RewardDataError, SandboxUnavailable, ServeError),
        *(SettingsError, ServingError, WarehouseError),
    )


@click.group(cls=_Commands, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="autoif")
def main() -> None:
    """Verified instruction-following data, made by an LLM and checked by execution."""


for command in (remake.batch_remake, watch.batch_watch, *standing.COMMANDS):
    batch.add_command(command)

for command in (
    run,
    preview,
    show,
    browse,
    demo,
    demo_llm,
    demo_loop,
    local_model,
    serve,
    simulate,
    batch,
    grow,
    policy,
    rewards,
    dev,
    init,
    prompts,
    settings,
    doctor,
    publish,
    restore,
    journal,
    history,
    export,
    push,
    pull,
    sql,
    lake,
    migrate_storage,
):
    main.add_command(command)


def _take_debug(command: click.Command) -> None:
    """Give a command and those below it the option that shows where in the code errors arose."""

    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        root = context.find_root().command
        if value and isinstance(root, _Commands):
            root.debug = True

    # Of those that pass all on to another program it would be that program's.
    if not command.context_settings.get("ignore_unknown_options"):
        option = click.Option(
            ["--debug"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=note,
            help="Show where in the code an error arose.",
        )
        command.params.append(option)
    for below in getattr(command, "commands", {}).values():
        _take_debug(below)


_take_debug(main)
