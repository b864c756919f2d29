"""Settings: the environment before a `.env` before `autoif.yaml`, and what is told of them."""

import json
import os
import subprocess
import sys
from contextlib import suppress

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.cli import main
from autoif_assets.method.recipe import AUDITED, Recipe
from autoif_assets.resources import SettingsError, configured_resources, settings
from autoif_assets.resources.settings import default_of, leaves, variables

from .environment import clear


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder without settings, in which commands run."""
    clear(monkeypatch)
    monkeypatch.chdir(tmp_path)
    # What a `.env` adds to the environment is taken back.
    monkeypatch.setattr("os.environ", os.environ.copy())
    return tmp_path


def autoif(*words):
    return CliRunner().invoke(main, words)


def write(place, text, name="autoif.yaml"):
    (place / name).write_text(text, encoding="utf-8")


FILE = """
endpoints:
  supervision:
    base_url: http://one:8000/v1
    model: big
    temperature: 0.5
    extra_body: {top_k: null}
  judge: {model: strict, price_prompt: 2.5}
  responder:
inputs:
  queries: mine/*.jsonl, /elsewhere/q.txt
recipe: authors_code
numbers:
  responses_per_prompt: 4
  back_translations_per_instruction: null
budget: {max_cost: 12.5}
data: made
"""


@pytest.mark.parametrize("text", ["recipe: authors_code", "recipe: [1]", "numbers: {min_score: 8}"])
def test_one_reading_tells_what_is_set_and_where(place, monkeypatch, text):
    write(place, text)
    module = sys.modules["autoif_assets.resources.settings"]
    read, readings = module.sources, []
    monkeypatch.setattr(module, "sources", lambda: readings.append(1) or read())
    with suppress(SettingsError):
        settings()
    assert len(readings) == 1


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AUTOIF_OVERRIDE", "AUTOIF_OVERRIDES"),
        ("AUTOIF_BASE_ULR", "AUTOIF_BASE_URL"),
        ("AUTOIF_JUDGE_MODELL", "AUTOIF_JUDGE_MODEL"),
    ],
)
def test_a_variable_that_is_nearly_a_setting_is_not_ignored(place, monkeypatch, name, meant):
    """Before, a batch was paid for without what it said."""
    monkeypatch.setenv(name, "x")
    shown = autoif("settings")
    assert shown.exit_code == 2
    assert f"there is no setting {name}; did you mean {meant}?" in shown.output
    assert len(shown.output.splitlines()) == 1


@pytest.mark.parametrize(
    "name",
    ["AUTOIF_SFT_API_KEY", "AUTOIF_TRAIN_STAGE", "AUTOIF_TRAIN_DATASET", "AUTOIF_TEST_KILLS"],
)
def test_variables_of_other_programs_are_left_alone(place, monkeypatch, name):
    monkeypatch.setenv(name, "x")
    assert autoif("settings").exit_code == 0


def test_paths_of_a_file_are_seen_from_its_folder(place, monkeypatch):
    (place / "far" / "mine").mkdir(parents=True)
    (place / "far" / "mine" / "score.jinja").write_text(
        "{{ instruction }}{{ query }}{{ response }}"
    )
    write(
        place / "far",
        "data: made\nprompts: mine\nbenchmarks: 'i.jsonl:prompt'\n"
        "inputs: {queries: 'hf://org/name:train, q.txt', seeds: s.txt}",
    )
    monkeypatch.setenv("AUTOIF_CONFIG", "far/autoif.yaml")
    found = settings()
    assert found.data == str(place / "far" / "made")
    assert found.inputs.queries == f"hf://org/name:train,{place}/far/q.txt"
    assert found.inputs.seeds == f"{place}/far/s.txt"
    assert found.benchmarks == f"{place}/far/i.jsonl:prompt"
    assert found.make_recipe().prompts == {"score": "{{ instruction }}{{ query }}{{ response }}"}
    assert "prompts" not in found.numbers
    (place / "far" / "mine" / "score.jinja").write_text("{{ instruction }}\n{{ sentence }}")
    shown = autoif("settings")
    assert shown.exit_code == 2
    assert "score.jinja, line 2: there is no variable sentence" in shown.output


def test_a_file_beside_the_data_folder_sets_what_runs_use(place, monkeypatch):
    write(place, FILE)
    with dg.build_resources(configured_resources()) as built:
        supervision, judge = built.supervision.settings(), built.judge.settings()
        recipe = built.recipe.load()
        assert (supervision.base_url, supervision.model) == ("http://one:8000/v1", "big")
        assert (supervision.temperature, supervision.extra_body) == (0.5, {"top_k": None})
        assert (judge.model, judge.price_prompt) == ("strict", 2.5)
        assert built.responder.settings() == supervision
        assert built.inputs.queries == f"{place}/mine/*.jsonl,/elsewhere/q.txt"
        assert built.inputs.seeds is None
        assert built.budget.max_cost == 12.5
        assert built.warehouse.data_dir == str(place / "made")
        assert (recipe.min_cases, recipe.responses_per_prompt) == (10, 4)
        assert recipe.back_translations_per_instruction is None


def test_the_environment_counts_more_than_the_file_and_a_dotenv_between(place, monkeypatch):
    write(place, FILE)
    write(place, "AUTOIF_MODEL=from-dotenv\nAUTOIF_JUDGE_MODEL=judge-of-dotenv\n", ".env")
    monkeypatch.setenv("AUTOIF_MODEL", "from-shell")
    with dg.build_resources(configured_resources()) as built:
        assert built.supervision.settings().model == "from-shell"
        assert built.judge.settings().model == "judge-of-dotenv"
    found = settings()
    assert found.place(("endpoints", "supervision", "model")) == "AUTOIF_MODEL"
    assert found.place(("endpoints", "judge", "model")) == f"AUTOIF_JUDGE_MODEL in {place}/.env"
    assert found.place(("recipe",)) == f"{place}/autoif.yaml, line 12"


def test_a_key_in_a_dotenv_is_sent_and_shown_nowhere(place):
    write(place, "AUTOIF_API_KEY=sk-very-secret\n", ".env")
    with dg.build_resources(configured_resources()) as built:
        assert built.supervision.settings().credentials.api_key == "sk-very-secret"
    shown = autoif("settings").output
    assert f"AUTOIF_API_KEY = set  ({place}/.env)" in shown
    assert "sk-very-secret" not in shown


def test_a_file_that_is_named_is_read_from_anywhere(place, monkeypatch):
    (place / "there").mkdir()
    write(place / "there", "inputs: {seeds: s.txt}\ndata: d\n", "mine.yaml")
    monkeypatch.setenv("AUTOIF_CONFIG", "there/mine.yaml")
    assert settings().inputs.seeds == str(place / "there" / "s.txt")
    assert settings().data == str(place / "there" / "d")
    monkeypatch.setenv("AUTOIF_CONFIG", "absent.yaml")
    with pytest.raises(SettingsError, match=r"absent\.yaml, which is no file"):
        settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "endpoints:\n  judge:\n    modle: x\n",
            "line 3: there is no modle; did you mean model? in",
        ),
        ("nightly: x\n", "line 1: there is no nightly; did you mean nightly_cron?"),
        ("budget: {max_cost: much}\n", 'line 1: max_cost is "much": input should be a valid'),
        ("numbers:\n  seed: 1\n  respones_per_prompt: 3\n", "line 3: there is no respones_per_pr"),
        ("numbers: {min_score: 9}\n", "line 1: min_score: '9' is no bound; write \">= 9\""),
        ("recipe: papre\n", "line 1: there is no recipe 'papre'; the recipes are audited, paper"),
        ("data: a\ndata: b\n", "line 2: data is in line 1 already"),
        ("data: [\n", "autoif.yaml, line 2: "),
        ("just words", "autoif.yaml: write `name: value` lines"),
        ("endpoints: 3\n", "line 1: endpoints is 3: input should be a valid dictionary"),
        ("1: 2\n", "line 1: there is no 1"),
        ("a: &a\n  b: *a\n", "holds something that is part of itself"),
        ("\x00", "autoif.yaml"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(place, text, said):
    write(place, text)
    done = autoif("settings")
    assert done.exit_code == 2
    assert f"Error: {place}/autoif.yaml" in done.output
    assert said in done.output
    assert "Traceback" not in done.output
    assert "Traceback" in autoif("settings", "--debug").output


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("AUTOIF_MAX_CONCURRENCY", "0", 'AUTOIF_MAX_CONCURRENCY is "0": input should be greater'),
        ("AUTOIF_JUDGE_EXTRA_BODY", "x", "AUTOIF_JUDGE_EXTRA_BODY is 'x'; write a JSON object"),
        ("AUTOIF_OVERRIDES", '{"seeds": 1}', "AUTOIF_OVERRIDES: there is no seeds; did you mean s"),
        ("AUTOIF_NLI", "nobody", "AUTOIF_NLI is \"nobody\": input should be 'supervision' or"),
        ("AUTOIF_RECIPE", "papre", "AUTOIF_RECIPE: there is no recipe 'papre'"),
        ("AUTOIF_NIGHTLY_CRON", "every day", "AUTOIF_NIGHTLY_CRON: 'every day' is no cron text"),
        ("AUTOIF_REPAIR_CRON", "0 1 * *", "AUTOIF_REPAIR_CRON: '0 1 * *' is no cron text; write"),
        ("AUTOIF_MAX_REQUESTS", "-1", 'AUTOIF_MAX_REQUESTS is "-1": input should be greater'),
        ("AUTOIF_REPORT_PORT", "http", 'AUTOIF_REPORT_PORT is "http": input should be a valid'),
    ],
)
def test_what_is_wrong_with_a_variable_is_told_with_its_name(monkeypatch, variable, text, said):
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as told:
        settings()
    assert str(told.value).startswith(said)


PIECES = [
    *"\n :-{}[]#&*!|>%@\"'",
    "numbers",
    "endpoints",
    "judge",
    "model",
    "null",
    "1",
    "\n  ",
    "é",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_file_raises_anything_but_a_settings_error(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("any") / "autoif.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOIF_CONFIG", str(file))
        try:
            settings()
        except SettingsError as error:
            assert str(file) in str(error)


def test_init_writes_a_file_that_changes_nothing_and_overwrites_none(place):
    before = settings().model_dump()
    assert autoif("init").exit_code == 0
    text = (place / "autoif.yaml").read_text()
    said = {name: settings().value(name) for name, _ in leaves() if settings().place(name)}
    assert said == {
        ("endpoints", "supervision", "base_url"): "http://127.0.0.1:8000/v1",
        ("endpoints", "supervision", "model"): "",
    }
    with dg.build_resources(configured_resources()) as built:
        assert built.recipe.load() == AUDITED
    again = autoif("init")
    assert again.exit_code == 2 and "is there already" in again.output
    # With every # taken off, it still is what was there before.
    bare = "\n".join(
        line.replace("# ", "", 1) if ": " in line and line.strip().startswith("# ") else line
        for line in text.splitlines()
        if not line.strip().startswith("#") or line.strip().split(":")[0][2:] in NAMES
    )
    write(place, bare)
    numbers = json.loads(AUDITED.model_dump_json(exclude={"prompts"}))
    assert yaml.safe_load(bare)["numbers"] == numbers
    assert settings().make_recipe() == AUDITED
    assert before["report_port"] == settings().report_port


NAMES = {path[-1] for path, _ in leaves()} | set(Recipe.model_fields)


def test_every_setting_is_told_with_its_meaning(place):
    write(place, FILE)
    shown = autoif("settings").output
    for path, declared in leaves():
        if path != ("numbers",):
            assert f"\n{'.'.join(path)} = " in shown
            assert declared.description, path
    assert f"numbers.responses_per_prompt = 4  ({place}/autoif.yaml, line 14)" in shown
    assert "numbers.min_cases = 10  (recipe authors_code)" in shown
    changed = autoif("settings", "--changed", "endpoints.judge").output
    assert "endpoints.judge.model" in changed and "supervision" not in changed
    refused = autoif("settings", "nope")
    assert refused.exit_code == 2 and "There is no setting nope." in refused.output


def test_every_variable_is_of_a_setting():
    paths = {path for path, _ in leaves()}
    assert set(variables()) <= paths
    assert len(set(variables().values())) == len(variables())
    assert default_of(("recipe",), dict(leaves())[("recipe",)]) == "audited"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "min_score=9"), "min_score: '9' is no bound; write \">= 9\""),
        (("--set", "respnses_per_prompt=1"), "there is no respnses_per_prompt; did you mean respo"),
        (("--set", "eval_share=2"), "eval_share is 2: input should be less than 1"),
        (("--set", "difficulty=no"), "difficulty is \"no\": input should be 'all'"),
        (("--set", "x"), "'x' is not of the form name=value"),
        (("--recipe", "papre"), "there is no recipe 'papre'"),
        (("--nope",), "No such option"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_sentence(place, words, said):
    done = autoif("run", *words)
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output
    assert not (place / "data" / "pipeline.duckdb").exists()


@pytest.mark.slow
def test_the_definitions_are_loaded_with_the_file_of_a_data_folder(place):
    """As the daemon's processes do, which start elsewhere with what the first process told them."""
    write(place, FILE.replace("data: made", "data: far/made"))
    code = (
        "from autoif_assets.cli.home import prepare_home; prepare_home(); import os;"
        "os.chdir('/'); from autoif_assets.definitions import defs;"
        "import dagster as dg; r = dg.build_resources(defs.resources).__enter__();"
        "print(r.supervision.settings().model, r.warehouse.data_dir)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["big", str(place / "far" / "made")]
