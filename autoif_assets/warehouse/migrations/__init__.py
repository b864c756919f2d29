"""Numbered changes to the database, each a frozen SQL file, applied once and recorded.

To change a table: edit ``tables.py`` and add the next ``NNNN_name.sql`` that turns the tables
before into the tables after. A file that has been released is never edited; a test compares
the database that all files make with ``TABLES``. Views, macros and comments are no
migrations: they are made anew whenever their text changes.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from autoif_assets.warehouse.errors import WrongVersion
from autoif_assets.warehouse.schema import SCHEMA
from autoif_assets.warehouse.sql import execute, transaction
from autoif_assets.warehouse.views import definitions

_VIEWS = 0
"""The number under which the text of the views is recorded."""

_RECORD = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.migrations (
    number BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL,
    duckdb VARCHAR NOT NULL
);
COMMENT ON TABLE {SCHEMA}.migrations IS
    'Changes to the tables that this file has seen; number 0 is the text of the views.';
"""


@dataclass(frozen=True)
class Migration:
    """A numbered change: its file name without suffix and its SQL."""

    number: int
    name: str
    sql: str

    @functools.cached_property
    def digest(self) -> str:
        """Fingerprint by which an edited file is noticed."""
        return hashlib.blake2b(self.sql.encode(), digest_size=16).hexdigest()


@functools.cache
def all_migrations() -> tuple[Migration, ...]:
    """Return the migrations this version knows, in order."""
    files = sorted(Path(__file__).parent.glob("[0-9]*.sql"))
    return tuple(Migration(int(f.stem.split("_")[0]), f.stem, f.read_text("utf-8")) for f in files)


def migrate(
    con: duckdb.DuckDBPyConnection,
    path: Path | str,
    log: Callable[[str], None],
    before: Callable[[duckdb.DuckDBPyConnection], None] = lambda con: None,
    *,
    adapt: Callable[[str], str] = lambda sql: sql,
    new: str | None = None,
) -> None:
    """Bring the open database to this version: a new one at once, another step by step.

    Args:
        con: Connection that may write, under the write lock.
        path: The file's name, or the lake's, for messages.
        log: Told about each migration applied to a file that already held data.
        before: Called before each transaction.
        adapt: Returns the SQL of a migration as this kind of database takes it.
        new: SQL that makes all tables in a new database, in the place of the migrations.

    Raises:
        WrongVersion: the file was made by a newer or an unreleased version.
    """
    applied = _applied(con)
    missing = _missing(applied, path)
    if not applied:
        # Nothing is there that could be half upgraded; each commit writes the file.
        before(con)
        _apply(con, missing, adapt, new)
        return
    for migration in missing:
        if migration.number != _VIEWS:
            log(f"Upgrading {path} to tables version {migration.number} ({migration.name}).")
        before(con)
        _apply(con, [migration], adapt)


def needs_migration(con: duckdb.DuckDBPyConnection, path: Path | str) -> bool:
    """Return whether the open database is not of this version.

    Raises:
        WrongVersion: it was made by a newer or an unreleased version.
    """
    return bool(_missing(_applied(con), path))


def _missing(applied: dict[int, str], path: Path | str) -> list[Migration]:
    known = all_migrations()
    _check(applied, known, path)
    missing = [migration for migration in known if migration.number not in applied]
    # Last, since they name columns that migrations make.
    views = Migration(_VIEWS, "views", definitions())
    if applied.get(_VIEWS) != views.digest:
        missing.append(views)
    return missing


def _applied(con: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """Return number and digest of what the file has seen; empty for a new file."""
    try:
        return dict(con.execute(f"SELECT number, digest FROM {SCHEMA}.migrations").fetchall())
    except duckdb.CatalogException:
        return {}


def _check(applied: dict[int, str], known: Sequence[Migration], path: Path | str) -> None:
    newest = known[-1].number
    if max(applied, default=0) > newest:
        raise WrongVersion(
            f"{path} has tables version {max(applied)}, this autoif_assets knows versions up to "
            f"{newest}. Upgrade autoif_assets, or choose another data folder."
        )
    # An edited file would leave databases that differ by the day on which they were made.
    for migration in known:
        if applied.get(migration.number, migration.digest) != migration.digest:
            raise WrongVersion(
                f"{path} was made by a development version of autoif_assets whose migration "
                f"{migration.name} differed. Move the file away and run again, or choose another "
                f"data folder."
            )


def _apply(
    con: duckdb.DuckDBPyConnection,
    migrations: Sequence[Migration],
    adapt: Callable[[str], str],
    new: str | None = None,
) -> None:
    # Changes and record are one transaction: a killed upgrade has not begun.
    with transaction(con):
        execute(con, _RECORD)
        if new is not None:
            execute(con, new)
        for migration in migrations:
            if migration.number == _VIEWS:
                _drop_views(con)
                execute(con, migration.sql)
            elif new is None:
                execute(con, adapt(migration.sql))
            execute(con, f"DELETE FROM {SCHEMA}.migrations WHERE number = ?", [migration.number])
            execute(
                con,
                f"INSERT INTO {SCHEMA}.migrations VALUES (?, ?, ?, now(), ?)",
                [migration.number, migration.name, migration.digest, duckdb.__version__],
            )


def _drop_views(con: duckdb.DuckDBPyConnection) -> None:
    views = con.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = ?", [SCHEMA]
    ).fetchall()
    macros = con.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() "
        "WHERE schema_name = ? AND function_type = 'table_macro'",
        [SCHEMA],
    ).fetchall()
    for (name,) in views:
        execute(con, f'DROP VIEW {SCHEMA}."{name}"')
    for (name,) in macros:
        execute(con, f'DROP MACRO TABLE {SCHEMA}."{name}"')
