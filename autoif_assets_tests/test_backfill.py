"""A backfill of 8 batches, 4 at once, while people read: nothing fails, nothing is torn."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.daemon import (
    AUTOIF,
    autoif_dev,
    clean_environment,
    graphql,
    repository,
    wait_for,
)

BESIDE = Path(sys.executable).with_name("duckdb")
CLI = str(BESIDE) if BESIDE.exists() else shutil.which("duckdb")
BATCHES = [f"b{number}" for number in range(1, 9)]
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


@pytest.mark.slow
@pytest.mark.skipif(CLI is None, reason="the duckdb shell (duckdb-cli) is not installed")
def test_a_backfill_beside_readers(tmp_path):
    published = tmp_path / "warehouse.duckdb"
    with Simulator(SimulatorSettings()) as simulator:
        environment = clean_environment(
            AUTOIF_DATA=str(tmp_path),
            AUTOIF_BASE_URL=simulator.base_url,
            AUTOIF_MODEL="autoif-simulator",
            AUTOIF_OVERRIDES=json.dumps(SMALL),
        )
        subprocess.run([*AUTOIF, "batch", "add", *BATCHES], env=environment, check=True)
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
                assert shell.stdout.readline().startswith("open,true")

                def state():
                    found = graphql(port, _STATUS, id=launched["backfillId"])
                    found = found["partitionBackfillOrError"]
                    return found if found["status"] not in ("REQUESTED", "STARTED") else None

                ended = wait_for(state, _DONE_S, 2)
                assert ended is not None, "the backfill did not end"
                assert ended["status"] == "COMPLETED_SUCCESS", ended
                assert [run["status"] for run in ended["runs"]] == ["SUCCESS"] * len(BATCHES)
                assert most_at_once(ended["runs"]) == 4
                # The shell still has the file it opened, and reads from it.
                out, _ = shell.communicate(
                    "SELECT 'still', count(*) > 0 FROM autoif.llm_calls;\n", 60
                )
                assert out.strip() == "still,true"
                assert shell.returncode == 0
        finally:
            reader.over.set()
    reader.join()
    print(f"{reader.reads} reads while {len(BATCHES)} batches were made")
    assert reader.failures == []
    assert reader.reads > 100
    with duckdb.connect(published, read_only=True) as con:
        for table in TABLES:
            final = dict(
                con.execute(f"SELECT batch, count(*) FROM autoif.{table} GROUP BY batch").fetchall()
            )
            assert set(final) == set(BATCHES)
            if table != "llm_calls":  # filled asset by asset
                torn = {b: reader.seen[table, b] - {final[b]} for b in BATCHES}
                assert not any(torn.values()), torn
