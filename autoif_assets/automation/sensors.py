"""Sensors: the exports follow the batches, and killed runs hold nothing up."""

import dagster as dg

from autoif_assets.automation.runs import report_killed_runs

# Made again when a batch's training data has changed since. Not held up by other batches that are
# being made: with one always under way the exports would never be.
FOLLOW_BATCHES = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.in_progress()
)

DATASETS = ("sft_dataset", "preference_dataset", "kto_dataset", "reward_dataset")

# The report reads every stage, and would otherwise be made again with each.
FOLLOW_EXPORTS = (
    dg.AutomationCondition.any_deps_updated()
    .allow(dg.AssetSelection.assets(*DATASETS))
    .since_last_handled()
    & ~dg.AutomationCondition.in_progress()
)

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


SENSORS = [exports_follow_batches, killed_runs]
