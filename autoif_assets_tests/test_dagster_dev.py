"""`make dev`: a real webserver and daemon on the user's data."""

import os
import signal
import socket
from urllib.request import urlopen

import pytest

from autoif_assets_tests.daemon import (
    autoif_dev,
    clean_environment,
    free_port,
    graphql,
    start_dev,
    wait_for,
)

_REPOSITORIES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    jobs { name } assetGroups { groupName } schedules { name scheduleState { status } }
    sensors { name sensorState { status } } } } } }"""


@pytest.mark.slow
def test_dev_serves_the_definitions_from_the_data_folder(tmp_path):
    environment = clean_environment(AUTOIF_DATA=str(tmp_path), AUTOIF_NIGHTLY_CRON="0 3 * * *")
    environment["AUTOIF_REPORT_PORT"] = str(free_port())
    with autoif_dev(environment) as port:
        (repository,) = graphql(port, _REPOSITORIES)["repositoriesOrError"]["nodes"]
        assert {"batch", "exports"} <= {job["name"] for job in repository["jobs"]}
        assert {group["groupName"] for group in repository["assetGroups"]} == {
            "seeds",
            "instructions",
            "verifiers",
            "queries",
            "responses",
            "training",
            "exports",
            "online",
        }
        assert {s["name"]: s["scheduleState"]["status"] for s in repository["schedules"]} == {
            "nightly_batch": "RUNNING",
            "repair_batches": "STOPPED",
        }
        assert {s["name"]: s["sensorState"]["status"] for s in repository["sensors"]} == {
            "exports_follow_batches": "RUNNING",
            "killed_runs": "RUNNING",
        }
        assert (tmp_path / "dagster" / "dagster.yaml").exists()
        (tmp_path / "exports" / "report.html").write_text("the report")
        with urlopen(f"http://127.0.0.1:{environment['AUTOIF_REPORT_PORT']}/report.html") as page:
            assert page.read() == b"the report"
        instance = graphql(port, "{ instance { runQueueConfig { maxConcurrentRuns } } }")
        assert instance["instance"]["runQueueConfig"]["maxConcurrentRuns"] == 4


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_the_server_of_the_report_ends_with_dev(tmp_path):
    report = free_port()
    dev = start_dev(
        clean_environment(AUTOIF_DATA=str(tmp_path), AUTOIF_REPORT_PORT=str(report)),
        free_port(),
        # As under a supervisor that ignores it: what it starts does so too.
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    )
    try:
        assert wait_for(lambda: listening(report), 60)
        dev.kill()
        assert wait_for(lambda: not listening(report), 10)
    finally:
        os.killpg(dev.pid, signal.SIGKILL)
        dev.wait()
