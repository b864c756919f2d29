"""What the stages share: how an asset names the rows it reads and the batch it writes."""

import dagster as dg
import polars as pl

from autoif_assets.method.gates import ACCEPTED
from autoif_assets.warehouse.io_manager import table_schema
from autoif_assets.warehouse.tables import TABLES


def accepted(table: str, *columns: str) -> dg.AssetIn:
    """Read columns of the accepted rows of a table; only these leave the database."""
    return dg.AssetIn(table, metadata={"columns": list(columns), "status": ACCEPTED})


def rows(table: str, *columns: str) -> dg.AssetIn:
    """Read columns of all rows of a table."""
    return dg.AssetIn(table, metadata={"columns": list(columns)})


def unread(asset_in: dg.AssetIn) -> dg.AssetIn:
    """Leave the rows in the database: the asset reads them part by part."""
    return asset_in._replace(metadata={**(asset_in.metadata or {}), "unread": True})


def about(table: str) -> str:
    """Return the description of the asset that fills a table."""
    declared = TABLES[table]
    where = f" (AutoIF, section {declared.section})" if declared.section else ""
    return f"{declared.description}{where}"


def schema(table: str) -> dict[str, dg.TableSchema]:
    """Return the declared columns of a table as asset metadata."""
    return {"dagster/column_schema": table_schema(TABLES[table])}


def in_batch(frame: pl.DataFrame, batch: str) -> pl.DataFrame:
    """Stamp the batch on every row."""
    return frame.with_columns(batch=pl.lit(batch))
