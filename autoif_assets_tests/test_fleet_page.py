"""docs/fleet.md is kept true: its settings are read as it says, and its commands are ours."""

import re
from pathlib import Path

import click

from autoif_assets.cli import main
from autoif_assets.resources import settings
from autoif_assets_tests.environment import clear

PAGE = (Path(__file__).parents[1] / "docs/fleet.md").read_text()


def test_the_file_of_the_page_names_replicas(monkeypatch, tmp_path):
    clear(monkeypatch)
    (file,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "autoif.yaml").write_text(file)
    monkeypatch.setenv("AUTOIF_CONFIG", str(tmp_path / "autoif.yaml"))
    endpoints = settings().endpoints
    assert endpoints.supervision.base_url == "http://node-1:8000/v1,http://node-2:8000/v1"
    assert endpoints.responder.base_url == "http://responders.models.svc:8000/v1"


def test_the_commands_of_the_page_are_there():
    (lines,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    used = set(re.findall(r"^autoif (\S+)", lines, re.MULTILINE))
    assert used <= set(main.list_commands(click.Context(main)))
