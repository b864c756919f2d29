"""`autoif browse`: the tables in a browser."""

import asyncio
import os

import click

from autoif_assets.cli.home import open_warehouse
from autoif_assets.cli.output import say


@click.command()
@click.option("--port", default=8400, type=click.IntRange(0, 65535), help="0: a free one.")
def browse(port: int) -> None:
    """Serve pages of all tables to this machine until interrupted.

    Rows with filters, pairs side by side, verifiers with their cases, and where a row comes from.
    """
    from autoif_assets.browse import application, listening

    warehouse = open_warehouse()
    warehouse.reader().close()  # where there are no tables, that is told here

    async def serve() -> None:
        try:
            runner = await listening(application(warehouse), port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise click.ClickException(
                f"Port {port} cannot be listened on: {reason.lower()}. Name another --port."
            ) from None
        host, taken = runner.addresses[0]
        say(f"The tables of {warehouse.for_readers} at http://{host}:{taken}; Ctrl-C ends it.")
        await asyncio.Event().wait()

    asyncio.run(serve())
