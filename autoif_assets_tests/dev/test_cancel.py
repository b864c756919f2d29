"""Cancelling a run in the UI: it stops asking at once and loses nothing of what came."""

import json
from pathlib import Path

import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Warehouse

from .daemon import READY_S, wait_for

BATCH = "cancelled"
PATIENCE_S = 60
_ESTABLISHED = "01"
_TERMINATE = """mutation($run: String!) { terminateRun(runId: $run) {
    __typename ... on TerminateRunFailure { message } ... on PythonError { message } } }"""
_STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"


def connections(port):
    """Count the open connections to a local port, at the server's end."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = f"{port:04X}"
    return sum(row[1].endswith(f":{mine}") and row[3] == _ESTABLISHED for row in rows)


def answers(data):
    """Return the lines of the journals of the verifiers."""
    paths = data.glob(f"journals/verifier_generation/{BATCH}/*.jsonl")
    return b"".join(path.read_bytes() for path in paths).splitlines(keepends=True)


def process_of(instance, run_id):
    """Return the process that executes the steps of a run."""
    for entry in instance.all_logs(run_id):
        event = entry.dagster_event
        if event is not None and event.is_engine_event:
            pid = event.engine_event_data.metadata.get("pid")
            if pid is not None and "in process" in entry.message:
                return int(pid.value)
    return None


@pytest.fixture
def slow_server():
    """Slow enough that many requests wait when the run is cancelled."""
    with Simulator(SimulatorSettings(latency=2.0, slots=4)) as running:
        yield running


@pytest.fixture
def run_id(dev, slow_server):
    """The run of a batch that asks the slow server, and asks it much."""
    dev.autoif("batch", "add", BATCH)
    yield dev.launch(
        BATCH,
        {
            "supervision": {"base_url": slow_server.base_url},
            "recipe": {
                "overrides": {
                    "verifiers_per_instruction": 8,
                    "instructions_per_batch": 40,
                    "seeds_per_batch": 20,
                }
            },
        },
    )
    with dev.instance() as instance:  # so that no repair completes it
        instance.delete_dynamic_partition("batch", BATCH)


def test_cancelling_stops_the_requests_and_keeps_the_answers(dev, run_id, slow_server):
    assert wait_for(lambda: len(answers(dev.data)) >= 6, READY_S)
    assert connections(slow_server.port) > 0
    waiting = slow_server.stats()["waiting"]
    assert waiting > 0
    with dev.instance() as instance:
        process = process_of(instance, run_id)
    assert process is not None and Path(f"/proc/{process}").exists()

    before = len(answers(dev.data))
    terminated = dev.ask(_TERMINATE, run=run_id)["terminateRun"]
    assert terminated["__typename"] == "TerminateRunSuccess", terminated
    assert wait_for(lambda: connections(slow_server.port) == 0, PATIENCE_S)
    assert wait_for(lambda: not Path(f"/proc/{process}").exists(), PATIENCE_S)
    status = wait_for(
        lambda: dev.ask(_STATUS, run=run_id)["runOrError"]["status"] == "CANCELED", PATIENCE_S
    )
    assert status
    stats = slow_server.stats()
    assert stats["running"] == stats["waiting"] == 0

    lines = answers(dev.data)
    # What waited was not waited for.
    assert len(lines) < before + waiting
    assert all(line.endswith(b"\n") for line in lines)
    journaled = {json.loads(line)["call_id"] for line in lines}
    assert len(journaled) == len(lines) >= 6
    rows = {"asset": "verifier_generation", "batch": BATCH}
    calls = Warehouse(dev.data).read("llm_calls", rows)
    assert set(calls["call_id"]) == journaled
    assert calls["error"].is_null().all()
    assert calls["completions"].list.len().min() == 8
