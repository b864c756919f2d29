"""Inputs: seed instructions and user queries."""

import hashlib

import dagster as dg
import polars as pl

from autoif_assets.assets.common import about, schema
from autoif_assets.resources import Inputs, RecipeResource


@dg.asset(
    group_name="seeds",
    kinds={"duckdb", "polars"},
    description=about("seed_instructions"),
    metadata=schema("seed_instructions"),
)
def seed_instructions(inputs: Inputs) -> dg.MaterializeResult[pl.DataFrame]:
    return _versioned(inputs.seed_instructions())


@dg.asset(
    group_name="seeds",
    kinds={"duckdb", "polars"},
    description=about("seed_queries"),
    metadata=schema("seed_queries"),
)
def seed_queries(inputs: Inputs, recipe: RecipeResource) -> dg.MaterializeResult[pl.DataFrame]:
    return _versioned(inputs.seed_queries(recipe.load()))


def _versioned(frame: pl.DataFrame) -> dg.MaterializeResult[pl.DataFrame]:
    # Every batch reads the files anew: what was made from the same rows is not stale for that.
    digest = hashlib.blake2b(frame.write_ndjson().encode(), digest_size=16)
    return dg.MaterializeResult(value=frame, data_version=dg.DataVersion(digest.hexdigest()))
