"""Schedules: a new batch every night, and the repair of batches that lack something."""

from collections.abc import Iterator

import dagster as dg
from dagster._utils.schedules import get_smallest_cron_interval

from autoif_assets.automation.batches import batch_states
from autoif_assets.automation.jobs import BATCH_JOB
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.resources import settings
from autoif_assets.resources.storage import configured_warehouse
from autoif_assets.warehouse import known_batches

ATTEMPTS = 3  # failed runs in a row after which a batch is parked


def _switch(cron: str | None, otherwise: str) -> tuple[str, dg.DefaultScheduleStatus]:
    """Return the cron text that is set and on, or another and off."""
    if cron:
        return cron, dg.DefaultScheduleStatus.RUNNING
    return otherwise, dg.DefaultScheduleStatus.STOPPED


_SET = settings()
_NIGHTLY_CRON, _NIGHTLY = _switch(_SET.nightly_cron, "0 1 * * *")
_REPAIR_CRON, _REPAIR = _switch(_SET.repair_cron, "*/15 * * * *")

# The exports hold the last night's batch before the next is begun. Without nights there is no time
# at which they are late.
MADE_NIGHTLY = (
    dg.FreshnessPolicy.cron(_NIGHTLY_CRON, get_smallest_cron_interval(_NIGHTLY_CRON))
    if _NIGHTLY is dg.DefaultScheduleStatus.RUNNING
    else None
)


@dg.schedule(
    job=BATCH_JOB,
    cron_schedule=_NIGHTLY_CRON,
    default_status=_NIGHTLY,
    description="Adds a batch with today's date (UTC) as its key and requests its run. "
    "AUTOIF_NIGHTLY_CRON switches it on.",
)
def nightly_batch(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Add today's batch and request its run."""
    key = context.scheduled_execution_time.strftime("%Y-%m-%d")
    context.instance.add_dynamic_partitions(str(BATCHES.name), [key])
    return dg.RunRequest(run_key=key, partition_key=key)


@dg.schedule(
    job=BATCH_JOB,
    cron_schedule=_REPAIR_CRON,
    default_status=_REPAIR,
    description="Requests what batches lack: assets that are missing or failed. What is there "
    "and merely stale is left to a person (autoif batch remake). One run a batch, "
    f"at most {_SET.repair_at_most} at a time (AUTOIF_REPAIR_AT_MOST); a batch whose last "
    f"{ATTEMPTS} runs failed is left alone until a person runs it. AUTOIF_REPAIR_CRON switches it "
    "on.",
)
def repair_batches(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request the missing part of batches."""
    at_most = settings().repair_at_most
    instance = context.instance
    keys = instance.get_dynamic_partitions(str(BATCHES.name))
    # Not by the resource, which would publish after every tick.
    known = known_batches(configured_warehouse())
    states = batch_states(instance, context.repository_def.asset_graph, keys, ATTEMPTS, known)
    places = at_most - sum(state.busy for state in states)
    notes, requested = [], 0
    for state in states:
        if state.busy or not state.lacking:
            continue
        if state.parked:
            notes.append(
                f"{state.batch} is parked, its last {ATTEMPTS} runs failed: {state.parked}"
            )
        elif places <= 0:
            notes.append(f"{state.batch} waits: {at_most} batches are under way")
        else:
            places, requested = places - 1, requested + 1
            reasons = "; ".join(f"{asset} ({why})" for asset, why in state.lacking.items())
            context.log.info(f"{state.batch}: {reasons}")
            yield dg.RunRequest(
                # One request of a tick has to differ from the others and from earlier ticks'.
                run_key=f"{state.batch} {context.scheduled_execution_time.isoformat()}",
                partition_key=state.batch,
                asset_selection=[dg.AssetKey(asset) for asset in state.lacking],
                tags={"autoif/repair": "true"},
            )
    for note in notes:
        context.log.warning(note)
    if not requested:
        yield dg.SkipReason("; ".join(notes) or "Every batch is complete or being made.")


SCHEDULES = [nightly_batch, repair_batches]
