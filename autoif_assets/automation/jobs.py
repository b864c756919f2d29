"""Jobs: what a person or a schedule starts."""

import dagster as dg

_EXPORTS = dg.AssetSelection.groups("exports")

BATCH_JOB = dg.define_asset_job(
    "batch",
    selection=dg.AssetSelection.all() - _EXPORTS,
    description="One batch, from the seeds to its training data; the exports follow.",
    executor_def=dg.in_process_executor,
)

EXPORTS_JOB = dg.define_asset_job(
    "exports",
    selection=_EXPORTS,
    description="The datasets of all batches.",
    executor_def=dg.in_process_executor,
)
