"""Inputs: seed instructions and user queries."""

from functools import partial

import dagster as dg
import polars as pl

from autoif_assets.inputs import read_seed_instructions, read_seed_queries
from autoif_assets.resources import BatchResource, Inputs, SandboxResource
from autoif_assets.stage import stage
from autoif_assets.warehouse import content_hash


@stage("seed_instructions", group="seeds")
def seed_instructions(
    context: dg.AssetExecutionContext,
    inputs: Inputs,
    sandbox: SandboxResource,
    batch: BatchResource,
) -> dg.MaterializeResult[pl.DataFrame]:
    # Before the files are read: what the run asks for may not be what its batch is pinned to.
    recipe = batch.load(context)
    static_check = partial(sandbox.static_check, modules=recipe.modules)
    rows = read_seed_instructions(inputs.seeds, static_check)
    return _versioned(context, batch, "seed_instructions", rows)


@stage("seed_queries", group="seeds")
def seed_queries(
    context: dg.AssetExecutionContext, inputs: Inputs, batch: BatchResource
) -> dg.MaterializeResult[pl.DataFrame]:
    recipe = batch.load(context)
    rows = read_seed_queries(
        inputs.queries,
        inputs.queries_column,
        recipe.query_min_chars,
        recipe.query_max_chars,
        keep=recipe.conversations == "keep",
    )
    return _versioned(context, batch, "seed_queries", rows)


def _versioned(
    context: dg.AssetExecutionContext, batch: BatchResource, table: str, rows: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    batch.keep(context, table, rows)
    # Every batch reads the files anew: what was made from the same texts is not stale for that.
    version = dg.DataVersion(content_hash(table, rows))
    return dg.MaterializeResult(value=rows, data_version=version)
