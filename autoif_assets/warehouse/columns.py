"""DuckDB types as Polars types, and the DDL of a table."""

import polars as pl

from autoif_assets.warehouse.tables import SCHEMA, Column, Table

_SCALARS: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "BOOLEAN": pl.Boolean(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "DATE": pl.Date(),
    "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
}


def polars_type(duckdb_type: str) -> pl.DataType:
    """Return the Polars type of a DuckDB type such as ``STRUCT(a VARCHAR, b BIGINT[])[]``.

    Raises:
        ValueError: the type is not one of those the tables use.
    """
    text = duckdb_type.strip()
    if text.endswith("[]"):
        return pl.List(polars_type(text[:-2]))
    if text.startswith("STRUCT(") and text.endswith(")"):
        fields = (field.split(None, 1) for field in _split(text[len("STRUCT(") : -1]))
        return pl.Struct({name: polars_type(type_) for name, type_ in fields})
    if text not in _SCALARS:
        raise ValueError(
            f"The DuckDB type {text!r} has no Polars type here; known are "
            f"{', '.join(_SCALARS)}, STRUCT(…) and lists of these."
        )
    return _SCALARS[text]


def _split(fields: str) -> list[str]:
    """Split ``a VARCHAR, b STRUCT(c BIGINT, d DATE)`` at its outer commas."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(fields):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(fields[start:i].strip())
            start = i + 1
    return [*parts, fields[start:].strip()]


def polars_schema(table: Table) -> pl.Schema:
    """Return the declared columns of ``table`` with their Polars types, in display order."""
    return pl.Schema({column.name: polars_type(column.type) for column in table.columns})


def empty_frame(table: Table) -> pl.DataFrame:
    """Return a frame of no rows with the declared columns of ``table``."""
    return polars_schema(table).to_frame()


def as_declared(schema: pl.Schema) -> list[pl.Expr]:
    """Return the columns of ``schema``, cast to its types."""
    return [pl.col(name).cast(dtype) for name, dtype in schema.items()]


def create_table(table: Table) -> str:
    """Return the CREATE TABLE statement.

    The key is not declared to DuckDB: writing checks it, every key contains the partition
    columns, and an index of it made files half as large again.
    """
    columns = ",\n".join(f"    {_column(column)}" for column in table.columns)
    return f"CREATE TABLE {SCHEMA}.{table.name} (\n{columns}\n);"


def _column(column: Column) -> str:
    return f'"{column.name}" {column.type}' + ("" if column.nullable else " NOT NULL")


def literal(text: str) -> str:
    """Return ``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def comments(table: Table) -> str:
    """Return COMMENT statements, so that database tools show what each column means."""
    lines = [f"COMMENT ON TABLE {SCHEMA}.{table.name} IS {literal(table.description)};"]
    lines += [
        f'COMMENT ON COLUMN {SCHEMA}.{table.name}."{column.name}" IS {literal(column.description)};'
        for column in table.columns
    ]
    return "\n".join(lines)
