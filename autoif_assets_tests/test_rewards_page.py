"""docs/rewards.md is kept true beyond `test_readme`: its steps run, what it names is there."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.method.recipe import NUMBERS
from autoif_assets.rewards import MODES, ON_NO_VERDICT
from autoif_assets.rewards.adapters import common

from .environment import clean_environment

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "rewards.md").read_text("utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    """A folder whose `data` is what a batch left."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "data").symlink_to(made.data)
    return folder


@pytest.fixture
def environment():
    """The commands of this environment, and no setting of another test."""
    kept = clean_environment()
    paths = [str(Path(sys.executable).parent), kept.get("PATH", "")]
    return {**kept, "PATH": os.pathsep.join(paths), "PYTHONPATH": str(ROOT)}


def run(command, folder, environment):
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_page_takes_its_reader_from_the_demo_to_two_steps():
    assert SHELL[0] == "make demo\n"
    assert "trl_train max_steps=2" in SHELL[1]
    assert SHELL[2].startswith("autoif rewards serve")
    assert "trl_train max_steps=2" in SHELL[3]
    assert len(SHELL) == 4


@pytest.mark.trainers
def test_its_commands_take_two_steps_and_two_more_through_a_server(folder, environment):
    pytest.importorskip("trl")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    steps, serve, through = (one.replace("8300", port) for one in SHELL[1:])
    server = subprocess.Popen(
        serve.split(), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None and port in server.stdout.readline()
        printed = run(["bash", "-ec", steps + through], folder, environment)
    finally:
        server.terminate()
        server.wait()
    assert printed.count("step 2/2: ") >= 2
    assert '"status": "ok"' in printed
    assert (folder / "grpo" / "model.safetensors").exists()


def test_what_it_names_is_there():
    for name in (*MODES, *ON_NO_VERDICT):
        assert f"`{name}`" in PAGE
    for name in (common.DATA, common.MODE, common.TOKEN, common.MODULES):
        assert f"`{name}`" in PAGE
    for number in re.findall(r"`(rl_difficulty\w*)`", PAGE):
        assert number in NUMBERS
    help_ = CliRunner().invoke(main, ["rewards", "serve", "--help"]).output
    for option in re.findall(
        r"(--(?:strict|module|host|token-variable|max-items|judge-\w+))", PAGE
    ):
        assert option in help_
    for module in re.findall(r"`(?:pkg://)?(autoif_assets\.rewards\.adapters\.\w+)`", PAGE):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
