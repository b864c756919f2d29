"""Adding checked rows to a table whose slices were emptied in the same transaction."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse.errors import SchemaMismatch
from autoif_assets.warehouse.schema import SCHEMA, Table, literal
from autoif_assets.warehouse.slices import Partition, condition
from autoif_assets.warehouse.statements import execute


def insert_frame(con: duckdb.DuckDBPyConnection, table: Table, frame: pl.DataFrame) -> None:
    """Add the rows of a frame, by name of column."""
    if frame.height:
        con.register("incoming", _ArrowStream(frame))
        execute(con, f"INSERT INTO {SCHEMA}.{table.name} BY NAME SELECT * FROM incoming")
        con.unregister("incoming")


def insert_files(
    con: duckdb.DuckDBPyConnection, table: Table, folder: Path, slices: Sequence[Partition]
) -> None:
    """Add the rows of the Parquet files of a folder, by name of column.

    Raises:
        SchemaMismatch: two files hold the same key.
    """
    source = f"read_parquet({literal(f'{folder}/*.parquet')})"
    execute(con, f"INSERT INTO {SCHEMA}.{table.name} BY NAME SELECT * FROM {source}")
    _check_keys(con, table, slices)


class _ArrowStream:
    """A frame as what DuckDB reads without pyarrow: an object with only the Arrow stream."""

    def __init__(self, frame: pl.DataFrame):
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def _check_keys(con: duckdb.DuckDBPyConnection, table: Table, slices: Sequence[Partition]) -> None:
    """Check the keys of slices whose rows came in several frames."""
    where, values = condition(slices if table.partitions else None)
    key = ", ".join(table.key)
    repeated = con.execute(
        f"SELECT {key} FROM {SCHEMA}.{table.name} WHERE {where} "
        f"GROUP BY {key} HAVING count(*) > 1 LIMIT 1",
        values,
    ).fetchall()
    if repeated:
        raise SchemaMismatch(
            f"The frames for table {table.name} do not fit, nothing was written:\n"
            f"  - key ({key}) must be unique: two frames hold {repeated[0]}"
        )
