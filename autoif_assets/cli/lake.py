"""Asking the tables, and what a lake needs: `autoif sql`, `lake maintain`, `migrate-storage`."""

import json
from datetime import datetime

import click

from autoif_assets.cli.home import data_dir, open_warehouse
from autoif_assets.cli.output import say


@click.command()
@click.argument("query")
@click.option("--at", metavar="TIME", help="As of when, such as 2026-01-31T12:00; of a lake only.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    help="How the rows are printed.",
)
def sql(query: str, at: str | None, form: str) -> None:
    """Ask the tables, schema autoif, in DuckDB's SQL; nothing is changed."""
    import duckdb
    import polars as pl

    with open_warehouse().reader(None if at is None else _moment(at)) as con:
        try:
            relation = con.sql(query)
            rows = pl.DataFrame() if relation is None else pl.DataFrame(relation.to_arrow_table())
        except duckdb.Error as error:
            raise click.ClickException(str(error)) from None
    if form == "csv":
        # A field has no place for lists and structs but as text.
        flat = rows.with_columns(
            pl.Series(name, [json.dumps(value, default=str) for value in rows[name].to_list()])
            for name, kind in rows.schema.items()
            if kind.is_nested()
        )
        click.echo(flat.write_csv(), nl=False)
    elif form == "jsonl":
        click.echo(rows.write_ndjson(), nl=False)
    else:
        with pl.Config(tbl_rows=1000, tbl_cols=100, tbl_hide_dataframe_shape=True):
            say(str(rows))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write 2026-01-31T12:00.") from None
    return moment.astimezone()  # of this machine's zone where none is said


@click.group()
def lake() -> None:
    """Tables that many machines share (AUTOIF_STORAGE=lake)."""


@lake.command()
@click.option(
    "--keep-days",
    type=click.FloatRange(0),
    help="Days of which snapshots are kept. [default: AUTOIF_LAKE_KEEP_DAYS, 7]",
)
@click.option(
    "--grace-hours",
    type=click.FloatRange(0),
    default=24.0,
    help="Hours after which files that nobody needs are deleted.",
)
def maintain(keep_days: float | None, grace_hours: float) -> None:
    """Merge small files, forget old snapshots, delete files that nobody needs.

    Runs go on meanwhile. With less grace than your longest query or write takes, that fails.
    """
    from autoif_assets.resources.settings import settings
    from autoif_assets.warehouse import LakeWarehouse, maintain

    warehouse = open_warehouse()
    if not isinstance(warehouse, LakeWarehouse):
        raise click.ClickException("The tables are in no lake: AUTOIF_STORAGE is local.")
    kept = settings().lake_keep_days if keep_days is None else keep_days
    done = maintain(warehouse, kept, grace_hours, say)
    say(done.in_words())


@click.command("migrate-storage")
@click.argument("to", type=click.Choice(["lake", "local"]))
def migrate_storage(to: str) -> None:
    """Copy all tables from the data folder to the lake, or back; what is copied stays there.

    Stop all runs first. Counts and hashes of every table are compared before anything counts.
    """
    from autoif_assets.resources.settings import settings
    from autoif_assets.warehouse import LakeWarehouse, Warehouse, lake_place, to_lake, to_local

    found = settings()
    place = lake_place("lake", found.lake_catalog, found.lake_data)
    assert place is not None
    local, other = Warehouse(data_dir()), LakeWarehouse(place, data_dir())
    rows = to_lake(local, other, say) if to == "lake" else to_local(other, local, say)
    for table, count in rows.items():
        click.echo(f"{count:>9,} {table}")
    where = other.where if to == "lake" else local.where
    say(
        f"{sum(rows.values()):,} rows are in {where} too, the same by count and hash. Set "
        f"AUTOIF_STORAGE={to} for what comes; journals, exports and Dagster's memory stay in "
        f"{data_dir()}."
    )
