"""kill -9 at random moments: nothing that was paid for is lost or asked for again."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from autoif_assets.endpoint import Journal, Request, llm_calls
from autoif_assets.endpoint.journal_files import read_journals
from autoif_assets.method.prompts import RESPONSE
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.endpoint.asking import client_of

KILLS = int(os.environ.get("AUTOIF_TEST_KILLS", "20"))
CALLS, SAMPLES, CONCURRENCY = 30 * KILLS, 2, 16  # more than is done between all the kills

# Forks one run of the client per line of input, so that a run starts in milliseconds.
HARNESS = """
import os, sys
from pathlib import Path
import autoif_assets.endpoint.wire  # before the forks: it takes a second
from autoif_assets_tests.endpoint.test_kill import complete
url, folder = sys.argv[1:]
for number, _ in enumerate(sys.stdin):
    child = os.fork()
    if child == 0:
        complete(url, Path(folder), f"run{number}")
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def requests():
    return [
        Request(
            RESPONSE.render(instruction="Use no commas.", query=f"What is {i} plus {i}?"),
            "response",
            SAMPLES,
            0.8,
            64,
            1000 * i,
        )
        for i in range(CALLS)
    ]


def complete(url, folder, run_id):
    with Journal(folder, "responses", "b1", run_id) as journal:
        client = client_of(url, "autoif-simulator", max_concurrency=CONCURRENCY)
        return client.complete(requests(), journal)


def journaled(folder):
    """Samples on disk, as (prompt, sample)."""
    return {
        (line["prompt"], sample)
        for line in read_journals(folder, "responses", "b1")
        for sample in line["samples"]
    }


@pytest.mark.long
def test_kill_9_at_random_moments_loses_and_repeats_nothing(tmp_path):
    chance = random.Random(5)
    settings = SimulatorSettings(slots=64, latency=0.15, latency_spread=0.3)
    with Simulator(settings) as server:
        whole = complete(server.base_url, tmp_path / "whole", "run")
        ideal = server.stats()["completions"]
        assert ideal == CALLS * SAMPLES

        folder = tmp_path / "killed"
        arguments = [sys.executable, "-c", HARNESS, server.base_url, str(folder)]
        harness = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        kills = 0
        try:
            for _ in range(KILLS):
                before = journaled(folder)
                harness.stdin.write("go\n")
                harness.stdin.flush()
                child = int(harness.stdout.readline())
                time.sleep(chance.uniform(0.05, 0.6))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                kills += int(harness.stdout.readline()) == signal.SIGKILL
                assert before <= journaled(folder)
        finally:
            harness.stdin.close()
            harness.wait(20)
            harness.stdout.close()
        assert kills > KILLS / 2
        resumed = complete(server.base_url, folder, "last")
        asked = server.stats()["completions"] - ideal

    assert resumed == whole
    in_flight = kills * CONCURRENCY * SAMPLES
    assert asked <= ideal + in_flight
    lines = [line for line in read_journals(folder, "responses", "b1") if line["choices"]]
    samples = [(line["prompt"], sample) for line in lines for sample in line["samples"]]
    assert len(samples) == len(set(samples)) == ideal
    one = llm_calls(folder, "responses", "b1")
    other = llm_calls(tmp_path / "whole", "responses", "b1")
    same = ["call_id", "prompt", "request", "completions", "finish_reasons", "completion_tokens"]
    assert one.select(same).equals(other.select(same))
    torn = Journal(folder, "responses", "b1", "look").torn
    print(json.dumps({"kills": kills, "asked_again": asked - ideal, "torn": torn}))


@pytest.mark.long
def test_30_percent_of_every_fault_leave_the_replies_as_they_are(tmp_path, monkeypatch):
    # The pauses are shortened; how often a row is tried is as ever.
    for pause in ("_WORKING_BACKOFF_S", "_MAX_BACKOFF_S"):
        monkeypatch.setattr(f"autoif_assets.endpoint.availability.{pause}", 0.2)
    wanted = requests()[:40]

    def ask_all(url, name):
        seen = []
        with Journal(tmp_path / name, "responses", "b1", "run") as journal:
            client = client_of(url, "autoif-simulator", max_concurrency=CONCURRENCY, timeout_s=0.5)
            return client.complete(wanted, journal, seen.append), seen[-1]

    with Simulator(SimulatorSettings(latency=0.01)) as server:
        whole, _ = ask_all(server.base_url, "whole")
    kinds = ("429", "500", "503", "slow", "drop", "half", "garbled")
    rates = {f"fault_{kind}": 0.3 for kind in kinds}
    faulty = SimulatorSettings(latency=0.01, slow_seconds=60, retry_after=0.1, **rates)
    with Simulator(faulty) as server:
        replies, progress = ask_all(server.base_url, "faulty")
        injected = server.stats()["faults"]
        asked = server.stats()["by_role"]["response"]["completions"]
    # The one-token requests that look for the end of an outage are of no role.
    assert asked == SAMPLES * len(wanted)
    assert replies == whole
    assert all(reply.error is None for reply in replies)
    assert set(injected) == set(kinds)
    causes = {"http 429", "http 500", "http 503", "timeout", "dropped", "body"}
    assert causes <= set(progress.retries)
    assert sum(progress.retries.values()) > 5 * len(wanted)


@pytest.mark.slow
def test_an_outage_of_the_simulator_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("autoif_assets.endpoint.availability._SILENT_S", 0.5)
    seen = []
    with Simulator(SimulatorSettings(latency=0.05)) as server:
        whole = complete(server.base_url, tmp_path / "whole", "run")

        def cut(progress):
            if progress.done and not seen:
                server.die(2.0)
            if progress.done:
                seen.append(progress)

        with Journal(tmp_path / "cut", "responses", "b1", "run") as journal:
            client = client_of(
                server.base_url,
                "autoif-simulator",
                max_concurrency=CONCURRENCY,
                first_contact_s=1.0,
                progress_every_s=0.05,
            )
            assert client.complete(requests(), journal, cut) == whole
    assert any(progress.outage for progress in seen)
