"""Views, macros and comments: made anew from TABLES whenever their text changes."""

import functools
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from autoif_assets.method.verdict_vectors import MIN_OF_EACH, MIN_TEXTS
from autoif_assets.warehouse.schema import SCHEMA, Table, comments
from autoif_assets.warehouse.sql import literal
from autoif_assets.warehouse.tables import TABLES

_FUNNEL_HEAD = """\
-- How many rows each stage of the method holds, by batch, status and reason; `position` is the
-- stage's place in the flow. A stage without a gate accepts all its rows.
-- Example: SELECT * FROM autoif.funnel WHERE batch = 'b1' AND status = 'rejected';
"""
# Numbers of the method that views go by, under the names that their files have for them.
_NUMBERS = {"{MIN_TEXTS}": MIN_TEXTS, "{MIN_OF_EACH}": MIN_OF_EACH}


def views() -> dict[str, str]:
    """Return the SQL of each view and table macro by name; each starts with its description.

    One that reads another comes after it, as DuckDB wants it.
    """
    files = sorted(Path(__file__).parent.glob("*.sql"))
    found = {"funnel": _funnel(), **{file.stem: _read(file) for file in files}}
    reads = {
        name: [other for other in found if other != name and f"FROM {SCHEMA}.{other}(" in sql]
        for name, sql in found.items()
    }
    return {name: found[name] for name in TopologicalSorter(reads).static_order()}


@functools.cache
def definitions() -> str:
    """Return the SQL that makes every view, macro and comment in a database of plain tables."""
    return "\n".join([*map(comments, TABLES.values()), *views().values()])


def describe(sql: str) -> tuple[str, str]:
    """Return the description and the example at the head of a view's SQL."""
    head = [line[3:] for line in sql.splitlines() if line.startswith("-- ")]
    description, _, example = " ".join(head).partition(" Example: ")
    return description, example


def _read(file: Path) -> str:
    sql = file.read_text("utf-8")
    for name, number in _NUMBERS.items():
        sql = sql.replace(name, str(number))
    return sql


def _funnel() -> str:
    return (
        f"{_FUNNEL_HEAD}CREATE VIEW {SCHEMA}.funnel AS\n"
        + "\nUNION ALL\n".join(_counts())
        + "\nORDER BY batch, position, status, reason;\n"
    )


def _counts() -> Iterator[str]:
    stages = [table for table in TABLES.values() if table.is_stage]
    for position, table in enumerate(stages, start=1):
        batch = "batch" if "batch" in table.partitions else "CAST(NULL AS VARCHAR)"
        yield (
            f"SELECT {batch} AS batch, {position} AS position, {literal(table.name)} AS stage, "
            f"{_status(table)}, count(*) AS rows FROM {SCHEMA}.{table.name} GROUP BY ALL"
        )


def _status(table: Table) -> str:
    if table.is_gate:
        return "status, reason"
    return "'accepted' AS status, CAST(NULL AS VARCHAR) AS reason"
