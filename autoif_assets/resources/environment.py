"""Resources with the settings that the environment names."""

import os
from typing import Any

import dagster as dg

from autoif_assets.endpoint import EndpointError, EndpointSettings
from autoif_assets.endpoint.settings import read_headers
from autoif_assets.method.recipe import Recipe, make_recipe
from autoif_assets.resources.batch import BatchResource
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.inputs import (
    Inputs,
    RecipeResource,
    json_object,
    overrides_from_environment,
)
from autoif_assets.resources.models import RoleEndpoint, Supervision
from autoif_assets.resources.nli import NLI
from autoif_assets.resources.sandbox import SandboxResource
from autoif_assets.resources.trainer import Trainer
from autoif_assets.resources.warehouse import WarehouseIOManager, WarehouseResource


def from_environment() -> dict[str, Any]:
    """Return all resources, with every setting that the environment names taken from there.

    Those that others depend on are configured at launch: what a run's configuration says of
    `supervision` reaches the roles that are as it.
    """
    warehouse = WarehouseResource.configure_at_launch(
        **{"data_dir": "data", **_settings(data_dir="AUTOIF_DATA")}
    )
    budget = BudgetResource.configure_at_launch(
        **_integers(max_requests="AUTOIF_MAX_REQUESTS", max_tokens="AUTOIF_MAX_TOKENS"),
        **_decimals(max_cost="AUTOIF_MAX_COST"),
    )
    supervision = Supervision.configure_at_launch(
        warehouse=warehouse, budget=budget, **_endpoint("AUTOIF")
    )
    recipe = RecipeResource.configure_at_launch(
        **_settings(name="AUTOIF_RECIPE"), overrides=overrides_from_environment()
    )
    nli = NLI.configure_at_launch(
        supervision=supervision, **_settings(by="AUTOIF_NLI"), **_endpoint("AUTOIF_NLI")
    )
    roles = {
        role: RoleEndpoint.configure_at_launch(
            supervision=supervision, **_endpoint(f"AUTOIF_{role.upper()}")
        )
        for role in ("responder", "judge", "policy")
    }
    return {
        "warehouse": warehouse,
        "io_manager": WarehouseIOManager.configure_at_launch(warehouse=warehouse),
        "inputs": Inputs(
            **_settings(
                seeds="AUTOIF_SEEDS",
                queries="AUTOIF_QUERIES",
                queries_column="AUTOIF_QUERIES_COLUMN",
            )
        ),
        "recipe": recipe,
        "batch": BatchResource.configure_at_launch(
            warehouse=warehouse,
            recipe=recipe,
            supervision=supervision,
            nli=nli,
            responder=roles["responder"],
            judge=roles["judge"],
        ),
        "sandbox": SandboxResource(),
        "trainer": Trainer(
            **_settings(command="AUTOIF_TRAINER", base_url="AUTOIF_TRAINED_BASE_URL")
        ),
        "budget": budget,
        "supervision": supervision,
        "nli": nli,
        **roles,
    }


def recipe_from_environment() -> Recipe:
    """Return the recipe of runs whose configuration says nothing of it.

    Raises:
        ValueError: AUTOIF_RECIPE or AUTOIF_OVERRIDES does not fit; the message says how.
    """
    # Ignored in silence, it would have people pay for batches of another recipe.
    if os.environ.get("AUTOIF_PROFILE"):
        raise ValueError("AUTOIF_PROFILE is called AUTOIF_RECIPE now: rename the variable.")
    return make_recipe(os.environ.get("AUTOIF_RECIPE") or "paper", overrides_from_environment())


def _endpoint(prefix: str) -> dict[str, Any]:
    """Return the settings of an endpoint whose variables begin with ``prefix``.

    Raises:
        ValueError: A variable does not fit its setting; the message names it.
    """
    given: dict[str, Any] = {}
    for name, field in EndpointSettings.model_fields.items():
        variable = EndpointSettings.variable(name, prefix)
        if variable is None or not os.environ.get(variable):
            continue
        if name.endswith("_variable"):
            # The name of the variable only: the key itself is in no configuration.
            given[name] = variable
        elif field.annotation is str:
            given |= _settings(**{name: variable})
        elif field.annotation in (int, int | None):
            given |= _integers(**{name: variable})
        elif name == "extra_body":
            given[name] = json_object(
                variable, "fields", '{"chat_template_kwargs": {"enable_thinking": false}}'
            )
        else:
            given |= _decimals(**{name: variable})
    try:
        read_headers(given.get("extra_headers_variable", ""))
    except EndpointError as error:
        raise ValueError(str(error)) from None
    return given


def _settings(**variables: str) -> dict[str, Any]:
    """Map fields to the environment variables that are set; the rest keep their defaults."""
    return {
        field: dg.EnvVar(variable)
        for field, variable in variables.items()
        if os.environ.get(variable)
    }


def _integers(**variables: str) -> dict[str, Any]:
    return {
        field: dg.EnvVar.int(variable)
        for field, variable in variables.items()
        if os.environ.get(variable)
    }


def _decimals(**variables: str) -> dict[str, float]:
    """Return the fields' numbers themselves: Dagster has no decimal numbers by variable."""
    numbers = {}
    for field, variable in variables.items():
        if text := os.environ.get(variable):
            try:
                numbers[field] = float(text)
            except ValueError:
                raise ValueError(f"{variable} is {text!r}; write a number such as 0.25.") from None
    return numbers
