"""What `autoif dev` serves: the definitions and the report, from the data folder."""

import os
import signal
import socket
from urllib.request import urlopen

import pytest

from autoif_assets_tests.environment import clean_environment

from .daemon import READY_S, free_port, start_dev, wait_for

_REPOSITORIES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    jobs { name } assetGroups { groupName } schedules { name scheduleState { status } }
    sensors { name sensorState { status } } } } } }"""


def test_dev_serves_the_definitions_from_the_data_folder(dev):
    (repository,) = dev.ask(_REPOSITORIES)["repositoriesOrError"]["nodes"]
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
    # The one by its variable; the other was switched off in the UI.
    assert {s["name"]: s["scheduleState"]["status"] for s in repository["schedules"]} == {
        "nightly_batch": "RUNNING",
        "repair_batches": "STOPPED",
    }
    assert {s["name"]: s["sensorState"]["status"] for s in repository["sensors"]} == {
        "exports_follow_batches": "RUNNING",
        "killed_runs": "RUNNING",
    }
    assert (dev.data / "dagster" / "dagster.yaml").exists()
    instance = dev.ask("{ instance { runQueueConfig { maxConcurrentRuns } } }")
    assert instance["instance"]["runQueueConfig"]["maxConcurrentRuns"] == 6


def test_dev_serves_what_lies_in_the_exports(dev):
    (dev.data / "exports" / "mine.html").write_text("the report")
    with urlopen(f"http://127.0.0.1:{dev.environment['AUTOIF_REPORT_PORT']}/mine.html") as page:
        assert page.read() == b"the report"


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
        assert wait_for(lambda: listening(report), READY_S)
        dev.kill()
        assert wait_for(lambda: not listening(report), 60)
    finally:
        os.killpg(dev.pid, signal.SIGKILL)
        dev.wait()
