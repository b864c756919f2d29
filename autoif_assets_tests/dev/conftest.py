"""One `autoif dev` for all tests of this folder, for it takes a minute to start, and a backfill."""

import json
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import open_published
from autoif_assets_tests.environment import paper_environment
from autoif_assets_tests.simulator.models import MILD

from .daemon import (
    AUTOIF,
    autoif_dev,
    free_port,
    graphql,
    instance_of,
    launch_backfill,
    repository,
    wait_for,
)

BATCHES = ("b1", "b2", "b3", "b4", "b5")
"""No more than run at once."""

TABLES = ("responses", "response_verdicts", "sft_examples", "llm_calls")
PATIENCE_S = 900
SMALL = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
}
_BESIDE = Path(sys.executable).with_name("duckdb")
SHELL = str(_BESIDE) if _BESIDE.exists() else shutil.which("duckdb")

_SCHEDULES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    schedules { name scheduleState { id status } } } } } }"""
_START = """mutation($schedule: ScheduleSelector!) { startSchedule(scheduleSelector: $schedule) {
    __typename ... on PythonError { message } } }"""
_STOP = """mutation($id: String!) { stopRunningSchedule(id: $id) {
    __typename ... on PythonError { message } } }"""
_ENDED = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs(limit: 100) { status startTime endTime } } } }"""
_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""


@dataclass(frozen=True)
class Dev:
    """A webserver and daemon, and what they work on.

    Attributes:
        data: The data folder.
        port: Port of the webserver.
        environment: What `autoif` is started with.
        simulator: The server that is asked, unless a run's configuration says otherwise.
    """

    data: Path
    port: int
    environment: dict[str, str]
    simulator: Simulator

    def autoif(self, *arguments: str) -> str:
        """Run a command beside the daemon; return what it prints."""
        done = subprocess.run(
            [*AUTOIF, *arguments], env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def instance(self) -> dg.DagsterInstance:
        return instance_of(self.data / "dagster")

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the webserver as the UI does."""
        return graphql(self.port, query, **variables)

    def launch(self, batch: str, resources: dict[str, dict[str, Any]] | None = None) -> str:
        """Request the run of a batch as the launchpad does; return its id."""
        config = {name: {"config": given} for name, given in (resources or {}).items()}
        launched = self.ask(
            _RUN,
            params={
                "selector": {**repository(self.port), "jobName": "batch"},
                "runConfigData": {"resources": config},
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": batch}]},
            },
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def switch(self, schedule: str, on: bool) -> None:
        """Switch a schedule on or off, as a person does in the UI."""
        if on:
            selector = {**repository(self.port), "scheduleName": schedule}
            (answer,) = self.ask(_START, schedule=selector).values()
        else:
            (node,) = self.ask(_SCHEDULES)["repositoriesOrError"]["nodes"]
            (state,) = [s["scheduleState"] for s in node["schedules"] if s["name"] == schedule]
            (answer,) = self.ask(_STOP, id=state["id"]).values()
        assert answer["__typename"] == "ScheduleStateResult", answer


@pytest.fixture(scope="session")
def dev(tmp_path_factory) -> Iterator[Dev]:
    """A daemon that makes small batches with a simulator; `repair_batches` is off at first."""
    data = tmp_path_factory.mktemp("dev")
    with Simulator(SimulatorSettings(**MILD)) as simulator:
        environment = paper_environment(
            AUTOIF_DATA=str(data),
            AUTOIF_BASE_URL=simulator.base_url,
            AUTOIF_MODEL="autoif-simulator",
            AUTOIF_OVERRIDES=json.dumps(SMALL),
            AUTOIF_REPORT_PORT=str(free_port()),
            AUTOIF_MAX_OUTAGE="1",
            AUTOIF_REPAIR_CRON="* * * * *",
            # On, and not during a test.
            AUTOIF_NIGHTLY_CRON="0 3 1 1 *",
        )
        with autoif_dev(environment) as port:
            started = Dev(data, port, environment, simulator)
            started.switch("repair_batches", on=False)
            yield started


class Reader(threading.Thread):
    """Opens the published file again and again, as a dashboard does.

    Attributes:
        reads: How often it was read.
        failures: What went wrong.
        seen: The numbers of rows that were seen, by table and batch.
        batches: How many batches had responses, by read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path, self.over = path, threading.Event()
        self.reads, self.failures = 0, []
        self.seen, self.batches = defaultdict(set), set()

    def run(self) -> None:
        while not self.over.wait(0.2):
            if not self.path.exists():
                continue
            try:
                with open_published(self.path) as con:
                    found = {table: rows_by_batch(con, table) for table in TABLES}
            except duckdb.Error as error:
                self.failures.append(str(error))
                continue
            for table, counts in found.items():
                for batch, rows in counts.items():
                    self.seen[table, batch].add(rows)
            self.batches.add(len(found["responses"]))
            self.reads += 1


def rows_by_batch(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    return dict(
        con.execute(f"SELECT batch, count(*) FROM autoif.{table} GROUP BY batch").fetchall()
    )


@dataclass(frozen=True)
class Backfill:
    """A backfill of ``BATCHES`` that is over.

    Attributes:
        ended: Its status and runs, as the UI is told them.
        reader: Who read while it was made.
        said: What the shell said that was open meanwhile, and its exit status.
    """

    ended: dict[str, Any]
    reader: Reader
    said: tuple[str, int] | None = field(default=None)


@pytest.fixture(scope="session")
def backfill(dev: Dev) -> Backfill:
    """A backfill, while people read what it publishes."""
    published = dev.data / "warehouse.duckdb"
    dev.autoif("batch", "add", *BATCHES)
    reader = Reader(published)
    reader.start()
    try:
        backfill_id = launch_backfill(dev.port, BATCHES)
        assert wait_for(published.exists, PATIENCE_S, 0.5)
        shell = SHELL and subprocess.Popen(
            [SHELL, "-readonly", "-csv", "-noheader", str(published)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if shell:
            shell.stdin.write("SELECT 'open', count(*) > 0 FROM autoif.llm_calls;\n")
            shell.stdin.flush()
            opened = shell.stdout.readline()

        def state() -> dict[str, Any] | None:
            found = dev.ask(_ENDED, id=backfill_id)["partitionBackfillOrError"]
            return found if found["status"] not in ("REQUESTED", "STARTED") else None

        ended = wait_for(state, PATIENCE_S, 2)
        assert ended is not None, "the backfill did not end"
        if not shell:
            return Backfill(ended, reader)
        # It still has the file it opened, and reads from it.
        still, _ = shell.communicate("SELECT 'still', count(*) > 0 FROM autoif.llm_calls;\n", 60)
        return Backfill(ended, reader, (opened + still, shell.returncode))
    finally:
        reader.over.set()
        reader.join()
