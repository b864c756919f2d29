"""Sensors: the exports follow the batches, and killed runs hold nothing up."""

from typing import Any

import dagster as dg

from autoif_assets.automation.runs import lost_runs, report_killed_runs, report_lost
from autoif_assets.resources import settings
from autoif_assets.resources.storage import configured_warehouse

_CHANGED = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated())


def _follow(changed: dg.AutomationCondition[Any]) -> dg.AutomationCondition[Any]:
    """Ask for what has changed since it was asked for, and not since it was made.

    What changes while an export is being made is not in it.
    """
    asked = dg.AutomationCondition.newly_requested()
    return changed.since(asked) & ~dg.AutomationCondition.in_progress()


# Not held up by other batches that are being made: with one always under way the exports would
# never be.
FOLLOW_BATCHES = _follow(_CHANGED)

DATASETS = ("sft_dataset", "preference_dataset", "kto_dataset", "reward_dataset")

# The report reads every stage, and would otherwise be made again with each.
FOLLOW_EXPORTS = _follow(_CHANGED.allow(dg.AssetSelection.assets(*DATASETS)))

exports_follow_batches = dg.AutomationConditionSensorDefinition(
    "exports_follow_batches",
    target=dg.AssetSelection.groups("exports"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes the exports again when the training data of a batch has changed.",
)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs of `autoif run` whose process is gone as failed and frees the places "
    "in pools that they held.",
)
def killed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report runs that were killed; it starts none."""
    killed = report_killed_runs(context.instance)
    return dg.SkipReason(
        f"Killed, and now marked as failed: {', '.join(killed)}." if killed else "None was killed."
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs whose machine is gone as failed, so that they are started again.",
)
def lost_machines(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report runs that were missed twice in a row; it starts none."""
    before = set((context.cursor or "").split())
    missed = lost_runs(context.instance, configured_warehouse())
    lost = [run for run in missed if run.run_id in before]
    for run in lost:
        report_lost(context.instance, run)
    context.update_cursor(" ".join(run.run_id for run in missed))
    named = ", ".join(run.run_id for run in lost)
    return dg.SkipReason(f"Lost, and now marked as failed: {named}." if lost else "None is lost.")


# Machines are lost where several share a lake.
SENSORS = [
    *(exports_follow_batches, killed_runs),
    *([lost_machines] if settings().storage == "lake" else []),
]
