"""How full the client keeps several replicas, also while one is killed, and what it costs in CPU.

Run with ``python -m autoif_assets_tests.benchmarks.fleet``. The simulators, each in its own
process, answer after a fixed latency and work on a fixed number of requests at once. The best
possible wall time is requests x latency / all slots; of the run in which one is killed midway, so
much longer as its slots are missing from then on. Prompts of one instruction begin alike.
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from autoif_assets.endpoint import Client, EndpointSettings, Journal, Request, llm_calls
from autoif_assets.method.prompts import RESPONSE
from autoif_assets.simulator import SimulatorSettings, run_simulator
from autoif_assets_tests.benchmarks.endpoint import wait_for
from autoif_assets_tests.benchmarks.figures import parse, recording


def serve(slots, latency_s, port):
    """Run a simulator with a fixed latency and a fixed number of parallel slots."""
    run_simulator(SimulatorSettings(slots=slots, latency=latency_s, model="m"), port=port)


@contextmanager
def simulators(count, slots, latency_s, port):
    """Serve, and yield the URLs and the processes."""
    spawn = multiprocessing.get_context("spawn")
    ports = [port + i for i in range(count)]
    served = [
        spawn.Process(target=serve, args=(slots, latency_s, one), daemon=True) for one in ports
    ]
    for process in served:
        process.start()
    try:
        for one in ports:
            wait_for(one)
        yield [f"http://127.0.0.1:{one}/v1" for one in ports], served
    finally:
        for process in served:
            process.kill()
            process.join()


def requests_of(count, instructions):
    """Prompts that begin alike by their instruction."""
    texts = [f"Write {i} sentences, each about another thing." for i in range(instructions)]
    return [
        Request(
            RESPONSE.render(instruction=texts[i % instructions], query=f"What is {i} plus {i}?"),
            *("response", 1, 1.0, 256, i),
        )
        for i in range(count)
    ]


def ask(urls, requests, on_progress=None):
    """Ask for all; return the wall time, the CPU time a request, and what each server answered."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), "a", "b", "r") as journal:
        client = Client(EndpointSettings(base_url=",".join(urls), model="m"), progress_every_s=0.25)
        wall, cpu = time.monotonic(), time.process_time()
        replies = client.complete(requests, journal, on_progress)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        calls = llm_calls(Path(folder), "a", "b")
    lost = sum(len(reply.choices) != 1 for reply in replies)
    beginnings = pl.DataFrame(
        {
            "beginning": [request.prompt.rpartition("What is")[0] for request in requests],
            "prompt": [request.prompt for request in requests],
        }
    ).join(calls.select("prompt", "base_url"), on="prompt")
    homes = beginnings.group_by("beginning", "base_url").len()
    at_home = homes.group_by("beginning").agg(pl.col("len").max())["len"].sum() / len(requests)
    return {
        "wall s": round(wall, 2),
        "CPU ms a request": round(1000 * cpu / len(requests), 2),
        "rows lost": lost,
        "prompts at their replica": f"{at_home:.0%}",
        "requests by replica": " ".join(map(str, sorted(Counter(calls["base_url"]).values()))),
    }


def measure(count, replicas, slots, latency_s, port, kill):
    """Ask all replicas; in the middle, kill one."""
    requests = requests_of(count, instructions=count // 40)
    best = count * latency_s / (replicas * slots)
    with simulators(replicas, slots, latency_s, port) as (urls, served):
        at = threading.Event()
        killed = [0.0, 0]
        began = time.monotonic()

        def on_progress(progress):
            if kill and progress.done >= count // 2 and not at.is_set():
                at.set()
                served[-1].kill()
                killed[:] = [time.monotonic() - began, progress.done]

        found = ask(urls, requests, on_progress)
    if kill:
        # What is left when it is killed, with its requests in flight, is for the others.
        left = count - killed[1] + slots
        share = replicas / (replicas - 1)
        ideal = killed[1] * latency_s / (replicas * slots)
        ideal += left * latency_s / (replicas * slots) * share
    else:
        ideal = best
    return {
        "case": "one killed midway" if kill else "all there",
        "ideal s": round(ideal, 2),
        "wall / ideal": round(found["wall s"] / ideal, 3),
        **found,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_240)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--slots", type=int, default=64, help="of each replica")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds per request")
    parser.add_argument("--port", type=int, default=18441)
    options = parse(parser)
    given = (options.replicas, options.slots, options.latency)
    with recording("fleet", options) as add:
        for kill in (False, True):
            add(measure(options.requests, *given, options.port, kill))


if __name__ == "__main__":
    main()
