"""What the package tells the tools of those who install it."""

import email
import os
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import autoif_assets
from autoif_assets.cli import main

from .environment import clean_environment

ROOT = Path(__file__).resolve().parents[1]


def test_the_version_stands_in_the_package_alone():
    assert re.fullmatch(r"\d+\.\d+\.\d+", autoif_assets.__version__)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" in settings["project"]["dynamic"]
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


def test_the_settings_of_dagster_are_in_the_package_and_the_same_at_the_top():
    packaged = files("autoif_assets").joinpath("dagster.yaml").read_text("utf-8")
    assert (ROOT / "dagster.yaml").read_text("utf-8") == packaged
    assert {"storage", "concurrency", "run_monitoring", "retention"} <= set(
        yaml.safe_load(packaged)
    )


def test_the_version_is_told():
    told = CliRunner().invoke(main, ["--version"])
    assert told.exit_code == 0
    assert told.output == f"autoif, version {autoif_assets.__version__}\n"


def test_the_changelog_has_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert versions[0] == autoif_assets.__version__
    assert "## [Unreleased]" in changelog


def test_commits_are_checked_by_the_linters_that_ci_runs():
    """The commands of `make lint`, which CI runs, and no others."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    of_make = {line.strip().removeprefix("$(BIN)/") for line in lint.splitlines()[1:]}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    of_hooks = {
        hook["entry"].removeprefix(".venv/bin/")
        for repo in hooks["repos"]
        for hook in repo["hooks"]
    }
    assert of_hooks == of_make


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


@pytest.mark.parametrize("form", FORMS, ids=[form.stem for form in FORMS])
def test_forms_of_issues_ask_for_what_commands_tell(form):
    asked = yaml.safe_load(form.read_text("utf-8"))
    assert {"name", "description", "body"} <= set(asked)
    ids = [part["id"] for part in asked["body"]]
    assert len(ids) == len(set(ids))
    for words in re.findall(r"`autoif ([a-z -]+)[A-Z]*`", form.read_text("utf-8")):
        result = CliRunner().invoke(main, [*words.split(), "--help"])
        assert result.exit_code == 0, words


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what a wheel of this checkout installs."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = subprocess.run(
        [*pip, "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("pip reaches no hatchling, with which wheels are built")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("autoif_assets-*.whl")
    # Beside the dependencies that are here already: how they install is not ours to test.
    there = folder / "installed"
    install = [*pip, "install", "-q", "--no-deps", "--no-compile", "--target", str(there)]
    subprocess.run([*install, str(wheel)], check=True, env=clean_environment())
    return there


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--version"], f"autoif, version {autoif_assets.__version__}"),
        (["settings"], "endpoints.supervision.base_url"),
        (["batch", "add", "b1"], "b1"),
    ],
)
def test_what_a_wheel_installs_can_be_used(installed, tmp_path, words, wanted):
    said = _use(installed, tmp_path, str(installed / "bin" / "autoif"), *words)
    assert wanted in said


@pytest.mark.slow
def test_a_wheel_is_described_by_the_readme_without_links_that_lead_nowhere(installed):
    (metadata,) = installed.glob("autoif_assets-*.dist-info/METADATA")
    told = email.message_from_string(metadata.read_text("utf-8"))
    assert told["Description-Content-Type"] == "text/markdown"
    description = told.get_payload()
    assert "# autoif_assets" in description and "`docs/quickstart.md`" in description
    targets = re.findall(r"\]\(([^)]+)\)", description)
    assert targets and all(target.startswith("https://") for target in targets)


@pytest.mark.slow
def test_a_wheel_brings_the_definitions_and_dagsters_settings(installed, tmp_path):
    code = (
        "import autoif_assets; from autoif_assets.cli.home import prepare_home, ui_command;"
        "from autoif_assets.definitions import defs;"
        "print(autoif_assets.__file__); print(defs.resolve_job_def('batch').name);"
        "print((prepare_home() / 'dagster.yaml').resolve()); print(ui_command())"
    )
    where, job, settings, command = _use(installed, tmp_path, "-c", code).splitlines()
    assert Path(where).parent == installed / "autoif_assets"
    assert job == "batch"
    assert settings == str(installed / "autoif_assets" / "dagster.yaml")
    # There is no Makefile where a wheel is installed.
    assert command.endswith("autoif dev")


def _use(installed: Path, folder: Path, *arguments: str) -> str:
    """Run Python in a folder that is no checkout, and return what it prints."""
    environment = clean_environment(PYTHONPATH=str(installed))
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_closing_hint_fits_where_it_is_read(tmp_path, monkeypatch):
    from autoif_assets.cli.home import ui_command

    monkeypatch.delenv("AUTOIF_DATA", raising=False)
    monkeypatch.chdir(ROOT)
    assert ui_command() == "make dev"
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path / "my data"))
    assert ui_command() == f"AUTOIF_DATA='{tmp_path}/my data' make dev"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOIF_DATA", "data")
    beside = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(beside) + os.pathsep + os.environ["PATH"])
    assert ui_command() == "autoif dev"
    # An environment that is not activated.
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ui_command() == f"{beside / 'autoif'} dev"
