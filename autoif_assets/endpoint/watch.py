"""Following the server's own figures while it works."""

import asyncio
from collections.abc import Callable

from autoif_assets.endpoint.pace import Load
from autoif_assets.endpoint.wire import Failure, Wire

_EVERY_S = 1.0


async def watch(wire: Wire, seen: Callable[[Load], None]) -> None:
    """Hand every reading to ``seen``, for ever; a server that never has any is left alone."""
    any_yet = False
    while True:
        try:
            load = Load.parse(await wire.metrics())
        except Failure:
            load = None
        if load is not None:
            any_yet = True
            seen(load)
        elif not any_yet:
            return
        await asyncio.sleep(_EVERY_S)
