"""kill -9 of `autoif run` at every stage: running it again ends as if nothing had happened.

Set AUTOIF_TEST_PIPELINE_KILLS for a longer test.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES, polars_schema

from .assets.pipeline import COST, SMALL, differing, exports, tables
from .dev.daemon import instance_of, wait_for

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("AUTOIF_TEST_PIPELINE_KILLS", "4"))
CONCURRENCY = 8
NUMBERS = SMALL | {
    "instructions_per_batch": 4,
    "seeds_per_batch": 8,
    "verifiers_per_instruction": 4,
}
MOST_SAMPLES = 4


def start(data: Path, base_url: str) -> subprocess.Popen:
    """Start `autoif run` in a session of its own, so that what it leaves behind can be found."""
    overrides = [f"--set={name}={value}" for name, value in NUMBERS.items()]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOIF", "DAGSTER"))}
    environment |= {
        "AUTOIF_DATA": str(data),
        "AUTOIF_BASE_URL": base_url,
        "AUTOIF_MODEL": "autoif-simulator",
        "AUTOIF_MAX_CONCURRENCY": str(CONCURRENCY),
    }
    with (data.parent / f"{data.name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "autoif_assets.cli", "run", "--batch", "b1", *overrides],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def lines(data: Path) -> int:
    """Return how many answers the journals hold."""
    return sum(path.read_bytes().count(b"\n") for path in data.glob("journals/*/*/*.jsonl"))


def leftovers(sessions: list[int]) -> list[int]:
    """Return the living processes of some sessions."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) in sessions and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def files(data: Path) -> set[str]:
    """Return what lies in a data folder, apart from files that are named after runs."""
    return {
        path.relative_to(data).as_posix()
        for path in data.rglob("*")
        if path.is_file() and path.relative_to(data).parts[0] not in ("journals", "dagster")
    }


def test_killed_at_any_stage_and_run_again_the_data_is_the_same(tmp_path):
    chance = random.Random(1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings = SimulatorSettings(latency=0.1, latency_spread=0.5)
    with Simulator(settings) as simulator:
        assert start(whole, simulator.base_url).wait() == 0, log_of(whole)
        ideal = simulator.stats()["completions"]
        answers = lines(whole)

        # Spread over the answers, and from there into the stages that ask nothing; a third of
        # the kills, two at least, comes after the last answer, half of these while exports are
        # written.
        late = max(2, KILLS // 3)
        moments = [
            (answers * k // (KILLS - late), chance.uniform(0, 0.3)) for k in range(KILLS - late)
        ]
        moments += [(answers, chance.uniform(0, 4)) for _ in range(late)]
        reached, sessions = [], []
        for number, (after, delay) in enumerate(moments):
            process = start(killed, simulator.base_url)
            sessions.append(process.pid)
            # Past its imports, this run writes the seeds.
            wait_for_change(process, killed / "pipeline.duckdb")
            while process.poll() is None and lines(killed) < after:
                time.sleep(0.05)
            if number >= KILLS - late // 2:
                wait_for_change(process, killed / "exports")
            else:
                time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            reached.append((process.wait() == -signal.SIGKILL, lines(killed)))
        process = start(killed, simulator.base_url)
        assert process.wait() == 0, log_of(killed)
        completions = simulator.stats()["completions"] - ideal

    with instance_of(killed / "dagster") as instance:
        statuses = [run.status for run in instance.get_runs()]
    # Killed runs do not stay "started" and in the way of the queue.
    assert set(statuses) <= {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}

    kills = sum(was_killed for was_killed, _ in reached)
    assert kills > KILLS / 2, reached
    unequal = differing(tables(whole), tables(killed))
    assert unequal == [], tables(killed)["llm_calls"].drop_nulls("error")["error"].to_list()
    assert exports(whole) == exports(killed)
    assert published(whole) == published(killed)
    assert ideal <= completions <= ideal + kills * CONCURRENCY * MOST_SAMPLES
    assert files(whole) == files(killed)
    assert wait_for(lambda: not leftovers(sessions), 60), leftovers(sessions)
    print(f"{kills} kills at {reached}: {completions - ideal} completions asked again")


def wait_for_change(process: subprocess.Popen, path: Path) -> None:
    """Wait until a file or folder appears or changes, or the process ends."""
    before = path.stat().st_mtime_ns if path.exists() else None
    while process.poll() is None:
        if path.exists() and path.stat().st_mtime_ns != before:
            return
        time.sleep(0.01)


def log_of(data: Path) -> str:
    return (data.parent / f"{data.name}.log").read_text()[-4000:]


def published(data: Path) -> dict[str, list[tuple]]:
    """Return the rows of every published table, without what the calls cost."""
    rows = {}
    with duckdb.connect(data / "warehouse.duckdb", read_only=True) as con:
        for name, table in TABLES.items():
            columns = ", ".join(column for column in polars_schema(table) if column not in COST)
            rows[name] = con.execute(f"SELECT {columns} FROM autoif.{name} ORDER BY ALL").fetchall()
    return rows
