"""8 batches by a backfill while people read, then 2 whose server dies, which repairs complete."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.daemon import (
    AUTOIF,
    all_made,
    autoif_dev,
    clean_environment,
    graphql,
    repository,
    statuses,
    wait_for,
)

BESIDE = Path(sys.executable).with_name("duckdb")
CLI = str(BESIDE) if BESIDE.exists() else shutil.which("duckdb")
pytestmark = pytest.mark.slow
BATCHES = [f"b{number}" for number in range(1, 9)]
LATE = ["b9", "b10"]
SMALL = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 4,
    "responses_per_prompt": 4,
}
TABLES = ("responses", "response_verdicts", "sft_examples", "llm_calls")
_LAUNCH = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(
    backfillParams: $params) { __typename ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message } } }"""
_STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs(limit: 100) { status startTime endTime } } } }"""
_DONE_S = 900


class Reader(threading.Thread):
    """Opens the published file again and again, as a dashboard does."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.over = path, threading.Event()
        self.reads, self.failures = 0, []
        self.seen = defaultdict(set)

    def run(self):
        while not self.over.is_set():
            time.sleep(0.2)
            if not self.path.exists():
                continue
            try:
                with duckdb.connect(self.path, read_only=True) as con:
                    for table in TABLES:
                        counts = con.execute(
                            f"SELECT batch, count(*) FROM autoif.{table} GROUP BY batch"
                        ).fetchall()
                        for batch, rows in counts:
                            self.seen[table, batch].add(rows)
                self.reads += 1
            except duckdb.Error as error:
                self.failures.append(str(error))


def most_at_once(runs):
    """How many runs were under way in the same moment."""
    return max(
        sum(other["startTime"] <= run["startTime"] < other["endTime"] for other in runs)
        for run in runs
    )


def autoif(environment, *arguments):
    done = subprocess.run([*AUTOIF, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def simulator():
    with Simulator(SimulatorSettings()) as running:
        yield running


@pytest.fixture(scope="module")
def environment(simulator, tmp_path_factory):
    return clean_environment(
        AUTOIF_DATA=str(tmp_path_factory.mktemp("data")),
        AUTOIF_BASE_URL=simulator.base_url,
        AUTOIF_MODEL="autoif-simulator",
        AUTOIF_OVERRIDES=json.dumps(SMALL),
    )


@pytest.fixture(scope="module")
def backfill(environment):
    """How the backfill ended, what its reader saw and what the shell said."""
    published = Path(environment["AUTOIF_DATA"]) / "warehouse.duckdb"
    autoif(environment, "batch", "add", *BATCHES)
    reader = Reader(published)
    try:
        with autoif_dev(environment) as port:
            reader.start()
            launched = graphql(
                port,
                _LAUNCH,
                params={
                    "selector": {
                        "partitionSetName": "batch_partition_set",
                        "repositorySelector": repository(port),
                    },
                    "partitionNames": BATCHES,
                },
            )["launchPartitionBackfill"]
            assert launched["__typename"] == "LaunchBackfillSuccess", launched
            assert wait_for(published.exists, _DONE_S, 0.5)
            shell = subprocess.Popen(
                [CLI, "-readonly", "-csv", "-noheader", str(published)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            shell.stdin.write("SELECT 'open', count(*) > 0 FROM autoif.llm_calls;\n")
            shell.stdin.flush()
            opened = shell.stdout.readline()

            def state():
                found = graphql(port, _STATUS, id=launched["backfillId"])
                found = found["partitionBackfillOrError"]
                return found if found["status"] not in ("REQUESTED", "STARTED") else None

            ended = wait_for(state, _DONE_S, 2)
            # The shell still has the file it opened, and reads from it.
            still, _ = shell.communicate(
                "SELECT 'still', count(*) > 0 FROM autoif.llm_calls;\n", 60
            )
            said = opened + still, shell.returncode
    finally:
        reader.over.set()
    reader.join()
    return ended, reader, said


@pytest.mark.skipif(CLI is None, reason="the duckdb shell (duckdb-cli) is not installed")
def test_a_backfill_beside_readers(environment, backfill):
    ended, reader, said = backfill
    assert ended is not None, "the backfill did not end"
    assert ended["status"] == "COMPLETED_SUCCESS", ended
    assert [run["status"] for run in ended["runs"]] == ["SUCCESS"] * len(BATCHES)
    assert most_at_once(ended["runs"]) == 4
    assert said == ("open,true\nstill,true\n", 0)
    print(f"{reader.reads} reads while {len(BATCHES)} batches were made")
    assert reader.failures == []
    assert reader.reads > 100
    with duckdb.connect(reader.path, read_only=True) as con:
        for table in TABLES:
            final = dict(
                con.execute(f"SELECT batch, count(*) FROM autoif.{table} GROUP BY batch").fetchall()
            )
            assert set(final) == set(BATCHES)
            if table != "llm_calls":  # filled asset by asset
                torn = {b: reader.seen[table, b] - {final[b]} for b in BATCHES}
                assert not any(torn.values()), torn


def made(instance, batches):
    """When each asset of the batches was last made, as the number of its event."""
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    return {
        (key.to_user_string(), batch): event
        for key in instance.all_asset_keys()
        for batch, event in instance.get_latest_storage_id_by_partition(key, kind).items()
        if batch in batches
    }


def journals(folder, batches):
    return {
        path: path.read_bytes() for batch in batches for path in folder.glob(f"*/{batch}/*.jsonl")
    }


@pytest.mark.skipif(CLI is None, reason="the duckdb shell (duckdb-cli) is not installed")
@pytest.mark.usefixtures("backfill")
def test_what_failed_is_completed_and_nothing_else_touched(simulator, environment):
    data = Path(environment["AUTOIF_DATA"])
    repairing = environment | {"AUTOIF_REPAIR_CRON": "* * * * *", "AUTOIF_MAX_OUTAGE": "1"}
    with (
        dg.DagsterInstance.from_config(str(data / "dagster")) as instance,
        autoif_dev(repairing),
    ):
        before = made(instance, BATCHES), journals(data / "journals", BATCHES)
        served = simulator.stats()["completions"]
        autoif(repairing, "batch", "add", *LATE)
        # The server dies when they have begun.
        assert wait_for(lambda: simulator.stats()["completions"] > served + 5, _DONE_S)
        simulator.stop()
        assert wait_for(
            lambda: all(
                dg.DagsterRunStatus.FAILURE in runs for runs in statuses(instance, LATE).values()
            ),
            _DONE_S,
            1,
        )
        begun = made(instance, LATE)
        assert any(asset == "augmented_instructions" for asset, _ in begun)
        simulator.start()
        assert wait_for(lambda: all_made(instance, LATE), _DONE_S, 1), statuses(instance, LATE)
        assert begun.items() <= made(instance, LATE).items()
        assert (made(instance, BATCHES), journals(data / "journals", BATCHES)) == before
        assert {len(runs) for runs in statuses(instance, BATCHES).values()} == {1}
    listed = autoif(repairing, "batch", "list").splitlines()
    assert sorted(listed) == sorted(f"{batch}: complete" for batch in BATCHES + LATE)
