"""What a run is made of: the user's files, and the recipe."""

from typing import Any

import dagster as dg
from pydantic import Field

from autoif_assets.method.recipe import Recipe, make_recipe


class Inputs(dg.ConfigurableResource[Any]):
    """The user's files; the packaged ones where none is named."""

    seeds: str | None = Field(default=None, description="TXT, JSONL or CSV of seed instructions.")
    queries: str | None = Field(default=None, description="File or glob of user queries.")
    queries_column: str | None = Field(default=None, description="Text column of Parquet queries.")


class RecipeResource(dg.ConfigurableResource[Any]):
    """The recipe: the numbers of the method."""

    name: str = Field(default="paper", description="paper or authors_code.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Numbers that replace the recipe's, by name."
    )

    def load(self) -> Recipe:
        """Return the recipe with the overrides of this run."""
        return make_recipe(self.name, self.overrides)
