"""What the stages share: how an asset names the rows it reads and the batch it writes."""

import dagster as dg
import polars as pl

from autoif_assets.charts import Bar, funnel_chart, in_markdown
from autoif_assets.method.gates import ACCEPTED
from autoif_assets.resources.warehouse import table_schema
from autoif_assets.warehouse import Warehouse
from autoif_assets.warehouse.tables import TABLES

# Pool of every asset that asks a model; its limit is in dagster.yaml. They have no retry policy:
# the client retries what may pass, and Dagster would try again what a person has cancelled.
ENDPOINT = "endpoint"


def funnel(tables: Warehouse, last: str, batch: str | None = None) -> dict[str, dg.MetadataValue]:
    """Draw what the stages kept and dropped, up to one and of all batches if none is named."""
    rows = tables.query(
        "SELECT stage, coalesce(sum(rows) FILTER (status = 'accepted'), 0)::BIGINT AS kept,"
        " coalesce(sum(rows) FILTER (status = 'rejected'), 0)::BIGINT AS dropped"
        " FROM autoif.funnel WHERE (? IS NULL OR batch IS NULL OR batch = ?)"
        " GROUP BY stage, position ORDER BY position",
        [batch, batch],
    )
    stages = list(TABLES)[: list(TABLES).index(last) + 1]
    bars = [Bar(*row) for row in rows.iter_rows() if row[0] in stages]
    png = funnel_chart(bars)
    return {"chart/funnel": dg.MetadataValue.md(in_markdown(png, "yield funnel"))} if png else {}


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
