"""Partitions: the units of generation, retry and backfill, and which of them a run reads."""

import warnings
from collections.abc import Collection, Iterable, Mapping

import dagster as dg

from autoif_assets.method.names import check_name
from autoif_assets.resources import keys_of
from autoif_assets.warehouse import TABLES, Partition

BATCHES = dg.DynamicPartitionsDefinition(name="batch")
POLICIES = dg.DynamicPartitionsDefinition(name="policy")
ROUNDS = dg.MultiPartitionsDefinition({"batch": BATCHES, "policy": POLICIES})
"""What a policy is sampled on: one batch, one policy."""

PARTITIONS: Mapping[tuple[str, ...], dg.PartitionsDefinition[str] | None] = {
    (): None,
    ("batch",): BATCHES,
    ("batch", "policy"): ROUNDS,
}
"""The definition of a table's partitions."""

EXAMPLES = {"batch": "batch-1", "policy": "sft-0"}
"""A name that would do, by partition definition."""


def check_new_keys(definition: str, keys: Iterable[str], known: Collection[str] = ()) -> None:
    """Refuse new keys of batches or policies that cannot be names; known ones stay usable.

    Args:
        definition: Name of the partition definition.
        keys: Those that are to be there.
        known: Those that are there.

    Raises:
        ValueError: A new one cannot be a name.
    """
    example = EXAMPLES.get(definition)
    for key in keys:
        if example is not None and key not in known:
            check_name(key, definition, example)


def run_keys(context: dg.AssetExecutionContext) -> Partition:
    """Return the batch and the policy of a run, as far as its asset has them."""
    partitioned = context.assets_def.partitions_def
    # An export has none, also in a run that makes it together with a batch.
    if partitioned is None:
        return {}
    if partitioned is POLICIES:
        return {"policy": context.partition_key}
    return keys_of(context.partition_key)


def partitions_read(
    table: str, keys: Partition, instance: dg.DagsterInstance
) -> list[Partition] | None:
    """Return the slices of an upstream table that a run reads, as Dagster maps its partitions.

    Those that Dagster knows, where the run has no key of them: a batch that was deleted there
    is in no export.
    """
    of = TABLES[table].partitions
    partitions = PARTITIONS[of]
    if partitions is None:
        return None
    if set(of) <= set(keys):
        return [{name: keys[name] for name in of}]
    known = map(keys_of, partitions.get_partition_keys(dynamic_partitions_store=instance))
    return [one for one in known if all(one[name] == keys[name] for name in of if name in keys)]


def slices_of(asset: str, keys: Partition) -> list[Partition] | None:
    """Return the slice of a table that a run wrote; all of what no run writes in slices."""
    of = TABLES[asset].partitions if asset in TABLES else ()
    return [{name: keys[name] for name in of}] if of else None


def partition_mapping(
    upstream: str, partitions: dg.PartitionsDefinition[str] | None
) -> dg.PartitionMapping | None:
    """Return how a run of one partition finds those of an upstream asset that it reads.

    A round reads the rows of its batch, which all policies share; and what is made of a policy
    comes after the rounds of that policy. All else is Dagster's own rule.
    """
    of = TABLES[upstream].partitions if upstream in TABLES else ()
    if of == ("batch",) and partitions is ROUNDS:
        dimension = "batch"
    elif of == ("batch", "policy") and partitions is POLICIES:
        dimension = "policy"
    else:
        return None
    # A warning that they are in beta would greet everybody who loads the definitions.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.MultiToSingleDimensionPartitionMapping(dimension)
