"""Starting the server: in a background thread, blocking, or as ``autoif simulate``."""

import asyncio
import os
import signal
import threading
from concurrent.futures import Future
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, Self, get_args

import click

from autoif_assets.simulator.settings import SimulatorSettings

if TYPE_CHECKING:
    from autoif_assets.simulator.server import Server

_BACKLOG = 4096


async def _serve(
    settings: SimulatorSettings,
    host: str,
    port: int,
    stop: asyncio.Event,
    ready: "Future[tuple[Server, int]]",
) -> None:
    # Imported here so that importing the package stays light.
    from aiohttp import web

    from autoif_assets.simulator.server import Server

    server = Server(settings)
    # As vLLM does: the request of a client that has gone is aborted and frees its slot.
    runner = web.AppRunner(
        server.app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    listening = runner.server
    if listening is not None:
        server.connections = lambda: len(listening.connections)
    try:
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
        await site.start()
        ready.set_result((server, int(runner.addresses[0][1])))
        await stop.wait()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        ready.set_exception(
            OSError(f"the simulator cannot listen on {host}:{port}: {reason.lower()}")
        )
    finally:
        await runner.cleanup()


class Simulator:
    """A simulator in a background thread with its own event loop.

    Use it as a context manager; a stopped one can be started again, with fresh counts.

    Args:
        settings: What it is like; the defaults if None.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, which is kept across restarts.

    Attributes:
        base_url: The URL an OpenAI client takes, ending in ``/v1``, once started.
    """

    def __init__(
        self, settings: SimulatorSettings | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.settings = settings or SimulatorSettings()
        self.host = host
        self.port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The server's root URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The URL an OpenAI client takes."""
        return f"{self.url}/v1"

    def start(self) -> Self:
        """Start the server and wait until it listens.

        Raises:
            OSError: The address cannot be listened on.
            RuntimeError: It runs already.
        """
        if self._thread is not None:
            raise RuntimeError("this simulator runs already")
        ready: Future[tuple[Server, int]] = Future()

        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await _serve(self.settings, self.host, self.port, self._stop, ready)

        def run() -> None:
            # An error before the server listens belongs to the caller of ``start``, who waits.
            try:
                asyncio.run(main())
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                else:
                    raise

        self._thread = threading.Thread(target=run, name="autoif-simulator", daemon=True)
        self._thread.start()
        try:
            self._server, self.port = ready.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise
        return self

    def stop(self) -> None:
        """Stop the server and wait until its thread has ended; nothing happens if it is off."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    def stats(self) -> dict[str, Any]:
        """Return the server's counts, see ``/debug/stats``; also after it has stopped."""
        if self._server is None:
            raise RuntimeError("this simulator was not started yet")
        return self._server.stats()

    def die(self, seconds: float) -> None:
        """Cut every connection, of every route but the debug ones, for some seconds."""
        if self._server is None:
            raise RuntimeError("this simulator was not started yet")
        self._server.faults.die(seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()


def run_simulator(
    settings: SimulatorSettings | None = None, host: str = "127.0.0.1", port: int = 8399
) -> None:
    """Serve until SIGINT or SIGTERM; prints one line with the URL when it is ready.

    Raises:
        OSError: The address cannot be listened on.
    """
    chosen = settings or SimulatorSettings()

    async def main() -> None:
        stop = asyncio.Event()
        # A stop by signal is an orderly end: open requests are cut, and the exit status is 0.
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        ready: Future[tuple[Server, int]] = Future()

        def announce(done: "Future[tuple[Server, int]]") -> None:
            if done.exception() is None:
                print(
                    f"autoif simulator ready: http://{host}:{done.result()[1]}/v1 "
                    f"model {chosen.model} (a stand-in: its data is synthetic)",
                    flush=True,
                )

        ready.add_done_callback(announce)
        await _serve(chosen, host, port, stop, ready)
        ready.result()

    asyncio.run(main())


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
