"""`autoif run`: one batch in this process."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.batches import check_keys
from autoif_assets.cli.home import (
    check_not_mixed,
    data_dir,
    open_warehouse,
    prepare_home,
    ui_command,
)
from autoif_assets.cli.output import say
from autoif_assets.cli.pins import confirm, discard_question, plan_of
from autoif_assets.cli.ready import check_ready

if TYPE_CHECKING:
    from dagster import DagsterInstance


@click.command()
@click.option("--batch", default="batch-1", help="Key of the batch; made if it is new.")
@click.option("--recipe", default=None, help="paper or authors_code.")
@click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Replace a number; repeatable."
)
@click.option("--refresh", is_flag=True, help="Ask the model anew for what the journals hold.")
@click.option(
    "--ask-refused",
    is_flag=True,
    help="Ask again what the server refused for its content (length, content filter).",
)
@click.option("--max-requests", type=click.IntRange(0), help="Stop before more HTTP requests.")
@click.option("--max-tokens", type=click.IntRange(0), help="Stop before more tokens, in and out.")
@click.option("--max-cost", type=click.FloatRange(0), help="Stop before it costs more.")
@click.option("--serve", metavar="MODEL", help="Serve MODEL with vLLM while the run lasts.")
@click.option("--dry-run", is_flag=True, help="Estimate requests, tokens and cost; send nothing.")
@click.option(
    "--replace",
    is_flag=True,
    help="Discard what the batch holds if this asks for another recipe or model than is pinned.",
)
@click.option("--yes", is_flag=True, help="Do not ask before something is discarded.")
def run(
    batch: str,
    recipe: str | None,
    overrides: tuple[str, ...],
    refresh: bool,
    ask_refused: bool,
    max_requests: int | None,
    max_tokens: int | None,
    max_cost: float | None,
    serve: str | None,
    dry_run: bool,
    replace: bool,
    yes: bool,
) -> None:
    """Materialise one batch, from the seeds to the exports, against AUTOIF_BASE_URL."""
    caps = {"max_requests": max_requests, "max_tokens": max_tokens, "max_cost": max_cost}
    config = resource_config(
        recipe, dict(map(parse_override, overrides)), refresh, caps, serve, ask_refused
    )
    if replace:
        config["batch"] = {"config": {"replace": True}}
    if dry_run:
        from autoif_assets.cli.dry_run import print_estimate

        print_estimate(batch, config)
    else:
        run_batch(batch, config, yes)


def resource_config(
    recipe: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    refresh: bool = False,
    caps: Mapping[str, float | None] | None = None,
    managed: str | None = None,
    ask_refused: bool = False,
) -> dict[str, Any]:
    """Return what a run's configuration says of the resources, as far as it is given.

    Raises:
        RecipeError: There is no such recipe, or a number does not fit it.
    """
    from autoif_assets.method.recipe import make_recipe
    from autoif_assets.resources.settings import settings

    if recipe or overrides:
        set_already = settings()
        meant = make_recipe(
            recipe or set_already.recipe, {**set_already.overrides, **(overrides or {})}
        )
        numbers = meant.model_dump(mode="json")
        overrides = {name: numbers[name] for name in overrides or {}}
    # Only what is asked for here: it may not differ from what the batch is pinned to.
    given: dict[str, dict[str, Any]] = {
        "recipe": {"name": recipe, "overrides": dict(overrides) if overrides else None},
        "supervision": {
            "refresh": refresh or None,
            "ask_refused": ask_refused or None,
            "managed": managed,
        },
        "budget": dict(caps or {}),
    }
    return {
        resource: {"config": {name: value for name, value in fields.items() if value is not None}}
        for resource, fields in given.items()
    }


def run_batch(batch: str, config: Mapping[str, Any], yes: bool = False) -> None:
    """Make one batch and then the exports in this process, and print what came of it.

    Args:
        batch: Key of the batch.
        config: See `resource_config`.
        yes: Whether what is discarded needs no further question.
    """
    prepare_home()
    import dagster as dg
    from dagster._core.utils import make_new_run_id

    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.automation.runs import report_killed_runs
    from autoif_assets.cli.dry_run import expected_tokens
    from autoif_assets.resources import settings

    with dg.DagsterInstance.get() as instance:
        check_keys(instance, [batch])
    # What is pinned first: the batch named is nearer to the person than the folder.
    _check_plan(batch, config, yes)
    check_not_mixed(settings().endpoints.supervision.model or "")
    with dg.DagsterInstance.get() as instance:
        new = batch not in instance.get_dynamic_partitions(str(BATCHES.name))
        run_id = make_new_run_id()
        _check_free(instance, batch)
        check_ready(batch, config, run_id, endpoints=_holds_nothing(batch))
        expected = expected_tokens(batch, config)
        instance.add_dynamic_partitions(str(BATCHES.name), [batch])
        # A killed run still holds its places in pools, which this one would wait for.
        report_killed_runs(instance)
        failures = ["It was stopped."]
        try:
            # No exports of a batch that is not whole.
            failures = failures_of_job(
                instance, "batch", config, batch, run_id=run_id, expected=expected
            ) or failures_of_job(instance, "exports", config)
        finally:
            if new and failures:
                _forget_if_empty(instance, batch)
    exit_if_failed(
        failures,
        f"Run the same command again to go on: what the model answered is kept in "
        f"{data_dir() / 'journals'}.",
    )
    print_funnel(batch)


def _check_plan(batch: str, config: Mapping[str, Any], yes: bool) -> None:
    """Refuse what differs from what the batch is pinned to, or ask before it is replaced."""
    plan = plan_of(batch, config)
    if plan.refusal is not None:
        raise click.ClickException(plan.refusal)
    if plan.ignored:
        say(
            f"{batch} keeps what it is pinned to; this shell's settings do not count: "
            f"{'; '.join(plan.ignored)}."
        )
    if plan.discards:
        from autoif_assets.cli.dry_run import print_estimate

        say(f"{batch} is replaced: {'; '.join(plan.differences)}.")
        say(discard_question(batch))
        print_estimate(batch, config)
        confirm(f"Discard what {batch} holds and make it anew?", yes)


def _forget_if_empty(instance: "DagsterInstance", batch: str) -> None:
    """Take back the registration of a batch whose first run failed before it made anything."""
    from autoif_assets.automation.partitions import BATCHES
    from autoif_assets.warehouse import remove_batch

    if _holds_nothing(batch):
        instance.delete_dynamic_partition(str(BATCHES.name), batch)
        remove_batch(open_warehouse(), batch)


def _holds_nothing(batch: str) -> bool:
    """Whether no row of a batch was made, and no call of it answered."""
    from autoif_assets.warehouse import paid_calls, rows_of_batch

    warehouse = open_warehouse()
    return not rows_of_batch(warehouse, batch) and not paid_calls(warehouse, batch)[0]


def _check_free(instance: "DagsterInstance", partition: str) -> None:
    """Refuse to make what another run is making."""
    from autoif_assets.automation.runs import under_way

    if running := under_way(instance, partition):
        raise click.ClickException(
            f"A run is making {partition} already ({running}); two would pay for the same "
            "completions twice. Wait for it or stop it. If its process is gone, `autoif dev` finds "
            "that out within a minute."
        )


def exit_if_failed(failures: Sequence[str], advice: str | None = None) -> None:
    """Print what failed, and what to do then, and end the process; go on where nothing did."""
    for failure in failures:
        say(failure, fg="red", err=True)
    if failures:
        if advice is not None:
            say(advice, err=True)
        sys.exit(1)


def failures_of_job(
    instance: "DagsterInstance",
    job: str,
    config: Mapping[str, Any],
    partition: str | None = None,
    ops: Mapping[str, Any] | None = None,
    selection: Sequence[str] | None = None,
    run_id: str | None = None,
    expected: Mapping[str, float] | None = None,
) -> list[str]:
    """Run a job in this process and return what failed; it is shown how far it is.

    Args:
        instance: Dagster's.
        job: Its name.
        config: See `resource_config`.
        partition: Key of its partition, if it has one.
        ops: Configuration of its assets, by name.
        selection: Of its assets, those that are made; all if None.
        run_id: Id of the run that is to come; a new one if None.
        expected: Tokens that its steps are expected to have written for them, by name.

    Returns:
        A sentence for each step that failed; none where all went well.

    Raises:
        click.ClickException: Another run is making the partition.
    """
    from dagster import AssetKey

    from autoif_assets.automation.runs import first_words, process_tags
    from autoif_assets.cli.pages import console
    from autoif_assets.cli.progress import Board, showing
    from autoif_assets.definitions import defs

    definition = defs.resolve_job_def(job)
    if partition is not None:
        _check_free(instance, partition)
    # Configuration of a resource that no asset of the job uses is refused.
    used = {name: given for name, given in config.items() if name in definition.resource_defs}
    terminal = console(err=True)
    wanted = len(selection) if selection is not None else len(definition.graph.node_dict)
    board = Board(partition or job, wanted, expected)
    with showing(board, terminal) as on_terminal:
        # On a terminal the board says it.
        level = "CRITICAL" if on_terminal else "INFO"
        result = definition.execute_in_process(
            partition_key=partition,
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            tags=process_tags(),
            asset_selection=None if selection is None else [AssetKey(name) for name in selection],
            run_config={
                "resources": used,
                "ops": dict(ops or {}),
                "loggers": {
                    "console": {
                        "config": {"log_level": level, "stacks": _debug(), "brief": not _debug()}
                    }
                },
            },
        )
    if result.success:
        return []
    failures = [
        f"{event.step_key} failed: {first_words(event.step_failure_data.error)}"
        for event in result.all_events
        if event.is_step_failure
    ]
    return failures or [f"The run {result.run_id} of the job {job} failed."]


def _debug() -> bool:
    """Whether the command was given ``--debug``."""
    context = click.get_current_context(silent=True)
    return context is not None and getattr(context.find_root().command, "debug", False)


def parse_override(text: str) -> tuple[str, Any]:
    """Read ``name=value``; the value is JSON, or else a text such as ``> 0.5``."""
    import json

    name, sign, value = text.partition("=")
    if not sign:
        raise click.BadParameter(f"{text!r} is not of the form name=value")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()


def print_funnel(batch: str) -> None:
    """Print what each gate kept and why it rejected the rest, and where the results are."""
    from autoif_assets.warehouse import TABLES

    warehouse = open_warehouse()
    funnel = warehouse.query(
        "SELECT stage, status, reason, rows FROM autoif.funnel WHERE batch = ? OR batch IS NULL"
        " ORDER BY position, status, rows DESC, reason",
        [batch],
    )
    say(f"\n{'stage':<30}{'rows':>7}{'kept':>7}  rejected because")
    gates = funnel.partition_by("stage", as_dict=True)
    for stage in (name for name, table in TABLES.items() if table.is_stage):
        gate = gates.get((stage,), funnel.clear())
        kept = gate.filter(gate["status"].fill_null("accepted") == "accepted")["rows"].sum()
        reasons = ", ".join(
            f"{reason} {rows}"
            for status, reason, rows in gate.select("status", "reason", "rows").iter_rows()
            if status == "rejected"
        )
        say(f"{stage:<30}{gate['rows'].sum():>7}{kept:>7}  {reasons}".rstrip())
    say(
        f"\nTables:   {warehouse.for_readers} (schema autoif)\n"
        f"Datasets: {data_dir() / 'exports'}\n"
        f"Dagster:  {ui_command()}"
    )
