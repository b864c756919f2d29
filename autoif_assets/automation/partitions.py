"""Partition definitions: the units of generation, retry and backfill."""

import dagster as dg

BATCHES = dg.DynamicPartitionsDefinition(name="batch")
POLICIES = dg.DynamicPartitionsDefinition(name="policy")
ROUNDS = dg.MultiPartitionsDefinition({"batch": BATCHES, "policy": POLICIES})
"""What a policy is sampled on: one batch, one policy."""


def check_policy_name(name: str) -> None:
    """Refuse a policy's name that Dagster could not tell from two keys.

    Raises:
        ValueError: The name is empty, or has a comma or a bar.
    """
    if not name.strip() or "," in name or "|" in name:
        raise ValueError(
            f"{name!r} cannot be a policy: Dagster splits partition keys at commas and bars. "
            "Take a name like sft-0."
        )
