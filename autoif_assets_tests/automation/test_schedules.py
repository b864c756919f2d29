"""The schedules on a real instance, with a small chain of assets in the place of ours."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache

import dagster as dg
import pytest

from autoif_assets.automation.batches import batch_states
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.automation.runs import old_runs, process_tags
from autoif_assets.automation.schedules import ATTEMPTS, nightly_batch, repair_batches
from autoif_assets.automation.sensors import killed_runs
from autoif_assets.warehouse import Batch, Warehouse, known_batches, remove_batch, save_batch

pytestmark = pytest.mark.slow

FAILING: set[str] = set()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@cache
def chain(version="1", seeds="s1"):
    @dg.asset(code_version="1")
    def seed():
        return dg.Output(1, data_version=dg.DataVersion(seeds))

    @dg.asset(partitions_def=BATCHES, code_version="1")
    def first(context: dg.AssetExecutionContext, seed: int) -> int:
        return seed

    @dg.asset(partitions_def=BATCHES, code_version=version)
    def second(context: dg.AssetExecutionContext, first: int) -> int:
        if context.partition_key in FAILING:
            raise RuntimeError("the server is away")
        return first

    @dg.asset(code_version="1", deps=[second])
    def export() -> None: ...

    job = dg.define_asset_job("batch", selection=dg.AssetSelection.assets(seed, first, second))
    return dg.Definitions(
        assets=[seed, first, second, export],
        jobs=[job],
        resources={"io_manager": dg.mem_io_manager},
        executor=dg.in_process_executor,
    )


@pytest.fixture
def instance(tmp_path, monkeypatch):
    FAILING.clear()
    monkeypatch.setenv("AUTOIF_DATA", str(tmp_path))
    with dg.instance_for_test() as made:
        yield made


def run(instance, key, defs=None):
    instance.add_dynamic_partitions("batch", [key])
    tables = Warehouse(os.environ["AUTOIF_DATA"])
    if key not in known_batches(tables):
        save_batch(tables, Batch(key, created_at=LONG_AGO))
    job = (defs or chain()).resolve_job_def("batch")
    return job.execute_in_process(
        partition_key=key,
        instance=instance,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def repair(instance, defs=None):
    repository = (defs or chain()).get_repository_def()
    context = dg.build_schedule_context(
        instance=instance,
        repository_def=repository,
        scheduled_execution_time=datetime(2026, 5, 4, 1, tzinfo=UTC),
    )
    tick = repair_batches.evaluate_tick(context)
    return {
        request.partition_key: sorted(key.to_user_string() for key in request.asset_selection)
        for request in tick.run_requests
    }, tick.skip_message


def states(instance, defs):
    graph = defs.get_repository_def().asset_graph
    keys = instance.get_dynamic_partitions("batch")
    known = known_batches(Warehouse(os.environ["AUTOIF_DATA"]))
    return batch_states(instance, graph, keys, ATTEMPTS, known)


COMPLETE = "Every batch is complete or being made."


def test_without_their_variables_schedules_are_off():
    off = dg.DefaultScheduleStatus.STOPPED
    assert {schedule.default_status for schedule in (nightly_batch, repair_batches)} == {off}


def test_nothing_is_repaired_where_nothing_is_lacking(instance):
    run(instance, "a")
    run(instance, "b")  # makes the seed again, from the same data
    assert repair(instance) == ({}, COMPLETE)


def test_only_what_failed_is_requested(instance):
    run(instance, "a")
    FAILING.add("b")
    run(instance, "b")
    assert repair(instance)[0] == {"b": ["second"]}


def test_a_batch_that_was_only_added_is_made_whole(instance):
    run(instance, "a")
    instance.add_dynamic_partitions("batch", ["b"])
    assert repair(instance)[0] == {"b": ["first", "second"]}


def test_what_is_merely_stale_is_left_to_a_person(instance):
    run(instance, "a")
    assert repair(instance, chain(version="2")) == ({}, COMPLETE)
    run(instance, "b", chain(seeds="s2"))
    assert repair(instance) == ({}, COMPLETE)
    (state,) = [one for one in states(instance, chain(version="2")) if one.batch == "a"]
    assert state.lacking == {}
    assert state.stale == {"second": "a rule or prompt changed"}


def test_a_replacement_that_failed_is_completed(instance):
    run(instance, "a")
    FAILING.add("a")
    # Its first asset is another now, and its second was to follow.
    run(instance, "a", chain(seeds="s2"))
    assert repair(instance, chain(seeds="s2"))[0] == {"a": ["second"]}
    # A run that was refused before it made anything leaves the batch as it was.
    FAILING.clear()
    run(instance, "a", chain(seeds="s2"))
    refused = instance.create_run_for_job(
        chain().resolve_job_def("batch"), tags={"dagster/partition": "a"}
    )
    instance.report_run_failed(refused)
    assert repair(instance, chain(version="2"))[0] == {}


def test_what_was_replaced_or_removed_counts_no_more(instance):
    run(instance, "a")
    tables = Warehouse(os.environ["AUTOIF_DATA"])
    save_batch(tables, Batch("a", created_at=datetime.now(UTC)))
    assert repair(instance)[0] == {"a": ["first", "second"]}
    remove_batch(tables, "a")
    assert repair(instance)[0] == {"a": ["first", "second"]}


def test_a_batch_that_keeps_failing_is_parked_with_its_reason(instance):
    FAILING.add("b")
    for _ in range(ATTEMPTS - 1):
        run(instance, "b")
    assert repair(instance)[0] == {"b": ["second"]}
    run(instance, "b")
    asked, skip = repair(instance)
    assert asked == {}
    assert "b is parked" in skip
    assert "second: " in skip
    assert "the server is away" in skip
    FAILING.clear()
    run(instance, "b")
    assert "parked" not in repair(instance)[1]


def test_a_batch_under_way_is_left_alone_and_counted(instance, monkeypatch):
    monkeypatch.setenv("AUTOIF_REPAIR_AT_MOST", "2")
    instance.add_dynamic_partitions("batch", ["a", "b", "c"])
    job = chain().resolve_job_def("batch")
    instance.create_run_for_job(
        job, tags={"dagster/partition": "a"}, status=dg.DagsterRunStatus.STARTED
    )
    asked, _ = repair(instance)
    assert list(asked) == ["b"]


def test_the_night_adds_and_requests_a_batch(instance):
    context = dg.build_schedule_context(
        instance=instance,
        repository_def=chain().get_repository_def(),
        scheduled_execution_time=datetime(2026, 5, 4, 1, tzinfo=UTC),
    )
    (request,) = nightly_batch.evaluate_tick(context).run_requests
    assert request.partition_key == request.run_key == "2026-05-04"
    assert instance.get_dynamic_partitions("batch") == ["2026-05-04"]


def test_history_forgets_old_runs_but_not_what_was_made(instance):
    FAILING.add("a")
    for _ in range(2):
        run(instance, "a")
    FAILING.clear()
    run(instance, "a")
    later = datetime.now(UTC) + timedelta(days=1)
    assert old_runs(instance, datetime.now(UTC) - timedelta(days=1)) == []
    old = old_runs(instance, later)
    assert len(old) == 2
    for run_id in old:
        instance.delete_run(run_id)
    assert repair(instance) == ({}, COMPLETE)
    assert old_runs(instance, later) == []


def test_a_killed_run_of_the_command_is_marked_and_gives_its_place_back(instance):
    job = chain().resolve_job_def("batch")
    tags = process_tags()
    instance.event_log_storage.set_concurrency_slots("endpoint", 1)

    def started(pid):
        run = instance.create_run_for_job(
            job, tags={**tags, "autoif/pid": pid}, status=dg.DagsterRunStatus.STARTED
        )
        claim = instance.event_log_storage.claim_concurrency_slot("endpoint", run.run_id, "step")
        return run.run_id, claim.is_claimed

    ended = subprocess.Popen(["true"])
    ended.wait()
    tags_of_process = dict(tags)
    del tags["autoif/started"], tags["autoif/boot"]  # as earlier versions have none
    killed, claimed = started(str(ended.pid))
    assert claimed
    tags |= tags_of_process
    living, claimed = started(tags["autoif/pid"])
    assert not claimed
    skipped = killed_runs.evaluate_tick(dg.build_sensor_context(instance=instance)).skip_message
    assert killed in skipped and living not in skipped
    assert instance.get_run_by_id(killed).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(living).status == dg.DagsterRunStatus.STARTED
    claim = instance.event_log_storage.claim_concurrency_slot("endpoint", living, "step")
    assert claim.is_claimed
