"""How busy a backfill keeps the endpoint, and what runs while it is not.

    python -m autoif_assets_tests.benchmarks.backfill_load [--batches 8] [--instructions 45]

Everything is a process of its own, as a person has it: the simulator, `autoif dev` with its daemon,
and the runs that it starts. The simulator's requests are counted ten times a second. Told are the
share of the time from the first to the last request in which it has none, and how many of its
slots are taken on average.
"""

import argparse
import itertools
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import dagster as dg

from autoif_assets_tests.benchmarks.figures import parse, recording
from autoif_assets_tests.dev.daemon import (
    autoif_dev,
    free_port,
    instance_of,
    launch_backfill,
    wait_for,
)
from autoif_assets_tests.environment import clean_environment

EVERY_S = 0.1
PATIENCE_S = 7200


class Watcher(threading.Thread):
    """Counts the simulator's requests.

    Attributes:
        samples: When, how many hold a slot, and how many wait.
    """

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url.removesuffix("/v1") + "/debug/stats"
        self.over = threading.Event()
        self.samples = []

    def run(self):
        while not self.over.wait(EVERY_S):
            with urlopen(self.url) as reply:
                stats = json.load(reply)
            self.samples.append((time.time(), stats["running"], stats["waiting"]))


def between(samples):
    """Return the samples from the first to the last request."""
    busy = [i for i, (_, running, _) in enumerate(samples) if running]
    return samples[busy[0] : busy[-1] + 1] if busy else []


def shares(samples, slots):
    """Return the share of time without work, and the share of slots that are taken."""
    span = samples[-1][0] - samples[0][0]
    idle = taken = 0.0
    for (start, running, _), (end, *_) in itertools.pairwise(samples):
        idle += (end - start) * (running == 0)
        taken += (end - start) * running / slots
    return {
        "seconds": round(span, 1),
        "time without a request": f"{idle / span:.1%}",
        "slots taken": f"{taken / span:.1%}",
    }


def steps(instance):
    """Return batch, asset, start and end of every step."""
    found = []
    for run in instance.get_runs():
        batch = run.tags.get("dagster/partition", "")
        found += [
            (batch, stats.step_key, stats.start_time, stats.end_time)
            for stats in instance.get_run_step_stats(run.run_id)
            if stats.start_time and stats.end_time
        ]
    return found


def while_not_full(samples, done, slots, most=0.5):
    """Return the seconds in which each step ran while fewer than so many slots were taken."""
    lost = Counter()
    for (start, running, _), (end, *_) in itertools.pairwise(samples):
        missing = (end - start) * (1 - running / slots)
        if running < most * slots:
            names = {name for _, name, began, ended in done if began <= start < ended}
            for name in names or {"(no step)"}:
                lost[name] += missing
    return lost


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--instructions", type=int, default=45)
    parser.add_argument("--queries", type=int, default=4)
    parser.add_argument("--responses", type=int, default=4)
    parser.add_argument("--recipe", default="audited")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds per request")
    parser.add_argument("--keep", type=Path, help="keep the samples and the data here")
    options = parse(parser)
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with recording("backfill_load", options) as add:
            add(measure(options, folder))
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def measure(options, folder):
    """Make the batches; return the figures."""
    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.cli.servers import server

    numbers = {
        "instructions_per_batch": options.instructions,
        "queries_per_instruction": options.queries,
        "responses_per_prompt": options.responses,
    }
    server_options = ("--slots", str(options.slots), "--latency", str(options.latency))
    keys = [f"b{i}" for i in range(options.batches)]
    with server("simulate", "--port", "0", *server_options) as url:
        environment = clean_environment(
            AUTOIF_DATA=str(folder / "data"),
            AUTOIF_BASE_URL=url,
            AUTOIF_MODEL="autoif-simulator",
            AUTOIF_RECIPE=options.recipe,
            AUTOIF_OVERRIDES=json.dumps(numbers),
            AUTOIF_REPORT_PORT=str(free_port()),
            # In a small batch a few answers that are cut off are a large share.
            AUTOIF_MAX_FAILED_SHARE="1",
        )
        with autoif_dev(environment) as port, instance_of(folder / "data/dagster") as instance:
            watcher = Watcher(url)
            watcher.start()
            instance.add_dynamic_partitions(str(BATCHES.name), keys)
            launch_backfill(port, keys)
            try:
                assert wait_for(lambda: all_over(instance, keys), PATIENCE_S, 2), "it did not end"
            finally:
                watcher.over.set()
                watcher.join()
            done = steps(instance)
    (folder / "samples.json").write_text(json.dumps({"samples": watcher.samples, "steps": done}))
    samples = between(watcher.samples)
    lost = while_not_full(samples, done, options.slots)
    return {
        "batches": options.batches,
        "instructions": options.instructions,
        **shares(samples, options.slots),
        "slot seconds lost while": ", ".join(f"{n} {s:.0f}" for n, s in lost.most_common(8)),
    }


def all_over(instance, keys):
    """Whether every batch has a run that is over."""
    runs = [run for run in instance.get_runs() if run.tags.get("dagster/partition") in keys]
    failed = [run.run_id for run in runs if run.status == dg.DagsterRunStatus.FAILURE]
    assert not failed, f"these runs failed: {failed}"
    return sum(run.is_finished for run in runs) >= len(keys)


if __name__ == "__main__":
    main()
