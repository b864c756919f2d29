"""A backfill on three machines, one of which is lost."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime

import dagster as dg
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES, polars_schema
from autoif_assets_tests.assets.pipeline import COST, differing, exports, tables
from autoif_assets_tests.cluster.machines import cluster, journaled
from autoif_assets_tests.dev.daemon import launch_backfill, statuses, wait_for
from autoif_assets_tests.simulator.models import MILD

pytestmark = [pytest.mark.cluster, pytest.mark.long]

BATCHES = tuple(f"b{number}" for number in range(1, 9))
PATIENCE_S = 1200
LATENCY_S = 0.5
SAMPLES = 4
SMALL = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": SAMPLES,
    "queries_per_instruction": 2,
    "responses_per_prompt": SAMPLES,
}
# On one machine, with a file for the tables.
ALONE = """
import sys
import dagster as dg
from autoif_assets.definitions import defs
job, exports = (defs.resolve_job_def(name) for name in ("batch", "exports"))
with dg.DagsterInstance.ephemeral() as instance:
    instance.add_dynamic_partitions("batch", sys.argv[1:])
    for batch in sys.argv[1:]:
        assert job.execute_in_process(partition_key=batch, instance=instance).success
    assert exports.execute_in_process(instance=instance).success
"""


class Reader(threading.Thread):
    """Reads the lake again and again, as a dashboard does."""

    def __init__(self, lake):
        super().__init__(daemon=True)
        self.lake, self.over = lake, threading.Event()
        self.reads, self.failures, self.seen = 0, [], defaultdict(set)

    def run(self):
        while not self.over.wait(0.5):
            try:
                with self.lake.reader() as con:
                    for table in ("responses", "response_verdicts", "sft_examples"):
                        counted = f"SELECT batch, count(*) FROM autoif.{table} GROUP BY batch"
                        for batch, rows in con.execute(counted).fetchall():
                            self.seen[table, batch].add(rows)
                self.reads += 1
            except Exception as error:
                self.failures.append(str(error))


def shared_lines(lake):
    """The finished calls that the storage has, by what tells them apart."""
    found = Counter()
    for key in lake.objects.keys("journals"):
        for line in b"".join(lake.objects.get(key)).splitlines():
            record = json.loads(line)
            found[record["call_id"], record["finished"]] += 1
    return found


def test_a_lost_machine_costs_no_batch_and_no_answer_that_was_shared(tmp_path, postgres):
    with (
        Simulator(SimulatorSettings(**MILD, latency=LATENCY_S)) as simulator,
        cluster(
            *(tmp_path, postgres, 3),
            AUTOIF_BASE_URL=simulator.base_url,
            AUTOIF_MODEL="autoif-simulator",
            AUTOIF_OVERRIDES=json.dumps(SMALL),
            AUTOIF_MAX_CONCURRENCY="4",
            AUTOIF_NIGHTLY_CRON="0 3 1 1 *",
        ) as made,
    ):
        lake = made.lake(tmp_path / "reader")
        reader = Reader(lake)
        reader.start()
        made.autoif("batch", "add", *BATCHES)
        launch_backfill(made.port, BATCHES)

        # In the middle of a batch: some of its answers are shared, and it asks on.
        def busy():
            for name, worker in made.workers.items():
                asked = {line["asset"] for line in journaled(worker.data / "journals")}
                if "responses" in asked and "response_scores" not in asked:
                    return name
            return None

        name = wait_for(busy, PATIENCE_S, 0.2)
        assert name, logs(made)
        lost = made.workers[name]
        moment = datetime.now(UTC)
        lost.stop(signal.SIGKILL)
        there = shared_lines(lake)
        lines = journaled(lost.data / "journals")

        with made.instance() as instance:
            success = dg.DagsterRunStatus.SUCCESS

            def ended():
                found = statuses(instance, BATCHES)
                return all(success in runs for runs in found.values()) and found

            found = wait_for(ended, PATIENCE_S, 1)
            assert found, (statuses(instance, BATCHES), logs(made))
            # The lost machine's run was seen to be lost, and another made its batch.
            runs = Counter(status for runs in found.values() for status in runs)
            assert runs == {success: len(BATCHES), dg.DagsterRunStatus.FAILURE: 1}
        reader.over.set()
        reader.join()
        assert reader.failures == []
        print(f"{reader.reads} reads while {len(BATCHES)} batches were made")
        with lake.reader() as con:
            for (table, batch), seen in reader.seen.items():
                counted = f"SELECT count(*) FROM autoif.{table} WHERE batch = ?"
                assert seen == {con.execute(counted, [batch]).fetchone()[0]}
        workers = [one.data / "journals" for one in made.workers.values()]
        assert sum(bool(journaled(folder)) for folder in workers) == 3

        # Paid twice is at most what the lost machine had not shared, and what it was asking.
        stats = simulator.stats()
        unshared = [one for one in lines if (one["call_id"], one["finished"]) not in there]
        ages = [
            (moment - datetime.fromisoformat(one["finished"])).total_seconds() for one in unshared
        ]
        twice = stats["completions"] - stats["distinct_completions"]
        print(
            f"{len(lines)} answers on the lost machine, {len(unshared)} not shared, the oldest "
            f"{max(ages, default=0):.1f} s old; {twice} completions paid twice"
        )
        assert twice <= sum(len(one["samples"]) for one in unshared) + 4 * SAMPLES
        keys = made.lake(tmp_path / "reader").objects.keys("journals")
        assert all(key.rpartition("/")[2].count(".") == 2 for key in keys), "segments are left"

        one = tmp_path / "alone"
        environment = {
            variable: value
            for variable, value in made.control.environment.items()
            if not variable.startswith(("DAGSTER", "AUTOIF_LAKE", "AUTOIF_STORAGE"))
        } | {"AUTOIF_DATA": str(one)}
        subprocess.run([sys.executable, "-c", ALONE, *BATCHES], env=environment, check=True)
        # Makes the exports anew, now that all batches are there.
        made.autoif("batch", "include", *BATCHES)
        compared = {
            table: lake.read(table, columns=[c for c in polars_schema(declared) if c not in COST])
            for table, declared in TABLES.items()
        }
        expected = tables(one)
        # On which side a prompt lies follows from the batches that were there when it was made.
        for found in (compared, expected):
            found["rl_prompts"] = found["rl_prompts"].drop("split")
            found["batches"] = found["batches"].drop("asked_by")
        assert differing(compared, expected) == []
        assert exports(made.control.data) == exports(one)


def logs(made):
    """The last words of all machines."""
    return {
        name: (one.folder / "log").read_text()[-3000:]
        for name, one in {"control": made.control, **made.workers}.items()
    }


@pytest.fixture(scope="module")
def postgres():
    pytest.importorskip("dagster_celery", reason="the extra cluster is not installed")
    from autoif_assets_tests.postgres import binaries, postgres

    if binaries() is None or shutil.which("redis-server") is None:
        pytest.skip("PostgreSQL or Redis is not installed (packages postgresql, redis-server)")
    with postgres() as server:
        yield server
