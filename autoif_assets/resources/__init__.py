"""Dagster resources: configuration in, core objects out."""

from autoif_assets.endpoint import EndpointSettings
from autoif_assets.resources.batch import (
    BatchResource,
    Plan,
    all_prompts,
    discarded,
    prompts_hash,
    recipe_of,
)
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.configured import configured_resources
from autoif_assets.resources.failures import failure
from autoif_assets.resources.inputs import Inputs
from autoif_assets.resources.metadata import add_metadata, markdown_table
from autoif_assets.resources.models import RoleEndpoint, Supervision
from autoif_assets.resources.nli import NLI
from autoif_assets.resources.preflight import check_endpoints
from autoif_assets.resources.recipe import RecipeResource
from autoif_assets.resources.sandbox import SandboxResource
from autoif_assets.resources.session import Session, no_model
from autoif_assets.resources.settings import Settings, SettingsError, settings
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
    "Settings",
    "SettingsError",
    "Supervision",
    "Trainer",
    "WarehouseIOManager",
    "WarehouseResource",
    "add_metadata",
    "all_prompts",
    "check_endpoints",
    "configured_resources",
    "discarded",
    "failure",
    "keys_of",
    "markdown_table",
    "no_model",
    "prompts_hash",
    "recipe_of",
    "settings",
    "table_schema",
]
