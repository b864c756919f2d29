"""Cancelling a run in the UI: it stops asking at once and loses nothing of what came."""

import json
import subprocess
import time
from pathlib import Path

import dagster as dg
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Warehouse

from .daemon import (
    AUTOIF,
    READY_S,
    autoif_dev,
    clean_environment,
    graphql,
    repository,
    wait_for,
)

STOP_S = 5
_ESTABLISHED = "01"
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""
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
    paths = data.glob("journals/verifier_generation/b1/*.jsonl")
    return b"".join(path.read_bytes() for path in paths).splitlines(keepends=True)


def process_of(home, run_id):
    """Return the process that executes the steps of a run."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for entry in instance.all_logs(run_id):
            event = entry.dagster_event
            if event is not None and event.is_engine_event:
                pid = event.engine_event_data.metadata.get("pid")
                if pid is not None and "in process" in entry.message:
                    return int(pid.value)
    return None


@pytest.fixture
def simulator():
    # Slow enough that many requests wait when the run is cancelled.
    with Simulator(SimulatorSettings(latency=1.0, slots=4)) as running:
        yield running


@pytest.fixture
def webserver(tmp_path, simulator):
    """A webserver and daemon on ``tmp_path`` that know the batch b1; their port."""
    environment = clean_environment(
        AUTOIF_DATA=str(tmp_path),
        AUTOIF_BASE_URL=simulator.base_url,
        AUTOIF_MODEL="autoif-simulator",
    )
    subprocess.run([*AUTOIF, "batch", "add", "b1"], env=environment, check=True)
    with autoif_dev(environment) as port:
        yield port


@pytest.mark.slow
def test_cancelling_stops_the_requests_and_keeps_the_answers(webserver, simulator, tmp_path):
    launched = graphql(
        webserver,
        _LAUNCH,
        params={
            "selector": {**repository(webserver), "jobName": "batch"},
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "b1"}]},
        },
    )["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    assert wait_for(lambda: len(answers(tmp_path)) >= 6, READY_S)
    assert connections(simulator.port) > 0
    assert simulator.stats()["waiting"] > 0
    process = process_of(tmp_path / "dagster", run_id)
    assert process is not None and Path(f"/proc/{process}").exists()

    began = time.monotonic()
    terminated = graphql(webserver, _TERMINATE, run=run_id)["terminateRun"]
    assert terminated["__typename"] == "TerminateRunSuccess", terminated
    assert wait_for(lambda: connections(simulator.port) == 0, STOP_S)
    silent = time.monotonic() - began
    assert wait_for(lambda: not Path(f"/proc/{process}").exists(), STOP_S)
    gone = time.monotonic() - began
    status = wait_for(
        lambda: graphql(webserver, _STATUS, run=run_id)["runOrError"]["status"] == "CANCELED",
        STOP_S,
    )
    assert status
    stats = simulator.stats()
    assert stats["running"] == stats["waiting"] == 0

    lines = answers(tmp_path)
    assert all(line.endswith(b"\n") for line in lines)
    journaled = {json.loads(line)["call_id"] for line in lines}
    assert len(journaled) == len(lines) >= 6
    calls = Warehouse(tmp_path).read("llm_calls", {"asset": "verifier_generation", "batch": "b1"})
    assert set(calls["call_id"]) == journaled
    assert calls["error"].is_null().all()
    assert calls["completions"].list.len().min() == 8
    print(f"silent after {silent:.1f} s, process gone after {gone:.1f} s, {len(lines)} answers")
