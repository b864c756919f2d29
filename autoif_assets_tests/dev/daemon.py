"""Real Dagster processes for tests: `autoif dev` on a data folder, asked as the UI asks it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from unittest.mock import patch
from urllib.error import URLError
from urllib.request import Request, urlopen

import dagster as dg

READY_S = 600
AUTOIF = [sys.executable, "-m", "autoif_assets.cli"]
BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(
    backfillParams: $params) { __typename ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message } } }"""
SELECTOR = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    name location { name } } } } }"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def graphql(port, query, **variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{port}/graphql", body, headers)
    with urlopen(request, timeout=120) as reply:
        answer = json.load(reply)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def wait_for(condition, seconds, every=0.05):
    """Return what the condition gives as soon as it is true, and what it gave at the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return value


def instance_of(home):
    """The Dagster instance of a home, whose own settings name the folder by the environment."""
    with patch.dict(os.environ, DAGSTER_HOME=str(home)):
        return dg.DagsterInstance.get()


def statuses(instance, batches):
    """The runs of batches that are over, by batch."""
    found = {batch: [] for batch in batches}
    for run in instance.get_runs():
        if run.tags.get("dagster/partition") in found and run.is_finished:
            found[run.tags["dagster/partition"]].append(run.status)
    return found


def all_made(instance, batches):
    """Whether each of the batches has a run that went well."""
    success = dg.DagsterRunStatus.SUCCESS
    return all(success in runs for runs in statuses(instance, batches).values())


def repository(port):
    """The selector of our definitions, as mutations want it."""
    (node,) = graphql(port, SELECTOR)["repositoriesOrError"]["nodes"]
    return {
        "repositoryName": node["name"],
        "repositoryLocationName": node["location"]["name"],
    }


def launch_backfill(port, batches):
    """Launch a backfill of batches as the UI does; return its id."""
    launched = graphql(
        port,
        BACKFILL,
        params={
            "selector": {
                "partitionSetName": "batch_partition_set",
                "repositorySelector": repository(port),
            },
            "partitionNames": batches,
        },
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return launched["backfillId"]


def start_dev(environment, port, **options):
    """Start `autoif dev` in a session of its own."""
    return subprocess.Popen(
        [*AUTOIF, "dev", "-h", "127.0.0.1", "-p", str(port)],
        env={"AUTOIF_REPORT_PORT": str(free_port()), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )


@contextmanager
def autoif_dev(environment):
    """Run the webserver and the daemon; yields the port once they answer."""
    port = free_port()
    server = start_dev(environment, port)

    def ready():
        assert server.poll() is None
        try:
            return graphql(port, SELECTOR)["repositoriesOrError"]["nodes"]
        except (URLError, ConnectionError, TimeoutError):
            return None

    try:
        assert wait_for(ready, READY_S, 0.5), "the webserver did not answer"
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
