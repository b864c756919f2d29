"""A server of rewards in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from autoif_assets.rewards import Scorer
from autoif_assets.rewards.server import RewardServer, serve


@contextmanager
def running(scorer: Scorer, token: str = "", port: int = 0) -> Iterator[str]:
    """Serve a scorer and yield the URL."""
    begun = threading.Event()
    found: dict[str, object] = {}

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        found["stop"] = lambda: loop.call_soon_threadsafe(stop.set)

        def ready(url: str) -> None:
            found["url"] = url
            begun.set()

        await serve(RewardServer(scorer, token), "127.0.0.1", port, ready, stop, 5.0)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    begun.wait()
    try:
        yield str(found["url"])
    finally:
        found["stop"]()  # type: ignore[operator]
        thread.join()
