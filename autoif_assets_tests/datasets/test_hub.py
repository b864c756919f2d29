"""`autoif push` and `pull` against a stand-in of the hub's HTTP API."""

import re
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import autoif_assets as autoif
from autoif_assets.cli import main
from autoif_assets.datasets import SFT, About, AboutBatch, write_dataset
from autoif_assets_tests.datasets.frames import sft_examples, split_instructions
from autoif_assets_tests.datasets.hub import TOKEN, serving
from autoif_assets_tests.environment import clear

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).resolve().parents[2] / "docs/exports.md").read_text("utf-8")
constants = pytest.importorskip("huggingface_hub.constants")
REPO, RECIPE = "me/my-data", "0123456789ab"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    clear(monkeypatch)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # Read when the library is imported, which other tests do with other environments.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path / "data"))
    with serving() as (hub, address):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


def export(tmp_path, texts="abcd", name="sft"):
    rows = sft_examples(list(texts)).with_columns(
        instructions=pl.lit(["Shout."]),
        query=pl.lit("Why?"),
        recipe=pl.lit(RECIPE),
        score=pl.lit(9.0),
        pass_rate=pl.lit(1.0),
    )
    split = split_instructions(rows["instruction_id"], 0.3, 0)
    told = About([AboutBatch("b1", recipe_hash=RECIPE)])
    write_dataset(SFT, [rows], tmp_path / "data/exports" / name, split, about=told)
    return tmp_path / "data/exports" / name


def content(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(*words, code=0):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == code, done.output
    assert TOKEN not in done.output and "Traceback" not in done.output
    return done.output


def test_what_is_pushed_can_be_pulled_as_it_is(hub, tmp_path):
    folder = export(tmp_path)
    (folder / "notes.txt").write_text("mine")
    said = run("push", REPO, "--private")
    (folder / "notes.txt").unlink()
    assert hub.private and f"/datasets/{REPO}: commit " in said
    assert f"tag recipe-{RECIPE}\n" in said
    # Only what the export wrote is put there, and again is no further commit and no further tag.
    assert hub.found("main")[1] == content(folder)
    assert TOKEN.encode() not in b"".join(content(folder).values())
    commits = len(hub.commits)
    assert f"tag recipe-{RECIPE}\n" in run("push", REPO)
    assert (len(hub.commits), [*hub.tags]) == (commits, [f"recipe-{RECIPE}"])
    # Other data of the same recipe has a tag of its own.
    before = content(folder)
    export(tmp_path, "abcdefgh")
    assert f"tag recipe-{RECIPE}-2\n" in run("push", REPO)
    run("pull", REPO)
    rows = autoif.dataset(f"hub/{REPO}")
    assert rows.equals(autoif.dataset("sft")) and rows.height
    run("pull", REPO, "--revision", f"recipe-{RECIPE}")
    assert content(tmp_path / "data/exports/hub/me%2Fmy-data") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("push", "my-data"), "is no name of a dataset: write ORG/NAME"),
        (("push", REPO, "--dataset", "kto"), "No dataset 'kto' is in"),
        (("pull", "me/other"), "has no such dataset, or"),
        (("pull", REPO, "--revision", "v9"), "has no such revision"),
        (("push", REPO, "--private"), "exists and is public"),
        (("pull", REPO, "--out", "full"), "no export wrote"),
    ],
)
def test_what_a_person_can_mend_is_a_sentence(hub, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    export(tmp_path)
    run("push", REPO)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    told = run(*words, code=2)
    assert said in told and len(told.strip().splitlines()) == 1
    assert (tmp_path / "full/thesis.txt").exists()


def test_what_cannot_be_pushed_is_told_and_not_sent(hub, tmp_path, monkeypatch):
    folder = export(tmp_path)
    hub.refuse = "commit"
    assert "refused this with 403: refused Bearer ***" in run("push", REPO, code=2)
    hub.asked.clear()
    monkeypatch.delenv("HF_TOKEN")
    assert "There is no token for the hub" in run("push", REPO, code=2)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (folder / "messages/train.jsonl").write_text("{}")
    assert "is not the file that the card lists" in run("push", REPO, code=2)
    export(tmp_path, "")
    assert "has no rows" in run("push", REPO, code=2)
    assert hub.asked == []
    export(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "could not be asked" in run("push", REPO, code=2)
    monkeypatch.setattr("builtins.__import__", _without_the_library(__import__))
    assert 'pip install "autoif-assets[hub]"' in run("push", REPO, code=2)


def _without_the_library(really):
    def importing(name, *arguments, **further):
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return really(name, *arguments, **further)

    return importing


def test_what_the_page_says_works(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export(tmp_path)
    commands, *more = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert not more
    for command in commands.splitlines():
        run(*command.split()[1:])
    settings = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "autoif.yaml").write_text("".join(settings))
    run("settings")
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        found = {}
        exec(code, found)
        assert len(found["rows"])
