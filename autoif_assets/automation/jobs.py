"""Jobs: what a person or a schedule starts."""

from typing import Any

import dagster as dg

from autoif_assets.automation.partitions import BATCHES, ROUNDS
from autoif_assets.resources.batch import launched_with
from autoif_assets.resources.storage import configured_warehouse
from autoif_assets.warehouse import WarehouseError, find_batch

_PATIENCE_S = 5.0  # of a person in front of the Launchpad, with a run that writes

_EXPORTS = dg.AssetSelection.groups("exports")

_ONLINE = dg.AssetSelection.groups("online")


def _as_pinned(batch: str) -> dict[str, Any]:
    """Return what the Launchpad begins with for a batch: the recipe that it is pinned to.

    Nothing where none is pinned or the tables cannot be read now: a run without a recipe uses
    what is pinned, too.
    """
    try:
        warehouse = configured_warehouse(lock_timeout_s=_PATIENCE_S)
        known = find_batch(warehouse, batch) if warehouse.exists else None
        return launched_with(known) if known is not None and known.pinned else {}
    except (WarehouseError, ValueError):
        return {}


def _as_batch(round_: str) -> dict[str, Any]:
    """Return what the Launchpad begins with for a policy's round: the recipe of its batch."""
    return _as_pinned(ROUNDS.get_partition_key_from_str(round_).keys_by_dimension["batch"])


BATCH_JOB = dg.define_asset_job(
    "batch",
    selection=dg.AssetSelection.all() - _EXPORTS - _ONLINE,
    description="One batch, from the seeds to its training data; the exports follow.",
    config=dg.PartitionedConfig(partitions_def=BATCHES, run_config_for_partition_key_fn=_as_pinned),
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
    config=dg.PartitionedConfig(partitions_def=ROUNDS, run_config_for_partition_key_fn=_as_batch),
    executor_def=dg.in_process_executor,
)

TRAINING_JOB = dg.define_asset_job(
    "training",
    selection=dg.AssetSelection.assets("online_preference_dataset", "policy_checkpoint"),
    description="The next policy, trained from one policy by the command of the trainer.",
    executor_def=dg.in_process_executor,
)
