"""The report: what the datasets of the folder hold and how they came about, for people."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import funnel
from autoif_assets.reports import Stage, gather, page, write_page
from autoif_assets.reports.address import report_url
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import TABLES

_STAGES = [
    Stage(table.name, table.description, table.section, table.is_gate)
    for table in TABLES.values()
    if table.is_stage
]


@dg.asset(
    # After the exports, which divide the rows into the splits that the report counts, and after
    # the policies, whose calls are part of the cost.
    deps=[
        *(stage.name for stage in _STAGES),
        *("sft_dataset", "preference_dataset", "kto_dataset", "policy_responses"),
    ],
    group_name="exports",
    kinds={"html"},
    description="One HTML page for people: where the data went and why, categories, pass rates, "
    "examples kept and dropped at each gate, verifiers, cost and time.",
)
def report(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
    tables = warehouse.open()
    tables.migrate()  # an empty folder has a report too
    data = gather(tables.query, _STAGES)
    path = (tables.data_dir / "exports" / "report.html").absolute()
    write_page(page(data), path)
    rows = dict(data.datasets.group_by("dataset").agg(pl.sum("rows")).iter_rows())
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(path)),
            "url": dg.MetadataValue.url(report_url()),
            "bytes": path.stat().st_size,
            **funnel(tables, _STAGES[-1].name),
            "batches": data.totals["batches"].item(),
            "sft_examples": rows.get("sft", 0),
            "preference_pairs": rows.get("preference", 0),
            "kto_examples": rows.get("kto", 0),
        }
    )
