"""What Dagster loads; no logic."""

import dagster as dg

from autoif_assets.assets import ASSETS
from autoif_assets.automation.jobs import BATCH_JOB
from autoif_assets.resources import from_environment

defs = dg.Definitions(
    assets=ASSETS,
    jobs=[BATCH_JOB],
    resources=from_environment(),
    executor=dg.in_process_executor,
)
