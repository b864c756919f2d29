"""`autoif preview`: a few instructions through every stage, and nothing but the journals written.

That a batch does not ask again what its preview asked is in `test_api`.
"""

import json
import re
from io import StringIO
from itertools import islice
from types import SimpleNamespace

import polars as pl
import pytest
from click.testing import CliRunner
from rich.console import Console

from autoif_assets.cli import main
from autoif_assets.cli.preview_pages import pages
from autoif_assets.method.recipe import make_recipe
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.trial import requests_each

from .environment import clear
from .simulator.models import MILD

# Little, for it is the machine that is tested.
SETS = [
    word
    for name, number in {
        "verifiers_per_instruction": 4,
        "responses_per_prompt": 4,
        "mutants_per_verifier": 4,
        "min_cases_per_label": 1,
    }.items()
    for word in ("--set", f"{name}={number}")
]


@pytest.fixture(scope="module")
def simulator():
    with Simulator(SimulatorSettings(**MILD)) as running:
        yield running


@pytest.fixture
def folder(simulator, tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_BASE_URL", simulator.base_url)
    monkeypatch.setenv("AUTOIF_MODEL", "autoif-simulator")
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path / "data"))
    return tmp_path


def preview(*arguments):
    return CliRunner().invoke(main, ["preview", *SETS, *arguments], catch_exceptions=False)


@pytest.mark.slow
def test_instructions_go_through_every_stage_within_the_cap(folder, simulator):
    before = simulator.stats()["received"]
    out = folder / "out"
    done = preview("--out", str(out))
    assert done.exit_code == 0, done.output
    sent = simulator.stats()["received"] - before
    assert f"{sent} of at most 20 requests were sent" in done.stdout
    assert 0 < sent <= 20
    summary = json.loads((out / "preview.json").read_text())
    # A cap of 20 is not enough for five, which is told with what would be.
    assert 0 < len(summary["whole"]) < 5
    assert f"{len(summary['whole'])} of 5 instructions went through every stage" in done.stdout
    assert f"--max-requests {summary['needed']} is enough for all" in done.stdout
    assert "def evaluate(" in done.stdout
    titles = set(re.findall(r"╭─ ([A-Z][a-z ]+?) ─", done.stdout))
    verified = pl.read_parquet(out / "verified_instructions.parquet").filter(status="accepted")
    # Where no verifier is left, which a busy machine's time limits may bring about, none is asked.
    assert {"Best verifier", *(["Query"] if verified.height else [])} <= titles
    assert pl.read_parquet(out / "response_verdicts.parquet").height == 4 * verified.height
    # No table, no Dagster; and of what was answered nothing is asked again.
    assert [path.name for path in (folder / "data").iterdir()] == ["journals"]
    again = preview("-n", str(len(summary["whole"])))
    assert "0 of at most 20 requests were sent." in again.stdout
    assert " run --batch batch-1 --set verifiers_per_instruction=4" in again.stdout
    assert f"AUTOIF_DATA={folder / 'data'}" in again.stdout


@pytest.mark.parametrize(
    ("status", "fate"), [("accepted", "in use"), ("rejected", "kept by verifier_audits")]
)
def test_of_an_instruction_that_is_rejected_no_verifier_is_in_use(status, fate):
    instruction = pl.DataFrame({"instruction_id": ["i"], "instruction": ["Be short."]})
    instruction = instruction.with_columns(category=pl.lit(None, pl.String))
    audit = {"verifier_id": "v", "instruction_id": "i", "source": "def evaluate(r): return True"}
    audit |= {"status": "accepted", "reason": None, "accuracy": 1.0, "samples": 1}
    tables = {
        "augmented_instructions": instruction,
        "verifier_candidates": pl.DataFrame({"instruction_id": ["i"]}),
        "verifier_audits": pl.DataFrame([audit]).with_columns(
            pl.col("reason").cast(pl.String), mutants=pl.lit(0)
        ),
        "verified_instructions": pl.DataFrame(
            {"instruction_id": ["i"], "status": [status], "reason": [None]},
            schema_overrides={"reason": pl.String},
        ),
    }
    console = Console(file=StringIO(), width=80)
    trial = SimpleNamespace(tables=tables)
    for page in islice(pages(trial), 3):  # not the funnel, whose tables have more columns
        console.print(page)
    assert f"│ {fate}; written by 1 of 1 samples" in console.file.getvalue()


@pytest.mark.slow
def test_where_the_cap_stops_it_what_is_there_is_shown(folder):
    done = preview("--max-requests", "3", "-n", "2")
    assert done.exit_code == 0, done.output
    assert "3 of at most 3 requests were sent." in done.stdout
    stopped = "0 of 2 instructions went through every stage: the run stops at its cap of 3 requests"
    assert stopped in done.stdout
    assert "What is shown is what there is" in done.stdout
    assert "def evaluate(" in done.stdout


def test_what_an_instruction_takes_at_most():
    paper = make_recipe("paper")
    # Functions with their cases; each put in words and compared; responses, each scored.
    assert requests_each(paper) == 1 + 2 * 8 + 1 + 8
    assert requests_each(paper, asks_nli=False) == 1 + 8 + 1 + 8
    # Texts that verifiers are tried on are the first prompt's responses.
    assert requests_each(make_recipe("audited")) == 1 + 1 + 2 + 2 + 8 + 2 * 8 + 8


def test_mistakes_are_told_before_anything_is_sent(folder, simulator, monkeypatch):
    before = simulator.stats()["received"]
    assert "there is no recipe 'none'" in preview("--recipe", "none").output
    monkeypatch.setenv("AUTOIF_MODEL", "")
    done = preview()
    assert (done.exit_code, "No model is named" in done.output) == (2, True)
    assert simulator.stats()["received"] == before
    assert not (folder / "data").exists()
