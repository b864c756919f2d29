"""Dagster resources: configuration in, core objects out."""

from autoif_assets.endpoint import EndpointSettings
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.environment import (
    from_environment,
    overrides_from_environment,
    recipe_from_environment,
)
from autoif_assets.resources.inputs import Inputs, RecipeResource
from autoif_assets.resources.metadata import add_metadata
from autoif_assets.resources.models import RoleEndpoint, Supervision
from autoif_assets.resources.nli import NLI
from autoif_assets.resources.sandbox import SandboxResource
from autoif_assets.resources.session import Session
from autoif_assets.resources.trainer import Trainer
from autoif_assets.resources.warehouse import (
    WarehouseIOManager,
    WarehouseResource,
    keys_of,
    table_schema,
)

__all__ = [
    "NLI",
    "BudgetResource",
    "EndpointSettings",
    "Inputs",
    "RecipeResource",
    "RoleEndpoint",
    "SandboxResource",
    "Session",
    "Supervision",
    "Trainer",
    "WarehouseIOManager",
    "WarehouseResource",
    "add_metadata",
    "from_environment",
    "keys_of",
    "overrides_from_environment",
    "recipe_from_environment",
    "table_schema",
]
