"""What the package tells the tools of those who install it."""

import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import autoif_assets


def test_the_version_stands_in_the_package_alone():
    assert re.fullmatch(r"\d+\.\d+\.\d+", autoif_assets.__version__)
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["hatch"]["version"] == {"path": "autoif_assets/__init__.py"}


def test_type_checkers_are_told_to_read_the_annotations():
    assert files("autoif_assets").joinpath("py.typed").is_file()


def test_asking_for_the_version_loads_nothing_else():
    code = (
        "import sys; before = set(sys.modules);"
        "from autoif_assets import __version__;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['autoif_assets']"
