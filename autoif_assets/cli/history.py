"""`autoif history`: Dagster's memory of runs."""

from datetime import UTC, datetime, timedelta

import click

from autoif_assets.cli.home import older_than, prepare_home


@click.group()
def history() -> None:
    """Dagster's memory of runs."""


@history.command("prune")
@older_than("Runs that were started longer ago and are over.")
@click.option("--dry-run", is_flag=True, help="Say how many would be removed; remove none.")
def history_prune(days: float, dry_run: bool) -> None:
    """Remove old runs and their logs.

    The run that last made an asset of a batch is kept, however old, so that Dagster still knows
    it as made. Tables, journals and exports are not touched.
    """
    prepare_home()
    import dagster as dg

    from autoif_assets.automation.history import old_runs

    with dg.DagsterInstance.get() as instance:
        old = old_runs(instance, datetime.now(UTC) - timedelta(days=days))
        if not dry_run:
            for run_id in old:
                instance.delete_run(run_id)
    click.echo(f"{len(old)} runs {'would be' if dry_run else 'are'} removed.")
