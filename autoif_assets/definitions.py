"""What Dagster loads; no logic."""

import dagster as dg

from autoif_assets.assets import ASSETS
from autoif_assets.automation.console import CONSOLE
from autoif_assets.automation.jobs import BATCH_JOB, EXPORTS_JOB, ONLINE_JOB, TRAINING_JOB
from autoif_assets.automation.lake import LAKE_JOBS, LAKE_SCHEDULES
from autoif_assets.automation.schedules import SCHEDULES
from autoif_assets.automation.sensors import SENSORS
from autoif_assets.resources import configured_resources

defs = dg.Definitions(
    assets=ASSETS,
    jobs=[BATCH_JOB, EXPORTS_JOB, ONLINE_JOB, TRAINING_JOB, *LAKE_JOBS],
    schedules=[*SCHEDULES, *LAKE_SCHEDULES],
    sensors=SENSORS,
    resources=configured_resources(),
    loggers={"console": CONSOLE},
    executor=dg.in_process_executor,
)
