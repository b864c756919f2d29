"""What a run is made of: the user's files, and the recipe."""

import json
import os
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
        """Return the recipe with the overrides of this run, on top of the environment's."""
        return make_recipe(self.name, {**overrides_from_environment(), **self.overrides})


def overrides_from_environment() -> dict[str, Any]:
    """Return the numbers that AUTOIF_OVERRIDES replaces in the recipe, by name.

    Raises:
        ValueError: It is no JSON object.
    """
    return json_object("AUTOIF_OVERRIDES", "numbers by name", '{"responses_per_prompt": 4}')


def json_object(variable: str, what: str, example: str) -> dict[str, Any]:
    """Read an environment variable that holds a JSON object; empty where it is not set.

    Raises:
        ValueError: It holds something else.
    """
    text = os.environ.get(variable) or "{}"
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(
            f"{variable} is {text!r}; write a JSON object of {what}, such as {example}."
        )
    return value
