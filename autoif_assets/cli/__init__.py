"""`autoif`: what a person types. Thin wrappers; imports wait until a command needs them."""

from typing import Any

import click

from autoif_assets.cli import remake, standing
from autoif_assets.cli.batches import batch, grow
from autoif_assets.cli.data import export, history, journal, publish, restore
from autoif_assets.cli.demos import demo, demo_llm, demo_loop
from autoif_assets.cli.doctor import doctor
from autoif_assets.cli.interrupts import command_of, short_interrupts
from autoif_assets.cli.policies import policy
from autoif_assets.cli.runs import run
from autoif_assets.cli.servers import dev, local_model, serve, simulate
from autoif_assets.display import displayed

__all__ = ["main"]


class _Commands(click.Group):
    """The commands; as a program of their own, which tests are not, they stop in their own way."""

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


@click.group(cls=_Commands, context_settings={"show_default": True})
def main() -> None:
    """Verified instruction-following data, made by an LLM and checked by execution."""


for command in (remake.batch_remake, *standing.COMMANDS):
    batch.add_command(command)

for command in (
    run,
    demo,
    demo_llm,
    demo_loop,
    local_model,
    serve,
    simulate,
    batch,
    grow,
    policy,
    dev,
    doctor,
    publish,
    restore,
    journal,
    history,
    export,
):
    main.add_command(command)
