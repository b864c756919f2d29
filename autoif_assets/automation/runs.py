"""Dagster's runs: those of this process, those that were killed, failed, or are old."""

import os
import socket
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster_shared.error import SerializableErrorInfo

from autoif_assets.display import displayed
from autoif_assets.resources.warehouse import PRESENT
from autoif_assets.warehouse import Warehouse

# Of a run of `autoif run`, which the daemon does not watch as it does its own. A pid alone names no
# process for long: the first of each container is 1.
_HOST, _PID, _STARTED, _BOOT = "autoif/host", "autoif/pid", "autoif/started", "autoif/boot"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_IDS = 500  # records asked for at a time; SQLite takes no long lists
_OVER = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_NOT_OVER = [*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]


def process_tags() -> dict[str, str]:
    """Tell this process apart, in the tags of its runs."""
    pid = os.getpid()
    return {
        _HOST: socket.gethostname(),
        _PID: str(pid),
        _STARTED: _started(str(pid)) or "",
        _BOOT: _boot(),
    }


def is_dead(run: dg.DagsterRun) -> bool:
    """Whether the process of a run of `autoif run` on this host is gone.

    False of all other runs: nobody here can tell.
    """
    if run.tags.get(_HOST) != socket.gethostname() or _PID not in run.tags:
        return False
    if _BOOT in run.tags and run.tags[_BOOT] != _boot():
        return True
    started = _started(run.tags[_PID])
    if _STARTED in run.tags:
        return started != run.tags[_STARTED]
    # Of an earlier version, which this process is not.
    return started is None or run.tags[_PID] == str(os.getpid())


def _started(pid: str) -> str | None:
    """Return when a living process was started, in ticks since the host was; None without one."""
    try:
        fields = Path(f"/proc/{int(pid)}/stat").read_text("utf-8", "replace")
    except (OSError, ValueError):
        return None
    state, *rest = fields.rpartition(")")[2].split()  # the name before may hold anything
    return None if state in "ZX" else rest[18]


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def under_way(instance: dg.DagsterInstance, partition: str) -> str | None:
    """Return the id of a run that is at work on a partition, if there is one.

    Dagster's queue keeps such runs apart, but what starts a run in its own process passes it by.
    Processes of other hosts do not count: nobody here can tell whether they live.
    """
    running = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
            dg.DagsterRunStatus.NOT_STARTED,
        ],
        tags={PARTITION_NAME_TAG: str(partition)},
    )
    here = socket.gethostname()

    def counts(run: dg.DagsterRun) -> bool:
        host = run.tags.get(_HOST)
        # Without a host it is the daemon's; before its start it is in the hands of the queue.
        launched = run.status != dg.DagsterRunStatus.NOT_STARTED
        return (host == here or (host is None and launched)) and not is_dead(run)

    return next((run.run_id for run in instance.get_runs(running) if counts(run)), None)


def report_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of `autoif run` whose process is gone as failed, and return them.

    They would stay "started" for ever, hold a place in the run queue, and hold their places in
    pools, which the next run would wait for.
    """
    running = dg.RunsFilter(
        # One that was stopped at its very beginning has not even started.
        statuses=[*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.NOT_STARTED],
        tags={_HOST: socket.gethostname()},
    )
    killed = [run for run in instance.get_runs(running) if is_dead(run)]
    for run in killed:
        instance.report_run_failed(run, "Its process is gone; it was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in killed]


def lost_runs(instance: dg.DagsterInstance, warehouse: Warehouse) -> list[dg.DagsterRun]:
    """Return runs whose machine, or process there, seems to be gone: their lock is free.

    For a moment so is that of a run whose session with the catalog was cut.
    """
    running = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING],
        tags={PRESENT: "true"},
    )
    runs = {run.run_id: run for run in instance.get_runs(running)}
    gone = warehouse.absent(runs) if runs else set()
    # One that has ended meanwhile gave its lock back, too.
    still = {run.run_id for run in instance.get_runs(running)} if gone else set()
    return [runs[run_id] for run_id in sorted(gone & still)]


def report_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Mark a run as failed whose machine is gone, and free the places in pools that it held."""
    instance.report_run_failed(run, "Its machine, or its process there, is gone.")
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def busy_batches(instance: dg.DagsterInstance) -> set[str]:
    """Return the batches that a run is making, or will once it leaves the queue."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_NOT_OVER))
    return {
        run.tags[PARTITION_NAME_TAG]
        for run in runs
        if PARTITION_NAME_TAG in run.tags and not is_dead(run)
    }


def repeated_failure(instance: dg.DagsterInstance, batch: str, attempts: int) -> str | None:
    """Return why the last ``attempts`` runs of a batch failed, or None if one of them did not."""
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_NAME_TAG: batch}), limit=attempts)
    if len(runs) < attempts or any(run.status != dg.DagsterRunStatus.FAILURE for run in runs):
        return None
    return failure_reason(instance, runs[0].run_id)


def failure_reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return why the first step of a run failed, or why the run itself did."""
    for event_type in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        records = instance.get_records_for_run(run_id, of_type=event_type, limit=1).records
        for record in records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            if event.is_step_failure:
                return f"{event.step_key}: {first_words(event.step_failure_data.error)}"
            return displayed((event.message or "").strip())
    return "no reason is recorded"


_LONGEST_REASON = 2000
# These are written for people: the name of their class says nothing more.
_OURS = ("autoif_assets.", "dagster._core.definitions.events.Failure")


def first_words(error: SerializableErrorInfo | None) -> str:
    """Return the reason of a failure, in one line.

    It is that of a `dg.Failure`, else of the error that all others were raised from, which say
    where in Dagster it passed.
    """
    if error is None:
        return "no reason is recorded"
    while error.cls_name != "Failure" and error.cause is not None:
        error = error.cause
    words = " ".join(error.message.split())
    name, _, rest = words.partition(": ")
    if name.startswith(_OURS) and " " not in name:
        words = rest
    return displayed(words)[:_LONGEST_REASON]


def old_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Return the runs that ended, were made before a time, and are not needed any more.

    A run that holds the latest materialization of some asset and batch is needed: with its events
    Dagster would forget that the asset was made.
    """
    needed: set[str] = set()
    for key in instance.all_asset_keys():
        needed.update(record.run_id for record in latest_materializations(instance, key))
        event = instance.get_latest_materialization_event(key)
        if event is not None:
            needed.add(event.run_id)
    old = instance.get_runs(dg.RunsFilter(statuses=_OVER, created_before=before))
    return [run.run_id for run in old if run.run_id not in needed]


def latest_materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey
) -> Iterator[dg.EventLogRecord]:
    """Yield the latest materialization of every partition of an asset."""
    latest = instance.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    ids = list(latest.values())
    for start in range(0, len(ids), _IDS):
        some = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids[start : start + _IDS])
        yield from instance.fetch_materializations(some, limit=_IDS).records
