"""The README is kept true: its commands exist, its queries answer, its settings are all of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.cli.home import DEMO_MODEL
from autoif_assets.datasets import KTO, PREFERENCE, REWARD, SFT
from autoif_assets.resources.settings import variables
from autoif_assets.warehouse import TABLES

from .environment import clean_environment

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SQL = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.split("\n")
]
DG_COMMANDS = [command for command in COMMANDS if command.startswith("dg ")]
DEMO_TIMEOUT_S = 1800


def demo(folder):
    """Run `make demo`'s command as a user does; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "autoif_assets.cli", "demo"],
        env=clean_environment(AUTOIF_DATA=str(folder)),
        capture_output=True,
        text=True,
        timeout=DEMO_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    if made := os.environ.get("AUTOIF_TEST_DEMO"):  # by `make demo`, in CI
        return Path(made)
    folder = tmp_path_factory.mktemp("demo")
    demo(folder)
    return folder


def contents(folder):
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as con:
        tables = {
            table: con.execute(f"SELECT * FROM autoif.{table} ORDER BY ALL").fetchall()
            for table in TABLES
        }
    exports = {
        path.relative_to(folder): path.read_bytes()
        for path in sorted((folder / "exports").rglob("*"))
        if path.is_file()
    }
    return tables, exports


@pytest.mark.slow
def test_the_demo_fills_every_table_and_every_export(demo_folder):
    tables, exports = contents(demo_folder)
    # Nobody has labelled responses; seeds and queries are kept in one once the files they came from
    # hold them no more; and no prompt is left out where held-out instructions drew queries of
    # their own.
    empty = {name for name, rows in tables.items() if not rows}
    assert empty == {"labelled_agreement", "input_sets", "dataset_left_out"}
    assert {path.parts[2] for path in exports if len(path.parts) > 3} == {
        format.name.partition("/")[0]
        for kind in (SFT, PREFERENCE, KTO, REWARD)
        for format in kind.formats
    }
    assert [path for path, data in exports.items() if not data and path.suffix != ".lock"] == []


@pytest.mark.slow
@pytest.mark.parametrize("query", SQL, ids=range(len(SQL)))
def test_every_query_of_the_readme_answers(demo_folder, query):
    with duckdb.connect(demo_folder / "warehouse.duckdb", read_only=True) as con:
        assert con.execute(query).fetchall()


@pytest.mark.slow
def test_the_lineage_of_a_pair_reaches_its_seeds_and_prompts(demo_folder):
    query = next(query for query in SQL if "lineage" in query)
    with duckdb.connect(demo_folder / "warehouse.duckdb", read_only=True) as con:
        kinds = {row[1] for row in con.execute(query).fetchall()}
    assert kinds >= {
        "preference_pair",
        "response",
        "verdict",
        "augmented_query",
        "user_query",
        "instruction",
        "seed_instruction",
        "verifier",
        "test_case",
        "back_translation",
        "model_call",
    }


@pytest.mark.slow
def test_a_real_model_does_not_mix_with_the_demo(demo_folder, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(demo_folder))
    monkeypatch.setenv("AUTOIF_MODEL", "real")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 2
    assert "synthetic data" in result.output
    assert DEMO_MODEL != "real"


@pytest.mark.slow
@pytest.mark.parametrize("command", DG_COMMANDS)
def test_the_dg_commands_run(command, tmp_path):
    program, *arguments = command.split()
    done = subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        cwd=ROOT,
        env={**os.environ, "AUTOIF_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "loaded successfully" in done.stdout or "sft_examples" in done.stdout


def make_targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.strip()])
def test_every_command_of_the_readme_exists(command):
    words = [word for word in command.split() if "=" not in word or word.startswith('"')]
    program, *arguments = words
    if program == "make":
        assert set(arguments) <= make_targets()
    elif program == "autoif":
        names = [word for word in arguments if word.replace("-", "").isalpha()]
        command_words = (
            names[:2]
            if names[0] in ("batch", "lake", "local-model", "journal", "policy", "rewards")
            else names[:1]
        )
        result = CliRunner().invoke(main, [*command_words, "--help"])
        assert result.exit_code == 0, result.output
        for option in (word for word in arguments if word.startswith("--")):
            assert option in result.output
    else:
        assert command in DG_COMMANDS


def test_every_setting_is_in_the_readme_and_nowhere_else():
    sources = [path.read_text("utf-8") for path in (ROOT / "autoif_assets").rglob("*.py")]
    used = {name for text in sources for name in re.findall(r"\"(AUTOIF_[A-Z_]+)\"", text)}
    # Settings of an endpoint, whose variables have the role in the middle or none.
    used |= {
        variable
        for path, variable in variables().items()
        if path[0] != "endpoints" or path[1] == "supervision"
    }
    first_cells = re.findall(r"^\| (`AUTOIF_[^|]*) \|", README, re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"AUTOIF_[A-Z_]+`", cell)}
    used |= {"AUTOIF_NLI_MODEL"}  # of a role, and with a meaning of its own
    assert {name.strip("`") for name in documented} == used - {
        "AUTOIF_SIMULATOR_KEY",
        "AUTOIF_PROFILE",  # a name of before, which is refused
        "AUTOIF_LLAMAFACTORY",  # of the tests; told where they are
        *(name for name in used if name.startswith("AUTOIF_REWARD_")),  # in docs/rewards.md
    }


def test_every_table_is_in_the_readme():
    assert [name for name in TABLES if f"`{name}`" not in README and name != "llm_calls"] == []


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            heading = target[1:].replace("-", " ")
            assert re.search(rf"^#+ {heading}$", README, re.MULTILINE | re.IGNORECASE)
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target
