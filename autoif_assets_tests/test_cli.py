import os
import shutil
import subprocess
import sys
from types import SimpleNamespace
from urllib.error import URLError
from urllib.request import urlopen

import dagster as dg
import pytest
from click.testing import CliRunner

from autoif_assets.automation.runs import under_way
from autoif_assets.cli import home, main, servers
from autoif_assets.cli.home import home_note, prepare_home
from autoif_assets.cli.runs import parse_override
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.simulator.models import MILD

from .dev.daemon import AUTOIF, free_port, instance_of
from .endpoint.server import Server
from .environment import clean_environment, clear

pytestmark = pytest.mark.slow

POLICY = ["policy", "add", "--model", "m"]


def test_the_ui_asks_the_simulator_and_nobody_else(tmp_path, monkeypatch):
    clear(monkeypatch)
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    monkeypatch.setenv("AUTOIF_AUDITOR_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("AUTOIF_REPORT_PORT", str(free_port()))
    seen = []

    def dagster(*words):
        with urlopen(os.environ["AUTOIF_BASE_URL"] + "/models") as reply:
            seen.append((words, dict(os.environ), reply.read().decode()))

    monkeypatch.setattr(servers, "_dagster", dagster)
    result = CliRunner().invoke(main, ["dev", "--simulate", "-p", "3999"])
    assert result.exit_code == 0, result.output
    words, environment, models = seen[0]
    assert words[-2:] == ("-p", "3999") and "--simulate" not in words
    assert "AUTOIF_AUDITOR_BASE_URL" not in environment
    assert environment["AUTOIF_MODEL"] in models
    # It ends with the UI.
    with pytest.raises(URLError):
        urlopen(environment["AUTOIF_BASE_URL"] + "/models")


def test_the_ui_starts_without_warnings(tmp_path):
    """Dagster's command as a checkout runs it, up to where it opens the instance."""
    (tmp_path / "dagster.yaml").touch()
    program = (
        "import dagster._cli.dev as dev\n"
        "from autoif_assets.cli import main\n"
        "def opened(*words, logger): logger.warning('opened'); raise SystemExit(0)\n"
        "dev.get_possibly_temporary_instance_for_cli = opened\n"
        "main(['dev'])\n"
    )
    environment = clean_environment(
        AUTOIF_DATA=str(tmp_path / "data"), AUTOIF_REPORT_PORT=str(free_port())
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    (said,) = done.stdout.splitlines()
    assert said.endswith("opened")


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    yield tmp_path
    os.environ.pop("DAGSTER_HOME", None)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("responses_per_prompt=4", ("responses_per_prompt", 4)),
        ("min_score=>= 7", ("min_score", ">= 7")),
        ("seeds_per_batch=null", ("seeds_per_batch", None)),
    ],
)
def test_overrides(text, pair):
    assert parse_override(text) == pair


def test_an_override_without_a_value():
    result = CliRunner().invoke(main, ["run", "--set", "responses_per_prompt"])
    assert result.exit_code == 2
    assert "name=value" in result.output


def test_the_home_honours_the_projects_settings(data):
    found = prepare_home()
    assert found == data / "dagster"
    assert "telemetry" in (found / "dagster.yaml").read_text()
    assert os.environ["DAGSTER_HOME"] == str(found)
    assert prepare_home() == found


@pytest.mark.parametrize(
    "words",
    [
        ["batch", "list"],
        ["batch", "show", "b1"],
        ["batch", "remove", "b1", "--yes"],
        ["batch", "exclude", "b1"],
        ["batch", "remake", "b1"],
        ["batch", "add", "b2"],
        ["grow", "--sft", "9"],
        ["policy", "list"],
        ["run", "--dry-run"],
    ],
)
@pytest.mark.parametrize("own_home", [False, True])
def test_nothing_is_told_of_batches_or_removed_while_the_database_is_lost(
    data, monkeypatch, words, own_home
):
    """Before, all lacked all, and a batch that was removed then was none once it was restored."""
    (data / "warehouse.duckdb").touch()
    if own_home:
        (data / "mine").mkdir()
        monkeypatch.setenv("DAGSTER_HOME", str(data / "mine"))
    found = CliRunner().invoke(main, words)
    assert found.exit_code == 2
    assert "`autoif restore` makes the database from that copy" in found.output
    assert len(found.output.splitlines()) == 1


@pytest.mark.parametrize("named", ["/nowhere/home", "home"])
def test_a_home_that_is_not_there_is_told(data, monkeypatch, named):
    """Before: 41 lines of Dagster's, with a traceback."""
    monkeypatch.setenv("DAGSTER_HOME", named)
    result = CliRunner().invoke(main, ["batch", "list"])
    assert result.exit_code == 2
    assert f"DAGSTER_HOME is {named}, which is no folder" in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("folder", ["journals", "exports"])
def test_what_is_written_to_is_looked_at_before_anything_starts(data, monkeypatch, folder):
    (data / folder).touch()
    for own in (False, True):
        if own:
            (data / "mine").mkdir()
            monkeypatch.setenv("DAGSTER_HOME", str(data / "mine"))
        result = CliRunner().invoke(main, ["run"])
        assert result.exit_code == 2
        assert f"Cannot write to {data}/{folder} (Not a directory)" in result.output


def test_it_is_told_what_another_home_does_otherwise(data, monkeypatch):
    assert home_note() is None
    prepare_home()
    assert home_note() is None
    mine = data / "mine"
    mine.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(mine))
    for text in (None, "", "storage: [", "telemetry: {enabled: false}"):
        if text is not None:
            (mine / "dagster.yaml").write_text(text)
        told = home_note()
        assert told is not None
        assert "begin with Dagster's words" in told and "pay twice" in told
    shutil.copy(home._SETTINGS, mine)
    assert home_note() is None


def test_a_home_of_the_users_own_is_left_alone(data, monkeypatch):
    (data / "mine").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(data / "mine"))
    monkeypatch.chdir(data.parent)
    monkeypatch.setenv("AUTOIF_DATA", data.name)
    assert prepare_home() == data / "mine"
    assert not (data / "dagster").exists()
    # Its run workers start elsewhere too.
    assert os.environ["AUTOIF_DATA"] == str(data)


def test_batches_are_added_once(data):
    added = CliRunner().invoke(main, ["batch", "add", "b 1", "b'2"])
    assert added.output.splitlines()[-2:] == ["b 1", "b'2"]
    again = CliRunner().invoke(main, ["batch", "add", "b 1"])
    assert again.output.splitlines()[-2:] == ["b 1", "b'2"]


@pytest.mark.parametrize("name", ["a,b", "a|b", "a\nb", "a\x1b[31mb", "a\u202eb", "a...b", " "])
def test_names_that_cannot_be_are_refused(data, name):
    for command in (["batch", "add", "good", name], ["run", "--batch", name], [*POLICY, name]):
        refused = CliRunner().invoke(main, command)
        assert refused.exit_code == 2, command
        assert f"{name!r} cannot be a " in refused.output
        assert "\x1b" not in refused.output and "\u202e" not in refused.output
    with instance_of(data / "dagster") as instance:
        assert instance.get_dynamic_partitions("batch") == []
        assert instance.get_dynamic_partitions("policy") == []


def test_a_batch_that_a_run_is_making_is_left_to_it(data):
    home = prepare_home()
    tags = {"dagster/partition": "b1"}
    run = dg.DagsterRun(job_name="batch", tags=tags, status=dg.DagsterRunStatus.STARTED)
    with instance_of(home) as instance:
        instance.add_run(run)
    result = CliRunner().invoke(main, ["run", "--batch", "b1"])
    assert result.exit_code == 2
    assert f"A run is making b1 already ({run.run_id})" in result.output
    # One of another machine, whose processes cannot be seen from here, is in nobody's way.
    away = run._replace(run_id=dg.DagsterRun(job_name="batch").run_id)
    away = away.with_tags({**tags, "dagster/partition": "b2", "autoif/host": "elsewhere"})
    with instance_of(home) as instance:
        instance.add_run(away)
        assert under_way(instance, "b1") == run.run_id
        assert under_way(instance, "b2") is None


def test_a_data_folder_that_cannot_be_written_is_told(data, monkeypatch):
    (data / "file").touch()
    monkeypatch.setenv("AUTOIF_DATA", str(data / "file"))
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 2
    assert (
        f"Cannot write to {data}/file/dagster (Not a directory). Set AUTOIF_DATA" in result.output
    )


def test_a_data_folder_on_a_read_only_disk_is_told(data, monkeypatch):
    (data / "dagster").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = CliRunner().invoke(main, ["batch", "list"])
    assert result.exit_code == 2
    assert "dagster (no write access). Set AUTOIF_DATA" in result.output


def test_a_full_disk_is_told_before_anything_starts(data, monkeypatch):
    monkeypatch.setattr(home.shutil, "disk_usage", lambda path: SimpleNamespace(free=3_000_000))
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 2
    assert f"The disk of {data} is full (3.0 MB are free). Free some space" in result.output


def test_the_doctor_names_what_does_not_work(data, monkeypatch):
    monkeypatch.setenv("AUTOIF_BASE_URL", "http://127.0.0.1:9/v1")
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "confinement:" in result.output
    assert "http://127.0.0.1:9/v1" in result.output


def test_a_run_without_a_model_says_so(data, monkeypatch):
    monkeypatch.delenv("AUTOIF_MODEL", raising=False)
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 2
    assert "Set AUTOIF_MODEL" in result.output


@pytest.fixture(scope="module")
def simulator():
    with Simulator(SimulatorSettings(**MILD)) as running:
        yield running


@pytest.mark.parametrize(
    ("variables", "status", "said"),
    [
        ({"SEEDS": "nowhere.txt"}, 2, "Error: nowhere.txt: no such file"),
        ({"QUERIES": "{short}"}, 2, "none of 1 records is a usable query (1 too_short)"),
        (
            {"OVERRIDES": '{{"modules": ["no_such_module"]}}'},
            2,
            "Error: Verifiers cannot have the modules no_such_module: The sandbox's process could",
        ),
        ({"MODEL": "absent"}, 2, "'absent' is not served; it serves autoif-simulator."),
        ({"BASE_URL": "{base}"}, 2, "set AUTOIF_BASE_URL={base}/v1."),
        ({"BASE_URL": "nonsense"}, 2, "'nonsense' is not the URL of an endpoint"),
        ({"JUDGE_BASE_URL": "{base}"}, 2, "set AUTOIF_JUDGE_BASE_URL={base}/v1."),
    ],
)
def test_nothing_is_registered_or_asked_before_all_is_in_order(
    data, monkeypatch, simulator, variables, status, said
):
    (data / "short.txt").write_text("Hi?")
    places = {"base": simulator.base_url.removesuffix("/v1"), "short": data / "short.txt"}
    given = {"BASE_URL": simulator.base_url, "MODEL": "autoif-simulator", **variables}
    for name, value in given.items():
        monkeypatch.setenv(f"AUTOIF_{name}", value.format(**places))
    before = simulator.stats()["served"]
    result = CliRunner().invoke(main, ["run", "--batch", "b9"])
    assert (result.exit_code, said.format(**places) in result.output) == (status, True), (
        result.output
    )
    assert simulator.stats()["served"] == before
    with instance_of(data / "dagster") as instance:
        assert instance.get_dynamic_partitions("batch") == []
        assert instance.get_runs() == []
    assert not (data / "pipeline.duckdb").exists()


def _refusing(body, count):
    return 401, {"error": {"message": "no \x1b[2J\u202ekey"}}


def test_a_servers_words_direct_no_terminal(data, monkeypatch):
    with Server(_refusing) as server:
        monkeypatch.setenv("AUTOIF_BASE_URL", server.url)
        monkeypatch.setenv("AUTOIF_MODEL", "tiny")
        shown = CliRunner().invoke(main, ["doctor"])
    assert shown.exit_code == 1
    assert "no [2Jkey" in shown.output, shown.output
    assert not {"\x1b", "\u202e"} & set(shown.output)


@pytest.mark.long
def test_a_run_that_fails_says_why_and_not_what_it_did_not_begin(data):
    """Before: 40 lines "Dependencies for step ... were not executed", and escapes as they came."""
    with Server(_refusing) as server:
        environment = clean_environment(
            AUTOIF_DATA=str(data), AUTOIF_BASE_URL=server.url, AUTOIF_MODEL="tiny"
        )
        done = subprocess.run(
            [*AUTOIF, "run"], env=environment, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 1
    shown = done.stdout + done.stderr
    why = f"augmented_instructions failed: {server.url} refused the request for model 'tiny' (401: "
    assert f"\n{why}no [2Jkey" in shown
    assert "Not executing" not in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    # The run's own log has them.
    with instance_of(data / "dagster") as instance:
        (run,) = instance.get_runs()
        kept = [entry.user_message for entry in instance.all_logs(run.run_id)]
        assert instance.get_dynamic_partitions("batch") == []
    assert sum(words.endswith("Not executing.") for words in kept) > 10
    (told,) = [words for words in kept if "Steps failed: " in words]
    assert told.startswith(f"{server.url} refused the request")


def test_the_doctor_says_that_the_folder_and_the_inputs_do_not_do(data, monkeypatch):
    monkeypatch.setenv("AUTOIF_BASE_URL", "nonsense")
    monkeypatch.setenv("AUTOIF_SEEDS", "nowhere.txt")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(data))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert f"NOT USABLE: Cannot write to {data} (no write access)" in result.output
    assert "NOT USABLE: nowhere.txt: no such file" in result.output
