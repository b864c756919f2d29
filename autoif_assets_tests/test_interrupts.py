"""Ctrl-C of a real process: one line, over in 2 s, and the same command goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from autoif_assets.automation.runs import busy_batches, under_way
from autoif_assets.cli.interrupts import EXIT_CODE, command_of
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.simulator.models import MILD

from .dev.daemon import instance_of, wait_for
from .environment import paper_environment

NUMBERS = ("instructions_per_batch=4", "seeds_per_batch=8", "verifiers_per_instruction=4")
STOPPED = "Stopped; the same command continues."
# A shell lets a background job ignore Ctrl-C, and pytest may be one.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    # Until the command takes them, signals wait.
    "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
    "import os, pathlib; from autoif_assets.cli import main\n"
    "pathlib.Path(os.environ['AUTOIF_DATA']).with_name('begun').touch(); main()"
)


def start(data, url, *arguments):
    environment = paper_environment() | {
        "AUTOIF_DATA": str(data),
        "AUTOIF_BASE_URL": url,
        "AUTOIF_MODEL": "autoif-simulator",
    }
    numbers = [f"--set={number}" for number in NUMBERS]
    with (data.parent / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "run", "--batch", "b1", *numbers, *arguments],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def interrupted(process):
    """Interrupt as a terminal does; return the seconds it took to end."""
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == EXIT_CODE
    return time.monotonic() - began


@pytest.mark.long
def test_ctrl_c_prints_one_line_and_the_same_command_continues(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    with Simulator(SimulatorSettings(**MILD, latency=1.5)) as simulator:
        # While it imports; as soon as Dagster knows of it; while it waits for answers.
        for moment in (tmp_path / "begun", data / "dagster", data / "journals"):
            process = start(data, simulator.base_url)
            assert wait_for(moment.exists, 60)
            before = log.stat().st_size
            assert interrupted(process) < 2
            said = log.read_text()[before:].splitlines()
            assert said[-1] == STOPPED
            assert not [line for line in said if "Traceback" in line or "Interrupted" in line]
        with instance_of(data / "dagster") as instance:
            assert instance.get_runs_count() > 0
            assert under_way(instance, "b1") is None
            assert busy_batches(instance) == set()


@pytest.mark.slow
def test_a_run_over_a_lost_database_refuses_until_it_is_restored(copied):
    data = copied.data
    (data / "pipeline.duckdb").unlink()
    published = (data / "warehouse.duckdb").read_bytes()
    process = start(data, copied.simulator.base_url)
    assert process.wait(60) == 2
    log = data.parent / "log"
    assert "`autoif restore` makes the database from that copy" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert (data / "warehouse.duckdb").read_bytes() == published
    restored = subprocess.run(
        [sys.executable, "-m", "autoif_assets.cli", "restore"],
        env={**os.environ, "AUTOIF_DATA": str(data)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "is again what" in restored.stdout
    assert (data / "pipeline.duckdb").read_bytes() == published
    shutil.rmtree(data)


@pytest.mark.parametrize(
    ("arguments", "command"), [(["run", "--batch", "x"], "run"), (["--help"], ""), ([], "")]
)
def test_the_command_is_found(arguments, command):
    assert command_of(arguments) == command
