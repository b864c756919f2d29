"""What has to be in order before a batch is registered and before a model is asked."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.pins import without_serving

if TYPE_CHECKING:
    from autoif_assets.method.recipe import Recipe
    from autoif_assets.resources import Inputs, SandboxResource


def check_ready(
    batch: str, config: Mapping[str, Any], run_id: str, *, endpoints: bool = True
) -> None:
    """Refuse to begin where a run of a batch would fail before its first answer.

    The folder and its disk are seen to by `prepare_home`. What is asked of endpoints is asked in
    the name of the run, which does not ask it again.

    Args:
        batch: Key of the batch.
        config: The run's configuration of the resources.
        run_id: The run that is to come.
        endpoints: Whether endpoints are looked at, too.

    Raises:
        click.ClickException: Recipe, inputs, model or an endpoint do not do.
    """
    import dagster as dg

    from autoif_assets.resources import check_endpoints, configured_resources, no_model, recipe_of

    managed = config.get("supervision", {}).get("config", {}).get("managed")
    with dg.build_resources(
        configured_resources(), resource_config=without_serving(config)
    ) as resources:
        given = config.get("recipe", {}).get("config", {})
        recipe = recipe_of(resources.batch.plan(batch, given).batch)
        if problem := inputs_problem(resources.inputs, recipe, resources.sandbox):
            raise click.ClickException(problem)
        if problem := resources.sandbox.modules_problem(recipe.modules):
            raise click.ClickException(problem)
        asked = resources.supervision.settings()
        if not asked.model:
            raise click.ClickException(no_model(asked))
        roles = {
            role: getattr(resources, role) for role in ("responder", "judge", "auditor", "nli")
        }
        needed = {role: one.settings() for role, one in roles.items() if one.asks}
    # A model that the run will serve is not there yet.
    if not endpoints or managed:
        return
    check_endpoints(run_id, needed, asked=asked, briefly=True)


def inputs_problem(inputs: "Inputs", recipe: "Recipe", sandbox: "SandboxResource") -> str | None:
    """Say why there are no seeds or queries to use; None where there are."""
    from autoif_assets.inputs import InputError, check_inputs

    try:
        check_inputs(
            inputs.seeds,
            inputs.queries,
            inputs.queries_column,
            recipe.query_min_chars,
            recipe.query_max_chars,
            keep=recipe.conversations == "keep",
            labelled=inputs.labelled,
            static_check=partial(sandbox.static_check, modules=recipe.modules),
        )
    except InputError as error:
        return str(error)
    return None
