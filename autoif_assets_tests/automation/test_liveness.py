"""Whether the process of a run still lives: told by more than a pid, which names many."""

import os
import subprocess
import sys

import dagster as dg
import pytest

from autoif_assets.automation.runs import (
    busy_batches,
    is_dead,
    process_tags,
    report_killed_runs,
    under_way,
)

BATCH = {"dagster/partition": "b1"}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def run_of(instance, status=dg.DagsterRunStatus.STARTED, **tags):
    own = {**process_tags(), **BATCH, **{f"autoif/{name}": value for name, value in tags.items()}}
    own = {name: value for name, value in own.items() if value is not None}
    run = dg.DagsterRun(job_name="batch", tags=own, status=status)
    instance.add_run(run)
    return run


def test_this_process_lives(instance):
    run = run_of(instance)
    assert not is_dead(run)
    assert under_way(instance, "b1") == run.run_id
    assert busy_batches(instance) == {"b1"}
    assert report_killed_runs(instance) == []


@pytest.mark.parametrize(
    "tags",
    [
        {"started": "1"},  # a container that was started again: the same host and pid
        {"boot": "another"},  # a machine that was
        {"started": None, "boot": None},  # of an earlier version, with this process's pid
        {"pid": "999999999"},
        {"pid": "not a number"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED], ids=lambda s: s.value
)
def test_another_of_the_same_pid_does_not(instance, status, tags):
    run = run_of(instance, status, **tags)
    assert is_dead(run)
    assert under_way(instance, "b1") is None
    assert busy_batches(instance) == set()
    assert report_killed_runs(instance) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert report_killed_runs(instance) == []


def test_runs_of_others_are_left_alone(instance):
    away = run_of(instance, host="elsewhere", boot="another", started="1")
    daemons = run_of(instance, dg.DagsterRunStatus.NOT_STARTED, host=None, pid=None)
    assert not is_dead(away) and not is_dead(daemons)
    assert report_killed_runs(instance) == []
    assert under_way(instance, "b1") is None


def test_a_process_that_nobody_has_waited_for_is_gone(instance):
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(run_of(instance, pid=str(child.pid), started=None))
    child.wait()
