"""README, CONTRIBUTING and `docs` are kept true: commands exist, queries answer, code runs.

Pages of which a test says more have one of their own beside this: `test_rewards_page`.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import duckdb
import pytest
import yaml
from click.testing import CliRunner

import autoif_assets.api
from autoif_assets.cli import main
from autoif_assets.cli.home import DEMO_MODEL
from autoif_assets.cli.reference import reference
from autoif_assets.datasets import KTO, PREFERENCE, REWARD, SFT
from autoif_assets.inputs import read_seed_instructions, read_seed_queries
from autoif_assets.resources.settings import settings, variables
from autoif_assets.warehouse import TABLES

from .documents import DOCUMENTS, ROOT, anchors, blocks, commands, links, spoken, words
from .environment import clean_environment, clear

README = DOCUMENTS["README.md"]
SQL = blocks("sql")
DG_COMMANDS = [one for name in DOCUMENTS for one in commands(name) if one.startswith("dg ")]
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
@pytest.mark.parametrize("block", SQL, ids=str)
def test_every_query_answers(demo_folder, block):
    # The pages that are made from declarations have a batch of no name in particular.
    query = block.text.replace("'b1'", "'demo'")
    with duckdb.connect(demo_folder / "warehouse.duckdb", read_only=True) as con:
        rows = con.execute(query).fetchall()
    assert rows or block.document == "docs/tables.md"


@pytest.mark.slow
def test_the_lineage_of_a_pair_reaches_its_seeds_and_prompts(demo_folder):
    (query,) = (b.text for b in SQL if "lineage" in b.text and b.document == "docs/sql.md")
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


@pytest.fixture(scope="module")
def beside(demo_folder, tmp_path_factory):
    """A folder whose `data` is a copy of the demo's, which commands may change."""
    folder = tmp_path_factory.mktemp("beside")
    shutil.copytree(demo_folder, folder / "data", ignore=shutil.ignore_patterns("*.lock"))
    return folder


@pytest.fixture
def there(beside, monkeypatch):
    """That folder as the working directory, without settings of whoever runs the tests."""
    clear(monkeypatch)
    monkeypatch.chdir(beside)
    return beside


@pytest.mark.slow
@pytest.mark.parametrize(
    "block",
    # What asks models is run where there are some: `test_preview_page`.
    [block for block in blocks("python") if "autoif.preview(" not in block.text],
    ids=str,
)
def test_all_python_runs(there, monkeypatch, block):
    """As it stands; a run is not made but its command looked at, for `test_examples` makes some."""
    monkeypatch.setattr(
        autoif_assets.api, "_follow", lambda command, _: parse(command[command.index("run") :])
    )
    if "hub/me/my-data" in block.text:  # which is pulled before
        exported = there / "data" / "exports"
        shutil.copytree(exported / "sft", exported / "hub" / "me%2Fmy-data", dirs_exist_ok=True)
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


# What changes nothing outside the folder, asks no model and makes no exports.
_RUN = re.compile(
    r"autoif (batch (add|list|show|watch)|init|settings|prompts|export|policy list"
    r"|journal compact|(batch remake|run|grow|journal prune|history prune) .*--dry-run)\b"
)
QUIET = [(name, one) for name in DOCUMENTS for one in commands(name) if _RUN.match(one)]


@pytest.mark.slow
@pytest.mark.parametrize(("document", "command"), QUIET)
def test_what_asks_no_model_is_run(there, monkeypatch, document, command):
    (there / "autoif.yaml").unlink(missing_ok=True)
    monkeypatch.setenv("AUTOIF_MODEL", DEMO_MODEL)
    result = CliRunner().invoke(main, words(command.replace("batch-1", "demo"))[1:])
    assert result.exit_code == 0, result.output


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


def parse(arguments):
    """Have Click read the arguments of `autoif`, down to the command, and run nothing.

    Raises:
        click.UsageError: There is no such command or option.
    """
    command, context, rest = main, None, list(arguments)
    name = "autoif"
    while True:
        context = command.make_context(name, rest, parent=context)
        if not isinstance(command, click.Group):
            return
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]


def check_command(command):
    """Fail where a command of a shell block is of something that is not there."""
    program, *arguments = words(command) or [""]
    if program == "make":
        assert set(arguments) <= make_targets()
    elif program == "autoif":
        parse(arguments)
    elif program == "python" and arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]), command
    elif program == "pip":
        names = re.findall(r"autoif-assets\[(\w+)\]", command)
        assert set(names) <= set(EXTRAS), command
    else:
        assert command in DG_COMMANDS or program in ("", ".", "export", "curl", "sleep"), command


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_exists(document, tmp_path, monkeypatch):
    # Folders that an option wants to be there.
    (tmp_path / "data" / "exports" / "reward").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for command in commands(document):
        check_command(command)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_that_are_spoken_of_exist(document):
    for text in spoken(document):
        program, *arguments = text.replace("…", "").split() or [""]
        if program == "make":
            assert set(arguments) <= make_targets(), text
        elif program == "autoif" and arguments:
            command, rest = main, arguments
            while isinstance(command, click.Group) and rest and rest[0].islower():
                command, rest = command.commands[rest[0]], rest[1:]
            options = {option for one in command.params for option in one.opts}
            said = {word.partition("=")[0] for word in rest if re.match("--[a-z]", word)}
            assert said <= options | {"--help"}, text


def test_blocks_are_of_languages_that_are_checked():
    """And what a person types is not hidden in a block of plain text."""
    checked = {"sh", "sql", "python", "json", "yaml", "text", "mermaid"}
    assert {block.language for block in blocks()} <= checked
    typed = [b for b in blocks("text") if re.search(r"^(autoif|make|dg) ", b.text, re.MULTILINE)]
    assert typed == []


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_settings_that_are_shown_can_be_used(block, tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "autoif.yaml").write_text(block.text, "utf-8")
    assert set(yaml.safe_load(block.text)) <= set(type(settings()).model_fields)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_rows_that_are_shown_can_be_read(block, tmp_path):
    row = json.loads(block.text)
    (tmp_path / "rows.jsonl").write_text(block.text, "utf-8")
    if "instruction" in row:
        read = read_seed_instructions(str(tmp_path / "rows.jsonl"))
    elif [message["role"] for message in row.get("messages", ())] == ["user"]:
        read = read_seed_queries(str(tmp_path / "rows.jsonl"), None, 20, 300)
    else:  # of an export; `test_audited_recording` has those rows
        assert block.document == "README.md"
        return
    assert read["status"].to_list() == ["accepted"]


def test_the_readme_is_short_and_leads_to_six_pages():
    assert len(README.split()) <= 700
    assert len([target for target in links("README.md") if target.startswith("docs/")]) == 6


@pytest.mark.slow
def test_the_output_in_the_readme_is_of_the_demo(demo_folder):
    """Its stages and reasons; the numbers are those of one day."""
    (shown,) = (b.text for b in blocks("text") if "rejected because" in b.text)
    lines = [line.split(maxsplit=3) for line in shown.splitlines()[1:] if "…" not in line[:1]]
    with duckdb.connect(demo_folder / "warehouse.duckdb", read_only=True) as con:
        known = con.execute("SELECT stage, reason FROM autoif.funnel").fetchall()
    assert {line[0] for line in lines} <= {stage for stage, _ in known}
    reasons = {
        (line[0], r) for line in lines for r in re.findall(r"([a-z_]+) \d", " ".join(line[3:]))
    }
    assert reasons <= set(known)


def test_the_page_of_settings_is_up_to_date():
    made = "python -m autoif_assets.cli.reference > docs/settings.md"
    assert DOCUMENTS["docs/settings.md"] == reference(), f"make it anew: {made}"


def test_every_variable_is_told_and_no_other():
    sources = [path.read_text("utf-8") for path in (ROOT / "autoif_assets").rglob("*.py")]
    used = {name for text in sources for name in re.findall(r"\"(AUTOIF_[A-Z_]+)\"", text)}
    used |= set(variables().values())
    told = {name for text in DOCUMENTS.values() for name in re.findall(r"\bAUTOIF_[A-Z_]+\b", text)}
    ours = {
        "AUTOIF_SIMULATOR_KEY",
        "AUTOIF_PROFILE",  # a name of before, which is refused
    }
    # One for each role: those of supervision stand for all.
    of_roles = {variable for path, variable in variables().items() if path[0] == "endpoints"}
    of_roles -= {v for p, v in variables().items() if p[:2] == ("endpoints", "supervision")}
    assert used - of_roles - ours - told == set()
    # Of the tests, of a trainer's process, and the pattern of those of a role.
    known = ("AUTOIF_TEST_", "AUTOIF_TRAIN_", "AUTOIF_ROLE_")
    assert {name for name in told - used if not name.startswith(known)} == set()


def test_every_table_has_its_stage_told():
    told = DOCUMENTS["docs/concepts.md"] + DOCUMENTS["docs/inputs.md"]
    said_elsewhere = {"llm_calls", "batches"}
    assert [n for n in TABLES if f"`{n}`" not in told and n not in said_elsewhere] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for target in links(document):
        if target.startswith(("http:", "https:")):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / document).parent / name if name else ROOT / document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(str(path.resolve().relative_to(ROOT))), target


def test_the_site_knows_its_pages_and_pictures_are_small():
    # Its tags are for MkDocs.
    text = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    for page in re.findall(r": (\S+\.md)$", text, re.MULTILINE):
        assert (ROOT / "docs" / page).is_file(), page
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size <= 150_000, picture.name
