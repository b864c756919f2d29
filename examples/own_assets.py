"""Assets of your own downstream of AutoIF's: SQL on its tables, and a table in the same database.

A project of its own, in one file; put it where you like. With the data folder of your AutoIF
project, it makes its table from the command line::

    AUTOIF_DATA=data dagster asset materialize -f examples/own_assets.py --select sft_by_category

or beside AutoIF's assets, in one graph, in the UI::

    AUTOIF_DATA=data dagster dev -w examples/workspace.yaml

``get_connection()`` takes its turn: it waits while a run of AutoIF writes, which takes
milliseconds, makes the others wait as long as its ``with`` block, and stores all of the block or,
where it fails, nothing. When the run has ended, the table is also in ``data/warehouse.duckdb``, the
copy for people and tools.
"""

import os

import dagster as dg

from autoif_assets.resources import WarehouseResource

# Tables of your own go into a schema of your own: autoif is migrated by AutoIF.
BY_CATEGORY = """
CREATE SCHEMA IF NOT EXISTS mine;
CREATE OR REPLACE TABLE mine.sft_by_category AS
SELECT
    coalesce(category, 'none') AS category,
    count(*) AS examples,
    avg(length(response)) AS mean_chars,
    avg(score) AS mean_score
FROM autoif.sft_examples AS examples
JOIN autoif.verified_instructions AS instructions USING (batch, instruction_id)
WHERE examples.status = 'accepted'
GROUP BY ALL
"""


# The key in ``deps`` is the name of AutoIF's table, which is the name of its asset.
@dg.asset(deps=["sft_examples"], kinds={"duckdb", "sql"})
def sft_by_category(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
    """How many accepted SFT examples each category of instruction has, how long and how good."""
    with warehouse.get_connection() as con:
        con.execute(BY_CATEGORY)
        (rows,) = con.execute("SELECT count(*) FROM mine.sft_by_category").fetchall()[0]
    return dg.MaterializeResult(metadata={"dagster/row_count": rows})


defs = dg.Definitions(
    assets=[sft_by_category],
    resources={"warehouse": WarehouseResource(data_dir=os.environ.get("AUTOIF_DATA", "data"))},
)
