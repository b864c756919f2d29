"""How fast answers are rewarded, beside the ways in which people usually do it.

    python -m autoif_assets_tests.benchmarks.rewards [--seconds 4] [--rounds 3]

The load is that of GRPO: groups of 8 distinct samples of a prompt, each prompt with an instruction
of its own and three verifiers. So many clients send so many completions a request, each the next
request when the last is answered; figures are completions a second and the 99th percentile of a
request's time, medians of interleaved rounds, so that all designs see the same moods of the
machine. Clients run on the same cores.

========  ======================================================================================
alarm     (a) exec, and SIGALRM around each call, in the trainer's own process; no HTTP
pool      (b) the same in a pool of processes, a task a completion; no HTTP
single    (c) one HTTP request a completion, each run by itself in the sandbox
strict    `autoif rewards serve --strict`: each verifier in a process of its own
share     `autoif rewards serve`: an instruction's verifiers share one
========  ======================================================================================

`alarm` and `pool` do not confine what they run.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from autoif_assets.sandbox import Sandbox, Unit
from autoif_assets_tests.benchmarks.figures import parse, recording
from autoif_assets_tests.benchmarks.sandbox import OWN, OWN_TEXTS

LOADS = ((1, 1), (8, 1), (64, 1), (256, 1), (1, 8), (1, 128), (8, 8), (8, 128))
DESIGNS = ("alarm", "pool", "single", "strict", "share")
GROUP = 8  # samples of a prompt
INSTRUCTIONS = 64
VERIFIERS = 3
_LIMIT_S = 1.0

Items = list[dict[str, Any]]
# What a design did with a load for some seconds: completions, seconds, and each request's time.
Run = tuple[int, float, list[float]]


def sources(instruction: int) -> list[str]:
    """Return the verifiers of an instruction, each its own function."""
    chosen = (OWN[(instruction + k) % len(OWN)] for k in range(VERIFIERS))
    return [f"# {instruction}\n{source}" for source in chosen]


def write_data(folder: Path) -> Path:
    """Write the verifiers as an export has them."""
    lines = [
        {
            "instruction_id": f"i{number}",
            "instruction": f"Instruction {number}.",
            "verifiers": [
                {"verifier_id": f"i{number}-{k}", "source": source}
                for k, source in enumerate(sources(number))
            ],
            "limits": {},
        }
        for number in range(INSTRUCTIONS)
    ]
    (folder / "verifiers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


def completions(seed: int) -> Iterator[dict[str, Any]]:
    """Yield items without end, in groups, none like another."""
    draw = random.Random(seed)
    for number in itertools.count():
        instruction = draw.randrange(INSTRUCTIONS)
        for sample in range(GROUP):
            text = " ".join(draw.choices(OWN_TEXTS, k=8))
            yield {
                "instruction_ids": [f"i{instruction}"],
                "response": f"{text} {seed} {number} {sample}",
            }


def requests_of(size: int, seed: int) -> Callable[[], Items]:
    """Return what gives each next request its completions: neighbours are of one group."""
    stream = completions(seed)
    return lambda: list(itertools.islice(stream, size))


# --- without HTTP ------------------------------------------------------------------------------


class _Late(Exception):
    """The alarm."""


def _alarm(number: int, frame: object) -> None:
    raise _Late


_LOADED: dict[str, Any] = {}


def by_alarm(item: dict[str, Any]) -> float:
    """Score one completion as hand-rolled rewards do: an exception is a zero."""
    signal.signal(signal.SIGALRM, _alarm)
    number = int(item["instruction_ids"][0][1:])
    passed = 0
    for source in sources(number):
        signal.setitimer(signal.ITIMER_REAL, _LIMIT_S)
        try:
            if source not in _LOADED:
                namespace: dict[str, Any] = {}
                exec(source, namespace)
                _LOADED[source] = namespace["evaluate"]
            passed += _LOADED[source](item["response"]) is True
        except Exception:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return float(2 * passed > VERIFIERS)


def run_alarm(clients: int, size: int, seconds: float, seed: int) -> Run:
    """Clients wait for one process, which takes their requests in turn."""
    following, done, times = requests_of(size, seed), 0, []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        sent = time.perf_counter()
        for _ in range(clients):
            for item in following():
                by_alarm(item)
            done += size
            times.append(time.perf_counter() - sent)
    return done, time.perf_counter() - began, times


def run_pool(pool: ProcessPoolExecutor, clients: int, size: int, seconds: float, seed: int) -> Run:
    """A thread for each client, a task for each completion."""
    following, lock = requests_of(size, seed), threading.Lock()
    times: list[float] = []
    ends = time.perf_counter() + seconds
    began = time.perf_counter()

    def client() -> None:
        while (sent := time.perf_counter()) < ends:
            with lock:
                items = following()
            futures: list[Future[float]] = [pool.submit(by_alarm, item) for item in items]
            for future in futures:
                future.result()
            times.append(time.perf_counter() - sent)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) * size, time.perf_counter() - began, times


# --- over HTTP ---------------------------------------------------------------------------------


def serve_single(folder: Path) -> None:
    """Serve (c): each request runs its verifiers by itself, one request at a time."""
    from aiohttp import web

    turn = asyncio.Lock()
    sandbox = Sandbox(workers=len(os.sched_getaffinity(0)), repeats=0, share=True)

    def evaluate(item: dict[str, Any]) -> float:
        id = item["instruction_ids"][0]
        units = [
            Unit(str(k), source, (item["response"],), id)
            for k, source in enumerate(sources(int(id[1:])))
        ]
        found = [result.outcomes[0] for result in sandbox.evaluate(units)]
        return float(2 * found.count("pass") > VERIFIERS)

    async def score(request: web.Request) -> web.Response:
        (item,) = json.loads(await request.read())["items"]
        async with turn:
            reward = await asyncio.to_thread(evaluate, item)
        return web.json_response({"rewards": [{"reward": reward}]})

    async def main() -> None:
        app = web.Application()
        app.add_routes([web.post("/score", score)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        print(f"single at http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    with sandbox:
        asyncio.run(main())


def run_http(url: str, split: bool, clients: int, size: int, seconds: float, seed: int) -> Run:
    """Clients over HTTP; ``split`` sends each completion by itself, a request's at once."""
    import aiohttp

    following = requests_of(size, seed)
    times: list[float] = []

    async def main() -> float:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def post(items: Items) -> None:
                async with session.post(f"{url}/score", json={"items": items}) as response:
                    rewards = (await response.json())["rewards"]
                # A technical failure would make any design fast.
                assert len(rewards) == len(items) and all(r["reward"] is not None for r in rewards)

            async def client() -> None:
                while (sent := time.perf_counter()) < ends:
                    items = following()
                    if split:
                        await asyncio.gather(*(post([item]) for item in items))
                    else:
                        await post(items)
                    times.append(time.perf_counter() - sent)

            began = time.perf_counter()
            ends = began + seconds
            await asyncio.gather(*(client() for _ in range(clients)))
            return time.perf_counter() - began

    took = asyncio.run(main())
    return len(times) * size, took, times


@contextlib.contextmanager
def process(*command: str) -> Iterator[str]:
    """Run a server and yield the URL it prints."""
    child = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http://"))
    finally:
        # It has nothing to put in order, and may have inherited that SIGTERM is ignored.
        child.kill()
        child.wait()


# --- the table ---------------------------------------------------------------------------------


def measure(
    seconds: float,
    rounds: int,
    loads: Sequence[tuple[int, int]] = LOADS,
    designs: Sequence[str] = DESIGNS,
) -> list[dict[str, Any]]:
    """Return a row for each load and design: completions a second, and p99 in seconds."""
    found: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        folder = write_data(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        runs = _runs(stack, folder, designs)
        seeds = itertools.count(1)
        for _ in range(rounds):
            for (clients, size), design in itertools.product(loads, designs):
                done, took, times = runs[design](clients, size, seconds, next(seeds))
                late = sorted(times)[min(int(0.99 * len(times)), len(times) - 1)]
                found.setdefault((design, clients, size), []).append((done / took, late))
    return [
        {
            "design": design,
            "clients": clients,
            "completions": size,
            "per_s": statistics.median(rate for rate, _ in figures),
            "p99_s": statistics.median(late for _, late in figures),
        }
        for (design, clients, size), figures in found.items()
    ]


def _runs(
    stack: contextlib.ExitStack, folder: Path, designs: Sequence[str]
) -> dict[str, Callable[[int, int, float, int], Run]]:
    """Start what the designs need, and return what runs a load by each."""
    runs: dict[str, Callable[[int, int, float, int], Run]] = {}
    if "alarm" in designs:
        runs["alarm"] = run_alarm
    if "pool" in designs:
        workers = len(os.sched_getaffinity(0))
        context = multiprocessing.get_context("spawn")
        pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=context))
        runs["pool"] = lambda *load: run_pool(pool, *load)
    here = "autoif_assets_tests.benchmarks.rewards"
    serve = ("autoif_assets.cli", "rewards", "serve", "--data", str(folder), "--port", "0")
    commands = {
        "single": (here, "--serve-single", str(folder)),
        "strict": (*serve, "--strict"),
        "share": serve,
    }
    for name, command in commands.items():
        if name in designs:
            url = stack.enter_context(process(*command))
            split = name == "single"
            runs[name] = lambda *load, url=url, split=split: run_http(url, split, *load)
    return runs


def by_load(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Yield a row for each load, with the figures of all designs."""
    for clients, size in dict.fromkeys((row["clients"], row["completions"]) for row in rows):
        figures = {
            row["design"]: f"{row['per_s']:,.0f}/s, {row['p99_s']:.2f} s"
            for row in rows
            if (row["clients"], row["completions"]) == (clients, size)
        }
        yield {"clients × completions": f"{clients} × {size}", **figures}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--designs", nargs="+", default=DESIGNS, choices=DESIGNS)
    parser.add_argument("--loads", nargs="+", default=[f"{c}x{n}" for c, n in LOADS])
    parser.add_argument("--serve-single", type=Path, help=argparse.SUPPRESS)
    given = parse(parser)
    if given.serve_single:
        serve_single(given.serve_single)
        return
    loads = [
        (int(clients), int(size)) for clients, _, size in (x.partition("x") for x in given.loads)
    ]
    with recording("rewards", given) as add:
        for row in by_load(measure(given.seconds, given.rounds, loads, given.designs)):
            add(row)


if __name__ == "__main__":
    main()
