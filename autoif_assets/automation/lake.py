"""The nightly maintenance of a lake; where the tables are in a file there is none."""

import dagster as dg

from autoif_assets.resources import WarehouseResource, settings
from autoif_assets.warehouse import LakeWarehouse, maintain

GRACE_HOURS = 24.0
_SET = settings()


@dg.op(description="Merges small files, forgets old snapshots, deletes files that nobody needs.")
def maintain_lake(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
    """Maintain the lake."""
    lake = warehouse.open(context.log.info)
    if not isinstance(lake, LakeWarehouse):
        context.log.info("The tables are in no lake: nothing to do.")
        return
    done = maintain(lake, settings().lake_keep_days, GRACE_HOURS, context.log.info)
    context.log.info(done.in_words())


@dg.job(description="Maintains the lake, as `autoif lake maintain` does.")
def lake_maintenance() -> None:
    """Maintain the lake."""
    maintain_lake()


@dg.schedule(
    job=lake_maintenance,
    cron_schedule=_SET.lake_cron,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Maintains the lake every night, or when AUTOIF_LAKE_CRON says.",
)
def nightly_maintenance(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request the maintenance of the lake."""
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


# Named only where it has something to do.
LAKE_JOBS = [lake_maintenance] if _SET.storage == "lake" else []
LAKE_SCHEDULES = [nightly_maintenance] if _SET.storage == "lake" else []
