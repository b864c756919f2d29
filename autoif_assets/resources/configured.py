"""Resources with what a person has set."""

from typing import Any

import dagster as dg

from autoif_assets.endpoint import EndpointError
from autoif_assets.endpoint.settings import read_headers
from autoif_assets.resources.batch import BatchResource
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.inputs import Inputs
from autoif_assets.resources.models import RoleEndpoint, Supervision
from autoif_assets.resources.nli import NLI
from autoif_assets.resources.recipe import RecipeResource
from autoif_assets.resources.sandbox import SandboxResource
from autoif_assets.resources.settings import Settings, SettingsError, leaves, settings
from autoif_assets.resources.trainer import Trainer
from autoif_assets.resources.warehouse import WarehouseIOManager, WarehouseResource


def configured_resources() -> dict[str, Any]:
    """Return all resources, as the settings say.

    Those that others depend on are configured at launch: what a run's configuration says of
    `supervision` reaches the roles that are as it.

    Raises:
        SettingsError: A setting cannot be used.
    """
    found = settings()
    named = ("storage", "lake_catalog", "lake_data")
    warehouse = WarehouseResource.configure_at_launch(
        data_dir=_value(found, "data"),
        **{name: _value(found, name) for name in named if found.place((name,))},
    )
    budget = BudgetResource.configure_at_launch(**_given(found, "budget"))
    supervision = Supervision.configure_at_launch(
        warehouse=warehouse, budget=budget, **_endpoint(found, "supervision")
    )
    recipe = RecipeResource.configure_at_launch(
        name=_value(found, "recipe"), overrides=found.numbers
    )
    nli = NLI.configure_at_launch(supervision=supervision, **_endpoint(found, "nli"))
    roles = {
        role: RoleEndpoint.configure_at_launch(supervision=supervision, **_endpoint(found, role))
        for role in ("responder", "judge", "auditor", "policy")
    }
    return {
        "warehouse": warehouse,
        "io_manager": WarehouseIOManager.configure_at_launch(warehouse=warehouse),
        "inputs": Inputs(**_given(found, "inputs")),
        "recipe": recipe,
        "batch": BatchResource.configure_at_launch(
            warehouse=warehouse,
            recipe=recipe,
            supervision=supervision,
            nli=nli,
            responder=roles["responder"],
            judge=roles["judge"],
            auditor=roles["auditor"],
        ),
        "sandbox": SandboxResource(),
        "trainer": Trainer(**_given(found, "trainer")),
        "budget": budget,
        "supervision": supervision,
        "nli": nli,
        **roles,
    }


def _endpoint(found: Settings, role: str) -> dict[str, Any]:
    """Return what is given of the endpoint of a role.

    Raises:
        SettingsError: Its headers cannot be sent.
    """
    given = _given(found, "endpoints", role)
    try:
        read_headers(given.get("extra_headers_variable", ""))
    except EndpointError as error:
        raise SettingsError(str(error)) from None
    return given


def _given(found: Settings, *section: str) -> dict[str, Any]:
    """Return what a person has said of a section, by name."""
    paths = [path for path, _ in leaves() if path[: len(section)] == section]
    return {path[-1]: _value(found, *path) for path in paths if found.place(path)}


def _value(found: Settings, *path: str) -> Any:
    """Return a setting; of one that may hold what is not for everybody the variable's name.

    The UI shows configuration.
    """
    value, variable = found.value(path), found.variable(path)
    named = isinstance(value, str) and not path[-1].endswith("_variable")
    return dg.EnvVar(variable) if variable and named else value
