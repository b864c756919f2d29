"""Partition definitions: the units of generation, retry and backfill."""

from collections.abc import Collection, Iterable

import dagster as dg

from autoif_assets.method.names import check_name

BATCHES = dg.DynamicPartitionsDefinition(name="batch")
POLICIES = dg.DynamicPartitionsDefinition(name="policy")
ROUNDS = dg.MultiPartitionsDefinition({"batch": BATCHES, "policy": POLICIES})
"""What a policy is sampled on: one batch, one policy."""

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
