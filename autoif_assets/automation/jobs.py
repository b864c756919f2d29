"""Jobs: what a person or a schedule starts."""

import logging
from typing import Any

import dagster as dg

from autoif_assets.automation.partitions import BATCHES, ROUNDS
from autoif_assets.resources.batch import launched_with, was_made
from autoif_assets.resources.storage import configured_warehouse
from autoif_assets.warehouse import find_batch

_LOG = logging.getLogger(__name__)
# Of a person in front of the Launchpad, with a run that writes. A backfill asks for 25 batches at
# once, and waits a minute for all of them.
_PATIENCE_S = 2.0

_EXPORTS = dg.AssetSelection.groups("exports")

_ONLINE = dg.AssetSelection.groups("online")


def _as_pinned(batch: str) -> dict[str, Any]:
    """Return what the Launchpad begins with for a batch: the recipe that it is pinned to.

    Nothing where the tables cannot be read now, for a run without a recipe uses what is pinned,
    too; and of a batch that holds nothing, whose first run perhaps asked for a mistake.
    """
    try:
        warehouse = configured_warehouse(lock_timeout_s=_PATIENCE_S)
        known = find_batch(warehouse, batch) if warehouse.exists else None
        if known is None or not known.pinned or not was_made(warehouse, batch):
            return {}
        return launched_with(known)
    # Whatever it is: it must keep nobody from a run, whose own checks will say it.
    except Exception as error:
        _LOG.warning("The recipe of %s is not shown: %s", batch, error)
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
