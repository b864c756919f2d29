"""kill -9 of `autoif run` at every stage, on a server that fails: it ends as if nothing happened.

Set AUTOIF_TEST_PIPELINE_KILLS for a longer test.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES, polars_schema
from autoif_assets_tests.simulator.models import MILD

from .assets.pipeline import COST, SMALL, differing, exports, tables
from .dev.daemon import instance_of, wait_for
from .environment import paper_environment

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("AUTOIF_TEST_PIPELINE_KILLS", "4"))
CONCURRENCY = 8
NUMBERS = SMALL | {
    "instructions_per_batch": 2,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "further_responses_per_prompt": 4,
}
MOST_SAMPLES = 4
WORKING = SimulatorSettings(**MILD, latency=0.05, latency_spread=0.5)
# Three requests in ten fail, in each way that may pass; and some only take long.
FAILING = ("429", "500", "503", "drop", "half", "garbled")
RATE = 1 - 0.7 ** (1 / len(FAILING))
FAULTY = replace(
    WORKING,
    fault_slow=0.05,
    slow_seconds=0.5,
    retry_after=0.2,
    **{f"fault_{kind}": RATE for kind in FAILING},
)


def start(data: Path, base_url: str) -> subprocess.Popen:
    """Start `autoif run` in a session of its own, so that what it leaves behind can be found."""
    overrides = [f"--set={name}={value}" for name, value in NUMBERS.items()]
    environment = paper_environment() | {
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


@pytest.mark.long
def test_killed_at_any_stage_and_run_again_the_data_is_the_same(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with Simulator(WORKING) as simulator:
        assert start(whole, simulator.base_url).wait() == 0, log_of(whole)
        ideal = paid(simulator)
    answers = lines(whole)

    reached, sessions, twice = [], [], []
    with Simulator(FAULTY) as simulator:
        for moment in moments(answers):
            process = start(killed, simulator.base_url)
            sessions.append(process.pid)
            was_killed = kill(process, killed, moment)
            reached.append((was_killed, lines(killed)))
            twice.append(paid_twice(simulator))
        process = start(killed, simulator.base_url)
        assert process.wait() == 0, log_of(killed)
        twice.append(paid_twice(simulator))
        completions, stats = paid(simulator, ideal), simulator.stats()

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
    # What was answered whole and not journaled when its run was killed is all that is paid twice.
    again = sum(completions.values()) - sum(ideal.values())
    assert again == twice[-1] <= kills * CONCURRENCY * MOST_SAMPLES
    assert all(completions[role] >= ideal[role] for role in ideal)
    assert {*FAILING, "slow"} <= set(stats["faults"])
    assert files(whole) == files(killed)
    assert wait_for(lambda: not leftovers(sessions), 60), leftovers(sessions)
    by_kill = [after - before for before, after in pairwise(twice)]
    print(
        f"{kills} kills at {reached} under {stats['faults']} of {stats['received']} requests: "
        f"{again} of {sum(ideal.values())} completions paid twice, by kill {by_kill}"
    )


def moments(answers: int) -> list[tuple[int, float | None]]:
    """Return when to kill: after so many answers and seconds; None is while exports are written.

    They are spread over the answers, and from there into the stages that ask nothing; a third,
    two at least, comes after the last answer, half of these while exports are written.
    """
    chance = random.Random(1)
    late = max(2, KILLS // 3)
    early = KILLS - late
    return [
        *((answers * k // early, chance.uniform(0, 0.3)) for k in range(early)),
        *((answers, chance.uniform(0, 4)) for _ in range(late - late // 2)),
        *((answers, None) for _ in range(late // 2)),
    ]


def kill(process: subprocess.Popen, data: Path, moment: tuple[int, float | None]) -> bool:
    """Kill a run at a moment; return whether it lived until then."""
    after, delay = moment
    # Past its imports, this run writes the seeds.
    wait_for_change(process, data / "pipeline.duckdb")
    while process.poll() is None and lines(data) < after:
        time.sleep(0.05)
    if delay is None:
        wait_for_change(process, data / "exports")
    else:
        time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def paid(simulator: Simulator, roles: Iterable[str] | None = None) -> dict[str, int]:
    """Return the completions answered whole, by role; of all roles, or of some.

    Whether a server is back is asked for with words of no role.
    """
    counts = simulator.stats()["by_role"]
    return {role: counts[role]["completions"] for role in (counts if roles is None else roles)}


def paid_twice(simulator: Simulator) -> int:
    """Return how many completions were answered whole though they had been before."""
    stats = simulator.stats()
    return int(stats["completions"] - stats["distinct_completions"])


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
