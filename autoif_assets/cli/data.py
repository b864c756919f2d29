"""What is in the data folder: its database as files, its journals, Dagster's memory of runs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from autoif_assets.cli.home import data_dir, open_warehouse, prepare_home

Command = TypeVar("Command", bound=Callable[..., Any])


def older_than(what: str) -> Callable[[Command], Command]:
    """Return the option that says how many days old what a command removes is at least."""
    return click.option(
        "--older-than", "days", type=click.FloatRange(0), required=True, metavar="DAYS", help=what
    )


@click.command()
def publish() -> None:
    """Refresh the copy of the database that people read."""
    warehouse = open_warehouse()
    warehouse.publish()
    click.echo(warehouse.for_readers)


@click.command()
def restore() -> None:
    """Make the published copy the database again, where the pipeline's own file is lost."""
    warehouse = open_warehouse()
    written = warehouse.restore()
    click.echo(
        f"{warehouse.where} is again what {warehouse.for_readers} holds, as of "
        f"{written.astimezone():%Y-%m-%d %H:%M:%S}. What was made since is not in it: run those "
        "batches again; what a model answered is in the journals and is not asked again."
    )


@click.command()
@click.option("--parquet", is_flag=True, required=True, help="Write Parquet files.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the files. [default: exports/parquet in the data folder]",
)
@click.option("--batch", "batches", multiple=True, help="Only this batch; may be repeated.")
def export(parquet: bool, out: Path | None, batches: tuple[str, ...]) -> None:
    """Write every table to OUT/TABLE/BATCH.parquet.

    The training data as trainers read it is in exports/sft and exports/preference already.
    """
    folder = out or data_dir() / "exports" / "parquet"
    rows = open_warehouse().export_parquet(folder, batches or None)
    for table, count in rows.items():
        click.echo(f"{count:>9,} {table}")
    click.echo(folder)


@click.group()
def journal() -> None:
    """Journals of model calls: what spares a rerun from paying again."""


@journal.command("prune")
@older_than("Journals that were last written longer ago.")
@click.option("--asset", help="Only the journals of this asset.")
@click.option("--batch", help="Only the journals of this batch.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
def journal_prune(days: float, asset: str | None, batch: str | None, dry_run: bool) -> None:
    """Remove old journals whose calls are in the table llm_calls.

    The calls stay in the table. A rerun of such a batch asks the model for them again.
    """
    from autoif_assets.endpoint import prune_journals

    folder, older_than_s = data_dir() / "journals", days * 86400
    # Each asset and batch by itself: only where all its calls are in the table do its
    # journals hold nothing that is not kept elsewhere.
    old = prune_journals(folder, older_than_s, dry_run=True, asset=asset, batch=batch)
    places = sorted({(one.asset, one.batch) for one in old})
    removed = []
    for place in places:
        if lacking := _calls_not_in_table(folder, *place):
            click.echo(
                f"kept     {' '.join(place)}: {lacking} of its calls are not in llm_calls. "
                "Run this batch again, which loads them."
            )
        else:
            removed += prune_journals(folder, older_than_s, dry_run, asset=place[0], batch=place[1])
    for one in removed:
        click.echo(f"{'old' if dry_run else 'removed':<9}{one.path} ({one.size / 1e6:.1f} MB)")
    size = sum(one.size for one in removed) / 1e6
    done = "would be removed" if dry_run else "removed"
    click.echo(f"{len(removed)} journals, {size:.1f} MB, {done}.")


@journal.command("compact")
@click.option("--asset", help="Only the journals of this asset.")
@click.option("--batch", help="Only the journals of this batch.")
def journal_compact(asset: str | None, batch: str | None) -> None:
    """Merge the journals of each asset and batch into one file; nothing in them is lost."""
    from autoif_assets.endpoint import compact_journals

    compacted = compact_journals(data_dir() / "journals", asset, batch)
    for one in compacted:
        click.echo(
            f"{one.asset} {one.batch}: {one.files} files of {one.size_before / 1e6:.1f} MB are now "
            f"{one.path} of {one.size / 1e6:.1f} MB"
        )
    click.echo(f"{len(compacted)} journals compacted.")


def _calls_not_in_table(folder: Path, asset: str, batch: str) -> int:
    """Count the calls whose last answer in the journals has not reached the table."""
    import polars as pl

    from autoif_assets.endpoint import llm_calls

    journaled = llm_calls(folder, asset, batch).select("call_id", "finished_at")
    loaded = open_warehouse().read(
        "llm_calls", {"asset": asset, "batch": batch}, columns=["call_id", "finished_at"]
    )
    known = journaled.join(loaded, on="call_id", suffix="_loaded")
    current = known.filter(pl.col("finished_at") <= pl.col("finished_at_loaded")).height
    return journaled.height - current


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
    prepare_home(database=False)
    import dagster as dg

    from autoif_assets.automation.runs import old_runs

    with dg.DagsterInstance.get() as instance:
        old = old_runs(instance, datetime.now(UTC) - timedelta(days=days))
        if not dry_run:
            for run_id in old:
                instance.delete_run(run_id)
    click.echo(f"{len(old)} runs {'would be' if dry_run else 'are'} removed.")
