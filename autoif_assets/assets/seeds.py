"""Inputs: seed instructions and user queries."""

import hashlib

import dagster as dg
import polars as pl

from autoif_assets.inputs import read_seed_instructions, read_seed_queries
from autoif_assets.method.recipe import Recipe
from autoif_assets.resources import Inputs
from autoif_assets.stage import stage


@stage("seed_instructions", group="seeds")
def seed_instructions(inputs: Inputs) -> dg.MaterializeResult[pl.DataFrame]:
    return _versioned(read_seed_instructions(inputs.seeds))


@stage("seed_queries", group="seeds")
def seed_queries(inputs: Inputs, recipe: Recipe) -> dg.MaterializeResult[pl.DataFrame]:
    return _versioned(
        read_seed_queries(
            inputs.queries, inputs.queries_column, recipe.query_min_chars, recipe.query_max_chars
        )
    )


def _versioned(frame: pl.DataFrame) -> dg.MaterializeResult[pl.DataFrame]:
    # Every batch reads the files anew: what was made from the same rows is not stale for that.
    digest = hashlib.blake2b(frame.write_ndjson().encode(), digest_size=16)
    return dg.MaterializeResult(value=frame, data_version=dg.DataVersion(digest.hexdigest()))
