"""`autoif export`: the tables as files."""

from pathlib import Path

import click

from autoif_assets.cli.home import data_dir


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
    from autoif_assets.warehouse import Warehouse, WarehouseError

    folder = out or data_dir() / "exports" / "parquet"
    try:
        rows = Warehouse(data_dir()).export_parquet(folder, batches or None)
    except WarehouseError as error:
        raise click.ClickException(str(error)) from error
    for table, count in rows.items():
        click.echo(f"{count:>9,} {table}")
    click.echo(folder)
