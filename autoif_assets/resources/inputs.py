"""The user's files and the numbers of the method."""

from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from autoif_assets.inputs import read_seed_instructions, read_seed_queries
from autoif_assets.method.recipe import Recipe, make_recipe


class Inputs(dg.ConfigurableResource[Any]):
    """The user's files; the packaged ones where none is named."""

    seeds: str | None = Field(default=None, description="TXT, JSONL or CSV of seed instructions.")
    queries: str | None = Field(default=None, description="File or glob of user queries.")
    queries_column: str | None = Field(default=None, description="Text column of Parquet queries.")

    def seed_instructions(self) -> pl.DataFrame:
        """Read the seed instructions."""
        return read_seed_instructions(self.seeds or None)

    def seed_queries(self, recipe: Recipe) -> pl.DataFrame:
        """Read the user queries within the recipe's bounds of length."""
        return read_seed_queries(
            self.queries or None,
            self.queries_column or None,
            recipe.query_min_chars,
            recipe.query_max_chars,
        )


class RecipeResource(dg.ConfigurableResource[Any]):
    """The recipe: the numbers of the method."""

    name: str = Field(default="paper", description="paper or authors_code.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Numbers that replace the recipe's, by name."
    )

    def load(self) -> Recipe:
        """Return the recipe with the overrides of this run."""
        return make_recipe(self.name, self.overrides)
