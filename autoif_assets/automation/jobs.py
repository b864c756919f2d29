"""Jobs: what a person or a schedule starts."""

import dagster as dg

BATCH_JOB = dg.define_asset_job(
    "batch",
    selection=dg.AssetSelection.all(),
    description="One batch from the seeds to the exported datasets.",
    executor_def=dg.in_process_executor,
)
