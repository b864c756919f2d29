"""The examples are run as they are."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES, Warehouse

from .environment import paper_environment
from .simulator.models import MILD
from .warehouse.samples import sample

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    """A batch of four SFT examples, half of them accepted, to two categories of instruction."""
    warehouse = Warehouse(tmp_path)
    instructions = sample(TABLES["verified_instructions"], 4, batch="b1").with_columns(
        category=pl.Series(["length", "length", None, None])
    )
    examples = sample(TABLES["sft_examples"], 4, batch="b1")
    warehouse.write("verified_instructions", instructions, {"batch": "b1"})
    warehouse.write("sft_examples", examples, {"batch": "b1"})
    return warehouse


def test_own_assets_read_autoifs_tables_and_write_one_of_their_own(warehouse, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(warehouse.data_dir))
    defs: dg.Definitions = runpy.run_path(str(EXAMPLES / "own_assets.py"))["defs"]
    job = defs.resolve_implicit_global_asset_job_def()
    for _ in range(2):  # the second run replaces the table
        (event,) = job.execute_in_process().asset_materializations_for_node("sft_by_category")
        assert event.metadata["dagster/row_count"].value == 2
    with duckdb.connect(warehouse.published_path, read_only=True) as con:
        found = con.execute("FROM mine.sft_by_category ORDER BY category").fetchall()
    assert found == [("length", 1, 4.0, 0.25), ("none", 1, 4.0, 0.75)]
    # AutoIF goes on writing to the file as before.
    warehouse.write("sft_examples", sample(TABLES["sft_examples"], 1, batch="b1"), {"batch": "b1"})


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Runs an example in a folder of its own, with a simulator that knows the prompts of all."""
    folder = tmp_path_factory.mktemp("examples")
    settings = SimulatorSettings(**MILD, prompts=str(EXAMPLES / "prompts"))
    with Simulator(settings) as simulator:
        variables = {"AUTOIF_BASE_URL": simulator.base_url, "AUTOIF_MODEL": "autoif-simulator"}
        path = os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
        environment = paper_environment(
            **variables, PYTHONPATH=path, POLARS_FMT_STR_LEN="200", POLARS_FMT_MAX_ROWS="-1"
        )

        def run(name: str, *arguments: str) -> str:
            done = subprocess.run(
                [sys.executable, str(EXAMPLES / name), *arguments],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        run.folder, run.environment = folder, environment
        yield run


@pytest.mark.long
def test_own_data_then_sql_plots_and_checks_of_its_responses(scripts):
    said = scripts("own_data.py")
    assert " examples, such as\n[{'role': 'user', 'content':" in said
    assert " pairs, such as\n{'prompt': [{" in said
    asked = scripts("sql_and_plots.py", "own-data")
    assert "verified_instructions" in asked
    assert (scripts.folder / "funnel.svg").read_text("utf-8").startswith("<svg")
    assert " pass, " in scripts("check_responses.py")
    empty, *others = scripts("grpo_reward.py").splitlines()[-3:]
    assert empty == "0.0  ''"
    assert {line.partition(" ")[0] for line in others} <= {"0.0", "1.0", "None"}


@pytest.mark.long
def test_own_verifiers_agree_with_the_labels(scripts):
    assert "Use no commas." in scripts("own_verifiers.py").rpartition("shape:")[2]
    with duckdb.connect(scripts.folder / "data" / "warehouse.duckdb", read_only=True) as con:
        (handed_in,) = con.execute(
            "SELECT count(*) FROM autoif.verifiers WHERE batch = 'own-verifiers'"
            " AND origin = 'user' AND status = 'accepted'"
        ).fetchone()
    assert handed_in == 1


@pytest.mark.long
def test_own_prompts_and_language_are_sent(scripts):
    prompt = scripts("own_prompts.py").rpartition("You write for people who are in a hurry")[2]
    assert "German" in prompt


@pytest.mark.long
def test_the_notebook_runs_and_shows_what_it_says(scripts):
    """In a kernel, where an event loop is running."""
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed (extra dev)")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra dev)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra dev)")
    notebook = nbformat.read(EXAMPLES / "first_batch.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # is kept without
    client = nbclient.NotebookClient(
        notebook, timeout=None, resources={"metadata": {"path": str(scripts.folder)}}
    )
    client.execute(env=scripts.environment)
    results = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "execute_result"
    ]
    funnel, rates, picture, examples, verified = results
    assert "verified_instructions" in funnel["text/plain"]
    assert "pass_rate" in rates["text/plain"]
    assert picture["image/svg+xml"].startswith("<svg")
    assert "messages" in examples["text/plain"]
    assert "true" in verified["text/plain"] and "false" in verified["text/plain"]
