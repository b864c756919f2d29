"""`make dev`: a real webserver and daemon on the user's data."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

READY_S = 240
_REPOSITORIES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    jobs { name } assetGroups { groupName } } } } }"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, query):
    request = Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=60) as reply:
        return json.load(reply)["data"]


@pytest.mark.slow
def test_dev_serves_the_definitions_from_the_data_folder(tmp_path):
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOIF", "DAGSTER"))}
    server = subprocess.Popen(
        [sys.executable, "-m", "autoif_assets.cli", "dev", "-h", "127.0.0.1", "-p", str(port)],
        env={**environment, "AUTOIF_DATA": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + READY_S
        while True:
            assert server.poll() is None
            try:
                (repository,) = ask(port, _REPOSITORIES)["repositoriesOrError"]["nodes"]
                break
            except (URLError, ConnectionError, TimeoutError):
                assert time.monotonic() < deadline, "the webserver did not answer"
                time.sleep(1)
        assert "batch" in {job["name"] for job in repository["jobs"]}
        assert {group["groupName"] for group in repository["assetGroups"]} == {
            "seeds",
            "instructions",
            "verifiers",
            "queries",
            "responses",
            "training",
            "exports",
        }
        assert (tmp_path / "dagster" / "dagster.yaml").exists()
        instance = ask(port, "{ instance { runQueueConfig { maxConcurrentRuns } } }")["instance"]
        assert instance["runQueueConfig"]["maxConcurrentRuns"] == 4
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
