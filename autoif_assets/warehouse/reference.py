"""The table reference of the documentation, made from the declarations."""

from autoif_assets.warehouse.tables import SCHEMA, TABLES, Table
from autoif_assets.warehouse.views import describe, views


def reference() -> str:
    """Return Markdown: every table with its key, slices and columns, and every view."""
    tables = [_table(table) for table in TABLES.values()]
    shown = [_view(name, sql) for name, sql in views().items()]
    return "\n\n".join([*tables, *shown]) + "\n"


def _table(table: Table) -> str:
    paper = f" Paper section {table.section}." if table.section else ""
    slices = (
        f"replaced by `{'`, `'.join(table.partitions)}`"
        if table.partitions
        else "replaced as a whole"
    )
    lines = [
        f"### `{SCHEMA}.{table.name}`",
        "",
        f"{table.description}{paper} Key: `{'`, `'.join(table.key)}`; {slices}.",
        "",
        "| column | type | null | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{column.name}` | `{column.type}` | {'yes' if column.nullable else ''} "
        f"| {column.description} |"
        for column in table.columns
    ]
    return "\n".join(lines)


def _view(name: str, sql: str) -> str:
    description, example = describe(sql)
    return f"### `{SCHEMA}.{name}`\n\n{description}\n\n```sql\n{example}\n```"
