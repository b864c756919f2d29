"""Inputs: seed instructions and user queries."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import about, schema
from autoif_assets.resources import Inputs, Recipe


@dg.asset(
    group_name="seeds",
    kinds={"duckdb", "polars"},
    description=about("seed_instructions"),
    metadata=schema("seed_instructions"),
)
def seed_instructions(inputs: Inputs) -> pl.DataFrame:
    return inputs.seed_instructions()


@dg.asset(
    group_name="seeds",
    kinds={"duckdb", "polars"},
    description=about("seed_queries"),
    metadata=schema("seed_queries"),
)
def seed_queries(inputs: Inputs, recipe: Recipe) -> pl.DataFrame:
    return inputs.seed_queries(recipe.numbers())
