"""docs/preview.md is kept true: its options are there, its first command and its code run."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.simulator import Simulator, SimulatorSettings

from .environment import clear
from .simulator.models import MILD

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "preview.md").read_text("utf-8")
COMMANDS = [
    line.split()[1:]
    for block in re.findall(r"```(?:sh|text)\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_its_commands_and_options_are_there(words):
    command = main
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    options = {name for one in command.params for name in one.opts}
    assert {word for word in words if word.startswith("-")} <= options
    assert command is not main


@pytest.mark.slow
def test_its_preview_and_its_code_run(tmp_path, monkeypatch, capsys):
    clear(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with Simulator(SimulatorSettings(**MILD)) as simulator:
        monkeypatch.setenv("AUTOIF_BASE_URL", simulator.base_url)
        monkeypatch.setenv("AUTOIF_MODEL", "autoif-simulator")
        done = CliRunner().invoke(main, COMMANDS[1], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        before = simulator.stats()["received"]
        exec(code, {})
        # It asks for what the command asked for.
        assert simulator.stats()["received"] == before
    assert "def evaluate" in capsys.readouterr().out
