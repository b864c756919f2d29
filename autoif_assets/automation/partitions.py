"""Partition definitions: the units of generation, retry and backfill."""

import dagster as dg

BATCHES = dg.DynamicPartitionsDefinition(name="batch")
