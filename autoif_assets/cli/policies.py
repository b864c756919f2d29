"""`autoif policy`: the served models that the online loop samples from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.home import open_warehouse, prepare_home
from autoif_assets.cli.output import say
from autoif_assets.cli.runs import exit_if_failed, failures_of_job

if TYPE_CHECKING:
    from dagster import DagsterInstance


@click.group()
def policy() -> None:
    """Policies: the served models of the online loop."""


@policy.command("add")
@click.argument("name")
@click.option("--base-url", help="URL up to and including /v1; supervision's if not given.")
@click.option("--model", help="Name of the served model; NAME if not given.")
@click.option("--api-key-variable", help="Environment variable that holds the key.")
@click.option("--checkpoint", help="Folder of its weights, or its name on the hub.")
@click.option("--parent", help="Policy it was trained from.")
def policy_add(
    name: str,
    base_url: str | None,
    model: str | None,
    api_key_variable: str | None,
    checkpoint: str | None,
    parent: str | None,
) -> None:
    """Register the policy NAME, or say where it is served now."""
    add_policy(
        name,
        model=model or name,
        base_url=base_url,
        api_key_variable=api_key_variable,
        checkpoint=checkpoint,
        parent=parent,
    )
    say(f"{name} is registered.")


def add_policy(name: str, **known: str | None) -> None:
    """Register a policy in the warehouse and as a partition of Dagster.

    Args:
        name: Its name.
        known: Fields of `Policy`.
    """
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import POLICIES, check_new_keys
    from autoif_assets.warehouse import Policy, known_policies, register_policy

    url, key = known.get("base_url"), known.get("api_key_variable")
    if url and not url.startswith(("http://", "https://")):
        raise click.ClickException(f"{url!r} is no URL; write one like http://127.0.0.1:8000/v1.")
    if url and "@" in url:
        raise click.ClickException(
            "The URL holds credentials and would be stored; give the key by --api-key-variable."
        )
    if key and not key.isidentifier():
        raise click.ClickException(
            "--api-key-variable takes the name of an environment variable, not the key itself."
        )
    warehouse = open_warehouse()
    try:
        # Before it is in the warehouse, where a name that Dagster refuses would stay.
        check_new_keys(
            str(POLICIES.name), [name], [one.policy for one in known_policies(warehouse)]
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    try:
        policy = Policy(policy=name, **known)  # type: ignore[arg-type]
        register_policy(warehouse, policy)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(POLICIES.name), [name])


@policy.command("list")
def policy_list() -> None:
    """Say of every policy what serves it and what it was trained from."""
    prepare_home()
    from autoif_assets.warehouse import known_policies

    for one in known_policies(open_warehouse()):
        line = f"{one.policy}: {one.model} at {one.base_url or 'the endpoint of AUTOIF_POLICY_*'}"
        if one.parent:
            line += f", trained from {one.parent}"
        if one.checkpoint:
            line += f", weights in {one.checkpoint}"
        say(line)


@policy.command("run")
@click.argument("name")
@click.option("--batch", required=True, help="Key of the batch whose prompts it is asked.")
def policy_run(name: str, batch: str) -> None:
    """Sample NAME on a batch, verify, make pairs and its scorecard."""
    run_round(name, batch)
    print_scorecard(batch)


def run_round(name: str, batch: str, config: Mapping[str, Any] | None = None) -> None:
    """Make the online assets of one policy and batch in this process.

    Args:
        name: The policy.
        batch: Key of a batch that was made.
        config: See `resource_config`.
    """
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.automation.runs import report_killed_runs

    with dg.DagsterInstance.get() as instance:
        if batch not in instance.get_dynamic_partitions(str(BATCHES.name)):
            raise click.ClickException(f"There is no batch {batch}; see autoif batch list.")
        _check_known(instance, name)
        report_killed_runs(instance)
        key = dg.MultiPartitionKey({"batch": batch, "policy": name})
        exit_if_failed(failures_of_job(instance, "online", config or {}, key))


def _check_known(instance: "DagsterInstance", name: str) -> None:
    """Refuse a policy that nobody has registered.

    Raises:
        click.ClickException: Nobody has.
    """
    from autoif_assets.automation.partitions import POLICIES

    if name not in instance.get_dynamic_partitions(str(POLICIES.name)):
        raise click.ClickException(f"There is no policy {name}; see autoif policy list.")


@policy.command("train")
@click.argument("name")
@click.option("--next", "next_policy", required=True, help="Name of the policy that comes out.")
@click.option(
    "--data",
    default="online",
    type=click.Choice(["sft", "preference", "online", "reward"]),
    help="Dataset: SFT examples, offline pairs, NAME's own pairs, or prompts for RL.",
)
def policy_train(name: str, next_policy: str, data: str) -> None:
    """Train the next policy from NAME with the command in AUTOIF_TRAINER."""
    from autoif_assets.resources import settings

    if not settings().trainer.command:
        raise click.ClickException(
            "Set AUTOIF_TRAINER to the command that trains, such as "
            "'python -m autoif_assets.recipes.trl_train'."
        )
    train_next(name, next_policy, data)
    say(f"{next_policy} is registered; serve it, and say where: autoif policy add.")


def train_next(
    name: str, next_policy: str, data: str, config: Mapping[str, Any] | None = None
) -> None:
    """Export the pairs of a policy and train the next from it, in this process.

    Args:
        name: The policy.
        next_policy: Name of the one that comes out.
        data: sft, preference, online or reward.
        config: See `resource_config`.
    """
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.runs import report_killed_runs

    if next_policy == name:
        raise click.ClickException("A policy cannot follow itself: give --next another name.")
    training = {"config": {"next_policy": next_policy, "data": data}}
    with dg.DagsterInstance.get() as instance:
        _check_known(instance, name)
        report_killed_runs(instance)
        exit_if_failed(
            failures_of_job(
                instance, "training", config or {}, name, ops={"policy_checkpoint": training}
            )
        )


def print_scorecard(batch: str) -> None:
    """Print the policies' scores on the held-out instructions of a batch."""
    rows = open_warehouse().query(
        "SELECT s.*, (SELECT count(*) FROM autoif.online_preference_pairs p"
        " WHERE p.batch = s.batch AND p.policy = s.policy) AS pairs"
        " FROM autoif.policy_scorecard s JOIN autoif.policies USING (policy)"
        " WHERE batch = ? AND category = 'all' ORDER BY created_at",
        [batch],
    )
    for row in rows.iter_rows(named=True):
        at_k = "-" if row["pass_at_k"] is None else f"{row['pass_at_k']:.3f}"
        say(
            f"{row['policy']:<12} pass@1 {row['pass_at_1']:.3f} "
            f"[{row['pass_at_1_low']:.3f}, {row['pass_at_1_high']:.3f}], "
            f"pass@{row['k']} {at_k}, {row['prompts']} held-out prompts, "
            f"{row['pairs']} online pairs"
        )
