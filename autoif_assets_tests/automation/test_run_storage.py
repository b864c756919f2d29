"""Connections that stay open: what is stored is what Dagster's own storage reads and writes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from autoif_assets.inputs import InputError
from autoif_assets.resources import failure

pytestmark = pytest.mark.slow

SETTINGS = """
storage:
  custom:
    module: autoif_assets.automation.run_storage
    class: PooledSqliteStorage
telemetry: {enabled: false}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    return tmp_path


@dg.asset
def an_asset():
    return dg.MaterializeResult(metadata={"rows": 1})


def open_files(home):
    found = [str(one.resolve()) for one in Path("/proc/self/fd").iterdir()]
    return {path for path in found if path.startswith(str(home)) and path.endswith(".db")}


def seen(instance, run_id):
    events = [entry.dagster_event_type for entry in instance.all_logs(run_id)]
    return events, instance.get_run_by_id(run_id).status


def test_runs_of_either_storage_are_read_by_the_other(home):
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is not SqliteEventLogStorage
        ours = dg.materialize([an_asset], instance=instance).run_id
        stored = seen(instance, ours)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        assert seen(instance, ours) == stored
        theirs = dg.materialize([an_asset], instance=instance).run_id
    (home / "dagster.yaml").write_text(SETTINGS)
    with dg.DagsterInstance.get() as instance:
        assert seen(instance, theirs) == stored
        assert instance.get_latest_materialization_event(an_asset.key).run_id == theirs


def test_threads_that_look_at_many_runs_keep_few_files_open(home):
    with dg.DagsterInstance.get() as instance:
        runs = [dg.materialize([an_asset], instance=instance).run_id for _ in range(17)]
        wanted = seen(instance, runs[0])
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda run: seen(instance, run), runs * 4)) == [wanted] * 68
        # The last runs', the index, and the file of runs.
        assert 2 < len(open_files(home)) <= 18
    assert open_files(home) == set()


def test_runs_go_on_after_all_of_them_were_wiped(home):
    with dg.DagsterInstance.get() as instance:
        gone = dg.materialize([an_asset], instance=instance).run_id
        instance.wipe()
        assert instance.get_run_by_id(gone) is None
        kept = dg.materialize([an_asset], instance=instance).run_id
        assert seen(instance, kept)[1] is dg.DagsterRunStatus.SUCCESS
        assert instance.all_logs(gone) == []


@dg.asset
def mistaken():
    try:
        raise InputError("seeds.txt: line 2 is \x1b[31mnone")
    except InputError as error:
        raise failure(error) from error


@dg.asset
def broken():
    return {}["absent"]


@dg.asset
def refused():
    raise InputError("seeds.txt: no such file")


@pytest.mark.parametrize(
    ("asset", "reason"),
    [
        (mistaken, "seeds.txt: line 2 is [31mnone ("),
        (refused, "seeds.txt: no such file ("),
        (broken, "KeyError: 'absent' ("),
    ],
)
def test_failures_begin_with_their_reason(home, asset, reason):
    """Before: 'Execution of run for "..." failed. Steps failed: [...]'."""
    with dg.DagsterInstance.get() as instance:
        run = dg.materialize([asset], instance=instance, raise_on_error=False).run_id
        failed = (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE)
        told = [e for e in instance.all_logs(run) if e.dagster_event_type in failed]
        assert len(told) == 2
        for entry in told:
            assert entry.dagster_event.message.startswith(reason)
            assert entry.user_message == entry.dagster_event.message
        assert "Steps failed: " in told[1].user_message


def test_a_resource_that_cannot_be_made_is_the_reason(home):
    class Strict(dg.ConfigurableResource):
        def setup_for_execution(self, context):
            raise failure("No folder is named.")

    @dg.asset
    def asset(strict: Strict): ...

    with dg.DagsterInstance.get() as instance:
        run = dg.materialize(
            [asset], instance=instance, resources={"strict": Strict()}, raise_on_error=False
        ).run_id
        (told,) = [
            entry.dagster_event.message
            for entry in instance.all_logs(run)
            if entry.dagster_event_type == dg.DagsterEventType.RUN_FAILURE
        ]
    assert told.startswith("No folder is named. (")


@pytest.mark.parametrize("name", ["a,b", "a|b", "a\x1b", "a\u202eb", " "])
def test_the_ui_adds_no_batch_or_policy_that_cannot_be_named(home, name):
    with dg.DagsterInstance.get() as instance:
        for definition in ("batch", "policy"):
            with pytest.raises(ValueError, match=f"cannot be a {definition}"):
                instance.add_dynamic_partitions(definition, [name])
        instance.add_dynamic_partitions("another", [name])
        assert instance.get_dynamic_partitions("batch") == []


def test_names_that_were_there_before_stay_usable(home):
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        SqliteEventLogStorage.add_dynamic_partitions(storage, "batch", ["old|name"])
        instance.add_dynamic_partitions("batch", ["old|name", "new"])
        assert instance.get_dynamic_partitions("batch") == ["old|name", "new"]
