"""All tables from a database file to a lake and back, compared before anything counts."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.lake import LAKE, LakeWarehouse
from autoif_assets.warehouse.schema import SCHEMA, Table
from autoif_assets.warehouse.sql import execute, literal, transaction
from autoif_assets.warehouse.store import Warehouse
from autoif_assets.warehouse.tables import TABLES


def to_lake(local: Warehouse, lake: LakeWarehouse, log: Callable[[str], None]) -> dict[str, int]:
    """Copy all tables of a data folder into a lake without rows.

    It is one transaction: where it fails or is killed, the lake has no rows.

    Args:
        local: The warehouse of the data folder; it is published first.
        lake: The lake; made if it is not there.
        log: Told of tables that are not AutoIF's, which stay behind.

    Returns:
        Number of rows by table; count and hash of each table are the same in both.

    Raises:
        WarehouseError: There is nothing to copy, or the lake has rows, or what arrived differs.
    """
    if not local.exists:
        raise WarehouseError(f"There is nothing to copy: {local.where} does not exist.")
    # The copy stays as it is, whatever runs write meanwhile.
    local.publish()
    lake.migrate()
    purpose = "copying a database into the lake"
    with (
        lake.lake.locks(purpose, own=[LAKE]),
        lake.lake.connection(purpose, writes=True) as con,
    ):
        execute(con, f"ATTACH {literal(str(local.published_path))} AS file (READ_ONLY)")
        try:
            with transaction(con):
                _check_empty(con, "lake", lake)
                return _copy(con, "file", "lake", log)
        finally:
            execute(con, "DETACH file")


def to_local(lake: LakeWarehouse, local: Warehouse, log: Callable[[str], None]) -> dict[str, int]:
    """Copy all tables of a lake into a data folder without a database, and publish them.

    Args:
        lake: The lake, which is only read.
        local: The warehouse of the data folder.
        log: Told of tables that are not AutoIF's, which stay behind.

    Returns:
        Number of rows by table; count and hash of each table are the same in both.

    Raises:
        WarehouseError: There is no lake, or a database is in the folder, or what arrived differs.
    """
    for path in (local.path, local.published_path):
        if path.exists():
            raise WarehouseError(
                f"{path} is there, and nothing is written over it. Move it away, or name another "
                "data folder (AUTOIF_DATA)."
            )
    local.data_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".migrating-", dir=local.data_dir))
    try:
        rows = to_file(lake, folder, log)
        # Only what was compared gets its name.
        (folder / local.path.name).replace(local.path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    local.publish()
    return rows


def to_file(lake: LakeWarehouse, folder: Path, log: Callable[[str], None]) -> dict[str, int]:
    """Copy all tables of a lake into a new database in a folder; see ``to_local``."""
    if not lake.exists:
        raise WarehouseError(f"There is nothing to copy: {lake.where} has no tables.")
    made = Warehouse(folder)
    made.migrate()
    with lake.lake.connection("copying the lake into a database") as con:
        execute(con, f"ATTACH {literal(str(made.path))} AS file")
        try:
            with transaction(con):
                return _copy(con, "lake", "file", log)
        finally:
            execute(con, "DETACH file")


def _check_empty(con: duckdb.DuckDBPyConnection, catalog: str, lake: LakeWarehouse) -> None:
    for table in TABLES:
        if con.execute(f"SELECT 1 FROM {catalog}.{SCHEMA}.{table} LIMIT 1").fetchall():
            raise WarehouseError(
                f"{lake.where} has rows, such as in {table}, and nothing is written over them. "
                "Name a database and a folder without a lake."
            )


def _copy(
    con: duckdb.DuckDBPyConnection, source: str, target: str, log: Callable[[str], None]
) -> dict[str, int]:
    found = con.execute(
        "SELECT schema_name || '.' || table_name, schema_name = ? AND table_name IN ?"
        " FROM duckdb_tables() WHERE database_name = ? ORDER BY 1",
        [SCHEMA, [*TABLES, "migrations"], source],
    ).fetchall()
    if others := [name for name, ours in found if not ours]:
        log(f"Not copied, for they are not AutoIF's: {', '.join(others)}.")
    rows = {}
    for table in TABLES.values():
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        execute(
            con,
            f"INSERT INTO {target}.{SCHEMA}.{table.name} BY NAME"
            f" SELECT {columns} FROM {source}.{SCHEMA}.{table.name}",
        )
        sent, arrived = (_fingerprint(con, place, table) for place in (source, target))
        if sent != arrived:
            raise WarehouseError(
                f"What arrived of {table.name} is not what was sent ({arrived[0]} rows of "
                f"{sent[0]}, hash {arrived[1]} of {sent[1]}), so nothing was stored."
            )
        rows[table.name] = sent[0]
    return rows


def _fingerprint(con: duckdb.DuckDBPyConnection, catalog: str, table: Table) -> tuple[int, int]:
    """Return the number of a table's rows, and a hash of them in any order."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    count, total = con.execute(
        f"SELECT count(*), coalesce(sum(hash({columns})), 0) FROM {catalog}.{SCHEMA}.{table.name}"
    ).fetchall()[0]
    return int(count), int(total)
