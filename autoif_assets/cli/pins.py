"""What a batch is pinned to, as commands see it, and what they ask before they discard."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.home import open_warehouse

if TYPE_CHECKING:
    from autoif_assets.resources import Plan
    from autoif_assets.warehouse import Batch, Warehouse


def plan_of(batch: str, config: Mapping[str, Any]) -> "Plan":
    """Say what a run would do to what a batch is pinned to; nothing is started or sent.

    Args:
        batch: Key of the batch.
        config: The run's configuration of the resources.

    Raises:
        click.ClickException: A number of the recipe does not fit.
    """
    import dagster as dg

    from autoif_assets.resources import configured_resources

    given = config.get("recipe", {}).get("config", {})
    with dg.build_resources(
        configured_resources(), resource_config=without_serving(config)
    ) as resources:
        plan: Plan = resources.batch.plan(batch, given)
    return plan


def without_serving(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration that names the model of ``--serve`` and does not serve it."""
    from autoif_assets.serving import served_name

    found = {name: {"config": dict(given["config"])} for name, given in config.items()}
    supervision = found.get("supervision", {}).get("config", {})
    if managed := supervision.pop("managed", None):
        supervision["model"] = served_name(managed, [])
    return found


def known_batch(warehouse: "Warehouse", key: str, registered: list[str]) -> "Batch":
    """Return what is known of a batch that Dagster or the database has.

    Raises:
        click.ClickException: Neither has it.
    """
    from autoif_assets.warehouse import Batch, find_batch

    found = find_batch(warehouse, key)
    if found is None and key not in registered:
        raise click.ClickException(f"There is no batch {key}; see autoif batch list.")
    return found or Batch(key)


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; elsewhere only ``--yes`` answers.

    Raises:
        click.ClickException: Nobody can be asked, and nobody said yes.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.ClickException(f"{question} Nobody can be asked here: say --yes to do it.")
    click.confirm(question, abort=True)


def discard_question(batch: str) -> str:
    """Say what replacing or removing a batch discards, for a question to follow."""
    from autoif_assets.resources import discarded

    return f"{batch}: {discarded(open_warehouse(), batch)}"
