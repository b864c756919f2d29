"""What a resource reports in the metadata of the asset that uses it."""

from typing import Any

import dagster as dg


def add_metadata(context: dg.AssetExecutionContext, metadata: dict[str, Any]) -> None:
    """Add metadata to every table the running asset writes."""
    for name in context.assets_def.keys_by_output_name:
        context.add_output_metadata(metadata, output_name=name)


def keys_of(partition_key: str) -> dict[str, str]:
    """Return the batch, and where there is one the policy, of a run's partition key."""
    if isinstance(partition_key, dg.MultiPartitionKey):
        return dict(partition_key.keys_by_dimension)
    return {"batch": partition_key}
