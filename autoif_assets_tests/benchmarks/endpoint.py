"""How full the client keeps a server, and what it costs in CPU, beside three other clients.

Run with ``python -m autoif_assets_tests.benchmarks.endpoint``. The simulator, in its own process,
answers after a fixed latency and works on a fixed number of requests at once, as a saturated
model server does. The best possible wall time is requests x latency / slots.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from pathlib import Path

import aiohttp
import openai

from autoif_assets.endpoint import Client, EndpointSettings, Journal, Progress, Request
from autoif_assets.method.prompts import RESPONSE
from autoif_assets.simulator import SimulatorSettings, run_simulator
from autoif_assets_tests.benchmarks.figures import parse, recording


def serve(slots, latency_s, port):
    """Run the simulator with a fixed latency and a fixed number of parallel slots."""
    run_simulator(SimulatorSettings(slots=slots, latency=latency_s, model="m"), port=port)


def prompts(count):
    return [
        RESPONSE.render(instruction="Use no commas.", query=f"What is {i} plus {i}?")
        for i in range(count)
    ]


def ours(url, texts, most_in_flight, n=1):
    """The client of this package, journal included."""
    requests = [Request(p, "response", n, 1.0, 256, i) for i, p in enumerate(texts)]
    last: list[Progress] = []
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), "a", "b", "r") as journal:
        settings = EndpointSettings(base_url=url, model="m", max_concurrency=most_in_flight)
        client = Client(settings)
        replies = client.complete(requests, journal, last.append)
    assert all(len(reply.choices) == n for reply in replies)


def stock(url, texts, slots):
    """The openai client as it comes, behind a semaphore."""

    async def go():
        client = openai.AsyncOpenAI(base_url=url, api_key="none")
        gate = asyncio.Semaphore(slots)

        async def one(prompt):
            async with gate:
                message = {"role": "user", "content": prompt}
                await client.chat.completions.create(model="m", messages=[message], max_tokens=256)

        await asyncio.gather(*(one(prompt) for prompt in texts))
        await client.close()

    asyncio.run(go())


def raw(url, texts, slots):
    """Nothing but aiohttp: no retries, no journal, no checks."""

    async def go():
        gate = asyncio.Semaphore(slots)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(prompt):
                message = {"role": "user", "content": prompt}
                body = {"model": "m", "messages": [message], "max_tokens": 256}
                async with gate, session.post(url + "/chat/completions", json=body) as response:
                    await response.json()

            await asyncio.gather(*(one(prompt) for prompt in texts))

    asyncio.run(go())


def wait_for(port):
    for _ in range(200):
        try:
            asyncio.run(_touch(port))
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the benchmark's server did not start")


async def _touch(port):
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.512, help="seconds per request")
    parser.add_argument("--samples", type=int, default=8, help="K of the comparison with n=K")
    parser.add_argument("--port", type=int, default=18431)
    parser.add_argument(
        "--clients",
        nargs="*",
        choices=["ours", "ample", "raw", "stock", "n", "singly"],
        help="only these",
    )
    options = parse(parser)
    count, slots, latency, k = options.requests, options.slots, options.latency, options.samples
    url = f"http://127.0.0.1:{options.port}/v1"
    spawn = multiprocessing.get_context("spawn")
    server = spawn.Process(target=serve, args=(slots, latency, options.port), daemon=True)
    server.start()
    wait_for(options.port)
    # Made beforehand: writing prompts is no client's work.
    many = prompts(count)
    few = many[: count // k]
    runs = {
        "ours": ("this client", ours, (url, many, slots)),
        # Allowed more than the server has slots for, it keeps a short queue there.
        "ample": ("this client, ample limit", ours, (url, many, 4 * slots)),
        "raw": ("raw aiohttp", raw, (url, many, slots)),
        "stock": ("stock openai, semaphore", stock, (url, many, slots)),
        "n": (f"this client, n={k}", ours, (url, few, slots, k)),
        # One request per sample: what n=K in one request saves.
        "singly": (f"this client, {k} x n=1", ours, (url, prompts(count // k * k), slots)),
    }
    with recording("endpoint", options) as add:
        for name, work, arguments in (runs[key] for key in options.clients or runs):
            sent = len(arguments[1])
            wall, cpu = time.monotonic(), time.process_time()
            work(*arguments)
            wall, cpu = time.monotonic() - wall, time.process_time() - cpu
            add(
                {
                    "client": name,
                    "requests": sent,
                    "wall / best": round(wall / (sent * latency / slots), 3),
                    "requests/s": round(sent / wall),
                    "CPU ms a request": round(1000 * cpu / sent, 2),
                }
            )
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
