"""Runs of `autoif run` that were killed: the daemon does not watch them as it does its own."""

import os
import socket
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

_HOST, _PID = "autoif/host", "autoif/pid"


def process_tags() -> dict[str, str]:
    """Tell this process apart, in the tags of its runs."""
    return {_HOST: socket.gethostname(), _PID: str(os.getpid())}


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
        ],
        tags={PARTITION_NAME_TAG: str(partition)},
    )
    known = (None, socket.gethostname())
    return next(
        (run.run_id for run in instance.get_runs(running) if run.tags.get(_HOST) in known), None
    )


def report_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs whose process is gone as failed, and return them.

    They would stay "started" for ever, hold a place in the run queue, and hold their places in
    pools, which the next run would wait for.
    """
    running = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING],
        tags={_HOST: socket.gethostname()},
    )
    killed = [
        run for run in instance.get_runs(running) if not Path(f"/proc/{run.tags[_PID]}").exists()
    ]
    for run in killed:
        instance.report_run_failed(run, "Its process is gone; it was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in killed]
