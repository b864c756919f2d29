"""Jobs: what a person or a schedule starts."""

import dagster as dg

_EXPORTS = dg.AssetSelection.groups("exports")

_ONLINE = dg.AssetSelection.groups("online")

BATCH_JOB = dg.define_asset_job(
    "batch",
    selection=dg.AssetSelection.all() - _EXPORTS - _ONLINE,
    description="One batch, from the seeds to its training data; the exports follow.",
    executor_def=dg.in_process_executor,
)

EXPORTS_JOB = dg.define_asset_job(
    "exports",
    selection=_EXPORTS,
    description="The datasets of all batches.",
    executor_def=dg.in_process_executor,
)

ONLINE_JOB = dg.define_asset_job(
    "online",
    # The report tells what the policy's responses cost, too.
    selection=_ONLINE - dg.AssetSelection.assets("online_preference_dataset", "policy_checkpoint")
    | dg.AssetSelection.assets("report"),
    description="One policy on one batch: its responses, verdicts, pairs and scorecard.",
    executor_def=dg.in_process_executor,
)

TRAINING_JOB = dg.define_asset_job(
    "training",
    selection=dg.AssetSelection.assets("online_preference_dataset", "policy_checkpoint"),
    description="The next policy, trained from one policy by the command of the trainer.",
    executor_def=dg.in_process_executor,
)
