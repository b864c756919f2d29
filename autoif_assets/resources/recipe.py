"""The recipe of a run: typed configuration, so that the Launchpad knows every number."""

from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import dagster as dg
from pydantic import Field

from autoif_assets.method.recipe import DEFAULT_RECIPE, NUMBERS, RECIPES, Recipe, make_recipe
from autoif_assets.resources.models import as_config
from autoif_assets.resources.settings import settings

_TYPES = {int: dg.Int, float: dg.Float, str: dg.String, bool: dg.Bool}


def _type(name: str) -> Any:
    """Return what Dagster takes for a number of the recipe."""
    annotation: Any = Recipe.model_fields[name].annotation
    kinds = get_args(annotation) or (annotation,)
    if get_origin(annotation) is Literal:
        return dg.Enum(name, [dg.EnumValue(value) for value in kinds])
    if get_origin(annotation) is list:
        return [_TYPES[kinds[0]]]
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    return dg.Noneable(_TYPES[kind]) if NoneType in kinds else _TYPES[kind]


if TYPE_CHECKING:
    Numbers = dict[str, Any]
else:
    Numbers = as_config(
        dg.Shape(
            {
                name: dg.Field(
                    _type(name),
                    is_required=False,
                    description=Recipe.model_fields[name].description,
                )
                for name in NUMBERS
            }
        )
    )


class RecipeResource(dg.ConfigurableResource[Any]):
    """The recipe: the numbers of the method."""

    name: str = Field(default=DEFAULT_RECIPE, description=f"{' or '.join(RECIPES)}.")
    overrides: Numbers = Field(
        default_factory=dict, description="Numbers that replace the recipe's, by name."
    )

    def load(self) -> Recipe:
        """Return the recipe with the overrides of this run, on top of the settings'.

        Raises:
            RecipeError: There is no such recipe, or a number is out of range.
        """
        return make_recipe(self.name, {**settings().overrides, **self.overrides})
