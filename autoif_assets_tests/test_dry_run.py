"""`autoif run --dry-run`: says what a batch will ask, and asks nothing."""

import re

import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.cli.dry_run import _ENDPOINTS
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Warehouse
from autoif_assets_tests.simulator.models import MILD

from .assets.pipeline import SMALL
from .environment import clear

pytestmark = pytest.mark.slow

NUMBERS = [f"--set={name}={value}" for name, value in SMALL.items()]


@pytest.fixture
def simulator(tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_RECIPE", "paper")
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    with Simulator(SimulatorSettings(**MILD)) as running:
        monkeypatch.setenv("AUTOIF_BASE_URL", running.base_url)
        monkeypatch.setenv("AUTOIF_MODEL", "autoif-simulator")
        yield running


def dry_run(*arguments):
    result = CliRunner().invoke(main, ["run", "--dry-run", *NUMBERS, *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def rows_of(output):
    """Return the numbers of each row of the table by its name."""
    roles = "|".join((*_ENDPOINTS, "all"))
    return {
        match[1]: [float(number.replace(",", "")) for number in match[3].split()]
        for match in re.finditer(rf"^({roles}) +(\S+)?((?: +[\d.,]+){{7}})$", output, re.M)
    }


def test_nothing_is_sent_and_nothing_written(simulator, tmp_path):
    output = dry_run()
    rows = rows_of(output)
    assert set(rows) == {*_ENDPOINTS, "all"}
    assert rows["verifier"][:2] == [22, 132]
    assert rows["all"][0] == sum(row[0] for role, row in rows.items() if role != "all")
    assert "Assumed, since no batch here has measured it: rewrites," in output
    assert simulator.stats()["received"] == 0
    assert list(tmp_path.iterdir()) == []


def test_money_is_at_the_prices_of_each_endpoint(simulator, monkeypatch):
    monkeypatch.setenv("AUTOIF_PRICE_COMPLETION", "100")
    monkeypatch.setenv("AUTOIF_JUDGE_PRICE_COMPLETION", "0")
    monkeypatch.setenv("AUTOIF_JUDGE_PRICE_PROMPT", "1000")
    monkeypatch.setenv("AUTOIF_JUDGE_MODEL", "strict")
    output = dry_run()
    rows = rows_of(output)
    *_, tokens, most, cost, cost_at_most = rows["response"]
    assert cost == pytest.approx(tokens / 1e4, abs=0.01)
    assert cost_at_most == pytest.approx(most / 1e4, abs=0.01)
    assert rows["score"][5] == rows["score"][6] == pytest.approx(rows["score"][2] / 1e3, abs=0.01)
    assert re.search(r"^score +strict ", output, re.M)


def test_what_an_earlier_batch_measured_is_used(simulator, copied, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(copied.data))
    calls = Warehouse(copied.data).read("llm_calls")
    output = dry_run("--batch", "b2")
    assert simulator.stats()["received"] == 0
    assert "Assumed" not in output
    requests, completions, prompt, completion, *_ = rows_of(output)["all"]
    # The next batch has other instructions; it should come to about the same.
    assert requests == pytest.approx(calls.height, rel=0.25)
    assert completions == pytest.approx(calls["completions"].list.len().sum(), rel=0.25)
    assert prompt == pytest.approx(calls["prompt_tokens"].sum(), rel=0.25)
    assert completion == pytest.approx(calls["completion_tokens"].sum(), rel=0.25)
    assert f"{calls.height} calls of batch 'b1' are there already" in dry_run("--batch", "b1")
