"""A run that serves its own model: one command does the whole job."""

import subprocess
import sys
from pathlib import Path

import pytest

from autoif_assets.warehouse import Warehouse
from autoif_assets_tests.serving.stand_in import install

from .environment import paper_environment

# A `vllm` that serves the simulator under the name it is told.
_COMMAND = """#!{python}
import os, sys
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
print("pid", os.getpid(), file=open({log!r}, "w"))
os.execv({python!r}, [{python!r}, "-m", "autoif_assets.cli", "simulate",
         "--port", value("--port"), "--model", value("--served-model-name")])
"""
_SMALL = {
    "instructions_per_batch": 2,
    "seeds_per_batch": 4,
    "verifiers_per_instruction": 4,
    "queries_per_instruction": 2,
    "responses_per_prompt": 2,
}


def run(tmp_path, *arguments, **environment):
    overrides = [part for name, n in _SMALL.items() for part in ("--set", f"{name}={n}")]
    return subprocess.run(
        [sys.executable, "-m", "autoif_assets.cli", "run", *overrides, *arguments],
        env=paper_environment(AUTOIF_DATA=str(tmp_path / "data"), **environment),
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.long
def test_a_run_starts_and_stops_its_own_server(tmp_path):
    command = install(tmp_path / "env")
    log = tmp_path / "pid"
    command.write_text(_COMMAND.format(python=sys.executable, log=str(log)))
    done = run(tmp_path, "--serve", "someone/a-model", AUTOIF_VLLM=str(command))
    assert done.returncode == 0, done.stderr[-3000:]
    warehouse = Warehouse(tmp_path / "data")
    models = warehouse.query("SELECT DISTINCT model FROM autoif.llm_calls")["model"].to_list()
    assert models == ["someone/a-model"]
    assert warehouse.query("SELECT count(*) AS n FROM autoif.response_scores")["n"][0] > 0
    pid = log.read_text().split()[1]
    assert not Path("/proc", pid).exists()


@pytest.mark.slow
def test_without_vllm_one_sentence_says_so(tmp_path):
    done = run(tmp_path, "--serve", "someone/a-model", AUTOIF_VLLM="/absent/vllm")
    assert done.returncode == 1
    assert "AUTOIF_VLLM names /absent/vllm" in done.stderr
