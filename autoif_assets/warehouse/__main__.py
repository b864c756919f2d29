"""Print the table reference: ``python -m autoif_assets.warehouse > docs/tables.md``."""

from autoif_assets.warehouse.schema import SCHEMA, ForeignKey, Table
from autoif_assets.warehouse.tables import TABLES
from autoif_assets.warehouse.views import describe, views

_HEAD = f"""\
# The database

What `warehouse.duckdb` holds, in schema `{SCHEMA}`. This page is made from the declarations:
`python -m autoif_assets.warehouse > docs/tables.md`. A table with a `status` keeps all its
candidates: `accepted`, or `rejected` for a `reason`. Foreign keys are looked at by the asset check
`foreign_keys` of each table.

Assets of your own read these tables, and write tables of their own into the same database, through
`WarehouseResource.get_connection()`: see `examples/own_assets.py`."""


def reference() -> str:
    """Return Markdown: every table with its key, slices and columns, and every view."""
    tables = [_table(table) for table in TABLES.values()]
    shown = [_view(name, sql) for name, sql in views().items()]
    parts = [_HEAD, "## Tables", *tables, "## Views and macros", *shown]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    rule = f": {table.rule}" if table.rule else "."
    paper = f" Paper section {table.section}{rule}" if table.section else ""
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
        *_foreign_keys(table),
        "| column | type | null | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{column.name}` | `{column.type}` | {'yes' if column.nullable else ''} "
        f"| {column.description} |"
        for column in table.columns
    ]
    return "\n".join(lines)


def _foreign_keys(table: Table) -> list[str]:
    if not table.foreign_keys:
        return []
    return [*(f"- {_in_words(key)}" for key in table.foreign_keys), ""]


def _in_words(key: ForeignKey) -> str:
    columns, to = (f"`{'`, `'.join(names)}`" for names in (key.columns, key.to))
    return f"Foreign key {columns}: {to} of `{'` or `'.join(key.tables)}`."


def _view(name: str, sql: str) -> str:
    description, example = describe(sql)
    return f"### `{SCHEMA}.{name}`\n\n{description}\n\n```sql\n{example}\n```"


if __name__ == "__main__":
    print(reference(), end="")
