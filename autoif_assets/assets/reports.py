"""The report: what the datasets of the folder hold and how they came about, for people."""

import dagster as dg

from autoif_assets.automation.sensors import DATASETS, FOLLOW_EXPORTS
from autoif_assets.charts import Bar, funnel_chart, in_markdown
from autoif_assets.reports import (
    Stage,
    gather,
    render_page,
    report_url,
    rows_by_dataset,
    write_page,
)
from autoif_assets.resources import settings
from autoif_assets.stage import stage
from autoif_assets.warehouse import TABLES, Warehouse

_STAGES = [
    Stage(table.name, table.description, table.section, table.is_gate)
    for table in TABLES.values()
    if table.is_stage
]


@stage(
    group="exports",
    # After the exports, which divide the rows into the splits that the report counts, and after
    # the policies, whose calls are part of the cost.
    after=[
        *(stage.name for stage in _STAGES),
        *(*DATASETS, "policy_responses"),
        *("verifier_repairs", "auditor_answers"),
    ],
    kinds={"html"},
    description="One HTML page for people: where the data went and why, whether its verifiers can "
    "be trusted, categories, pass rates, examples kept and dropped at each gate, verifiers, cost "
    "and time.",
    follows=FOLLOW_EXPORTS,
)
def report(warehouse: Warehouse) -> dg.MaterializeResult[None]:
    warehouse.migrate()  # an empty folder has a report too
    data = gather(warehouse.query, _STAGES)
    path = (warehouse.data_dir / "exports" / "report.html").absolute()
    write_page(render_page(data), path)
    if warehouse.objects is not None:
        warehouse.objects.put("reports/report.html", path)
    rows = rows_by_dataset(data.datasets)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(path)),
            "url": dg.MetadataValue.url(report_url(settings().report_port)),
            "bytes": path.stat().st_size,
            **funnel(warehouse, _STAGES[-1].name),
            "batches": data.totals["batches"].item(),
            "sft_examples": rows.get("sft", 0),
            "preference_pairs": rows.get("preference", 0),
            "kto_examples": rows.get("kto", 0),
            "rl_prompts": rows.get("reward", 0),
        }
    )


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
    chart = funnel_chart(bars)
    if not chart:
        return {}
    return {"chart/funnel": dg.MetadataValue.md(in_markdown(chart, "yield funnel"))}
