"""`autoif batch watch`: follow a batch that another process makes, by Dagster's log of its run."""

import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from autoif_assets.cli.home import data_dir, open_warehouse, prepare_home
from autoif_assets.cli.output import say
from autoif_assets.cli.pins import known_batch
from autoif_assets.cli.runs import exit_if_failed, print_funnel

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun, EventLogEntry

    from autoif_assets.resources.telling import News

_EVERY_S = 1.0
_EVENTS = 500  # read at a time


@click.command("watch")
@click.argument("name")
def batch_watch(name: str) -> None:
    """Follow the batch NAME while the daemon or another terminal makes it, until it ends.

    Ctrl-C ends the watching alone.
    """
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.automation.runs import failure_reason, is_dead
    from autoif_assets.endpoint import spent_by_run

    with dg.DagsterInstance.get() as instance:
        known_batch(
            open_warehouse(), name, list(instance.get_dynamic_partitions(str(BATCHES.name)))
        )
        run = _newest(instance, name)
        if run is None:
            raise click.ClickException(
                f"No run has made {name} yet: autoif run --batch {name}, or the UI (autoif dev)."
            )
        if run.is_finished or is_dead(run):
            say(f"No run is making {name}; this is how the last one ended.")
        else:
            _follow(instance, run)
        ended = instance.get_run_by_id(run.run_id) or run
        spent = spent_by_run(data_dir() / "journals", run.run_id)
        say(
            f"The run {run.run_id} sent {spent.requests:,} requests, {spent.tokens:,} tokens"
            + (f", cost {spent.cost:,.4g}." if spent.cost else ".")
        )
        if ended.status != dg.DagsterRunStatus.SUCCESS:
            why = failure_reason(instance, run.run_id)
            if ended.status == dg.DagsterRunStatus.CANCELED:
                why = "the run was cancelled"
            elif not ended.is_finished:
                why = "its process is gone"
            exit_if_failed([f"{name} is not complete: {why}"], "The same run again goes on.")
    print_funnel(name)


def _newest(instance: "DagsterInstance", batch: str) -> "DagsterRun | None":
    """Return the run of a batch that was asked for last; of a policy's none."""
    import dagster as dg
    from dagster._core.storage.tags import PARTITION_NAME_TAG

    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_NAME_TAG: batch}), limit=1)
    return runs[0] if runs else None


def _follow(instance: "DagsterInstance", run: "DagsterRun") -> None:
    """Show how far a run is, until it is over."""
    from autoif_assets.automation.runs import is_dead
    from autoif_assets.cli.pages import console
    from autoif_assets.cli.progress import Board, showing
    from autoif_assets.resources.telling import tell

    board = Board(run.tags.get("dagster/partition", run.run_id), _steps(instance, run))
    with showing(board, console(err=True)) as on_terminal:
        cursor: str | None = None
        over = False
        while True:
            # Asked before its log is read: what is over by then has said all.
            found = instance.get_run_by_id(run.run_id)
            over = found is None or found.is_finished or is_dead(found)
            while True:
                page = instance.get_records_for_run(run.run_id, cursor, limit=_EVENTS)
                cursor = page.cursor
                for record in page.records:
                    for news in _news(record.event_log_entry):
                        tell(news)
                    if not on_terminal:
                        _print(record.event_log_entry)
                if not page.has_more:
                    break
            if over:
                return
            time.sleep(_EVERY_S)


def _news(entry: "EventLogEntry") -> Iterator["News"]:
    """Yield what an entry of the log tells a board."""
    from autoif_assets.automation.console import step_news
    from autoif_assets.resources.telling import Remark

    if int(entry.level) >= logging.WARNING and entry.user_message:
        yield Remark(entry.user_message)
    event = entry.dagster_event
    if event is not None and event.step_key is not None:
        yield from step_news(event, entry.timestamp)


def _print(entry: "EventLogEntry") -> None:
    """Print what an asset said of itself."""
    # Events of Dagster's own are told by the board.
    if entry.dagster_event is None and int(entry.level) >= logging.INFO:
        clock = time.strftime("%H:%M:%S", time.localtime(entry.timestamp))
        say(f"{clock} {entry.step_key or 'run'}: {entry.user_message}", err=True)


def _steps(instance: "DagsterInstance", run: "DagsterRun") -> int:
    """Return how many steps a run has; as far as is known."""
    plan = run.execution_plan_snapshot_id
    if plan is not None:
        return len(instance.get_execution_plan_snapshot(plan).step_keys_to_execute)
    return len(run.step_keys_to_execute or ())
