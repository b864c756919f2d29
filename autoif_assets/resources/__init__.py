"""Dagster resources: configuration in, core objects out."""

from autoif_assets.endpoint import EndpointSettings
from autoif_assets.resources.batch import (
    BatchResource,
    Plan,
    discarded,
    prompts_hash,
    recipe_of,
    recipe_of_run,
)
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.environment import from_environment, recipe_from_environment
from autoif_assets.resources.failures import failure
from autoif_assets.resources.inputs import Inputs, RecipeResource, overrides_from_environment
from autoif_assets.resources.metadata import add_metadata
from autoif_assets.resources.models import RoleEndpoint, Supervision
from autoif_assets.resources.nli import NLI
from autoif_assets.resources.preflight import check_endpoints
from autoif_assets.resources.sandbox import SandboxResource
from autoif_assets.resources.session import Session, no_model
from autoif_assets.resources.trainer import Trainer
from autoif_assets.resources.warehouse import (
    WarehouseIOManager,
    WarehouseResource,
    keys_of,
    table_schema,
)

__all__ = [
    "NLI",
    "BatchResource",
    "BudgetResource",
    "EndpointSettings",
    "Inputs",
    "Plan",
    "RecipeResource",
    "RoleEndpoint",
    "SandboxResource",
    "Session",
    "Supervision",
    "Trainer",
    "WarehouseIOManager",
    "WarehouseResource",
    "add_metadata",
    "check_endpoints",
    "discarded",
    "failure",
    "from_environment",
    "keys_of",
    "no_model",
    "overrides_from_environment",
    "prompts_hash",
    "recipe_from_environment",
    "recipe_of",
    "recipe_of_run",
    "table_schema",
]
