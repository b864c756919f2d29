"""Runs of machines that are gone."""

import dagster as dg
import pytest

from autoif_assets.automation.runs import lost_runs, report_lost
from autoif_assets.resources.warehouse import PRESENT


class Lake:
    """Says which runs are absent."""

    def __init__(self, *gone):
        self.gone = set(gone)

    def absent(self, runs):
        return self.gone & set(runs)


@dg.job
def empty():
    pass


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(instance, status, **tags):
    return instance.create_run_for_job(empty, status=status, tags=tags).run_id


def test_only_runs_that_told_that_they_are_alive_can_be_lost(instance):
    started, over = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS
    lost = run(instance, started, **{PRESENT: "true"})
    alive = run(instance, started, **{PRESENT: "true"})
    others = run(instance, started), run(instance, over, **{PRESENT: "true"})
    (found,) = lost_runs(instance, Lake(lost, *others))
    assert found.run_id == lost
    report_lost(instance, found)
    assert instance.get_run_by_id(lost).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(alive).status == started
    assert lost_runs(instance, Lake(lost)) == []
