"""How a lake is opened: extensions, catalog, storage, and what their errors mean."""

import atexit
import errno
import functools
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import polars as pl

from autoif_assets.warehouse.database import disk_trouble
from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.sql import execute, literal

EXTRA = "pip install 'autoif-assets[lake]'"

INLINED_ROWS = 500
"""Slices of fewer rows are kept in the catalog, not in a file of their own, until maintenance."""

_CONFIG: Mapping[str, str] = {
    # The extensions come with the extra; looking for others would wait for a network.
    "autoinstall_known_extensions": "false",
    # As for a database file: DuckDB takes 80 % of the machine otherwise.
    "memory_limit": "700MiB",
    "preserve_insertion_order": "false",
    "partitioned_write_flush_threshold": "4096",
}
# By name; the value of a lake's own is its extension.
_EXTENSIONS = ("postgres_scanner", "ducklake")
_PASSWORD = re.compile(r"\bpassword\s*=|://[^/?#]*:[^/?#@]+@", re.IGNORECASE)
_CONFLICT = re.compile(
    r"Transaction conflict|could not serialize|deadlock detected"
    r"|duplicate key value",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"Unable to connect to Postgres|server closed the connection|connection to server"
    r"|terminating connection|SSL connection|no connection to the server",
    re.IGNORECASE,
)
_STORAGE = re.compile(r"\bs3://|HTTP (GET|PUT|POST|HEAD)|Could not establish connection|\b403\b")


@dataclass(frozen=True)
class LakePlace:
    """Where a lake is.

    Attributes:
        catalog: The PostgreSQL database as libpq names it: ``host=… dbname=…`` or a URL. It holds
            no password; libpq takes that from ``PGPASSWORD`` or its password file.
        data: ``s3://bucket/folder``, or a folder that all machines have under this path.
    """

    catalog: str
    data: str

    def __str__(self) -> str:
        return f"the lake {self.data} (catalog {self.catalog})"

    @property
    def folder(self) -> str:
        """The place of the files as DuckLake takes it."""
        if self.data.startswith("s3://"):
            return self.data.rstrip("/") + "/"
        return f"{Path(self.data).expanduser().absolute()}/"


def password_problem(catalog: str) -> str | None:
    """Say that a password is in the name of a catalog, where it would be shown; None if not."""
    if not _PASSWORD.search(catalog):
        return None
    return (
        "it holds a password, which would be shown with the settings: leave it out, and put it "
        "into PGPASSWORD, in the environment or the .env"
    )


def catalog_connection(place: LakePlace, name: str = "autoif") -> Any:
    """Connect to the catalog's PostgreSQL.

    Raises:
        WarehouseError: It does not answer, or the extra is not installed.
    """
    try:
        import psycopg
    except ImportError:
        raise _no_extra() from None
    try:
        return psycopg.connect(
            place.catalog,
            autocommit=True,
            application_name=name.encode("ascii", "replace").decode()[:63],
            connect_timeout=10,
            # A machine that is gone gives its locks back in half a minute, not in two hours.
            options="-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 "
            "-c tcp_keepalives_count=4",
        )
    except psycopg.Error as error:
        raise _no_catalog(place, error) from error


_THERE: set[LakePlace] = set()


def is_there(place: LakePlace) -> bool:
    """Whether the lake has tables; asked until it has."""
    if place not in _THERE:
        with catalog_connection(place) as con:
            made = con.execute("SELECT to_regclass('ducklake_table') IS NOT NULL").fetchone()
            # The last that is made, in the same transaction as all others.
            if (
                made[0]
                and con.execute(
                    "SELECT 1 FROM ducklake_table WHERE table_name = 'migrations'"
                    " AND end_snapshot IS NULL"
                ).fetchone()
            ):
                _THERE.add(place)
    return place in _THERE


def engine(
    place: LakePlace, folder: Path, inlined_rows: int = INLINED_ROWS
) -> duckdb.DuckDBPyConnection:
    """Return this process's DuckDB with the lake attached as ``lake``.

    Opening it takes half a second. Each process has its own: connections do not survive a fork.
    """
    return _engine(os.getpid(), place, folder, inlined_rows, _storage_secret(place))


@functools.lru_cache(maxsize=2)
def _engine(
    process: int, place: LakePlace, folder: Path, inlined_rows: int, secret: str | None
) -> duckdb.DuckDBPyConnection:
    return attached(place, folder, inlined_rows=inlined_rows)


def drop_engine() -> None:
    """Open the lake anew next time."""
    _engine.cache_clear()


# Before Python ends, as with database files.
atexit.register(drop_engine)


def attached(
    place: LakePlace,
    folder: Path,
    *,
    at: datetime | None = None,
    read_only: bool = False,
    inlined_rows: int = INLINED_ROWS,
) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB of its own with the lake attached; one that is not there is made.

    Args:
        place: Where the lake is.
        folder: Where this machine puts what does not fit into memory.
        at: The time as of which it is read; None: as it is.
        read_only: Whether nothing may be written; then nothing is made, either.
        inlined_rows: Slices of fewer rows are kept in the catalog.
    """
    paths = [_extension(name) for name in _EXTENSIONS]
    secret = _storage_secret(place)
    if secret:
        paths.append(_extension("httpfs"))
    # Before DuckDB, whose words for a server that is not there are a page long.
    catalog_connection(place).close()
    spill = folder.absolute() / f"lake.{os.getpid()}.tmp"
    con = duckdb.connect(config={**_CONFIG, "temp_directory": str(spill)})
    try:
        for path in paths:
            execute(con, f"LOAD {literal(path)}")
        execute(con, "SET ducklake_max_retry_count = 100")
        execute(con, "SET TimeZone = 'UTC'")
        if secret:
            execute(con, secret)
        options = [f"DATA_PATH {literal(place.folder)}", f"DATA_INLINING_ROW_LIMIT {inlined_rows}"]
        if read_only:
            options.append("READ_ONLY")
        if at is not None:
            options.append(f"SNAPSHOT_TIME {literal(at.isoformat(sep=' '))}")
        source = literal(f"ducklake:postgres:{place.catalog}")
        execute(con, f"ATTACH {source} AS lake ({', '.join(options)})")
        execute(con, "USE lake")
    except BaseException:
        con.close()
        raise
    return con


def _extension(name: str) -> str:
    """Return the file of an extension that a wheel has brought."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    if found is None or not found.submodule_search_locations:
        raise _no_extra()
    folder = Path(found.submodule_search_locations[0]) / "extensions"
    file = folder / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not file.is_file():
        versions = ", ".join(sorted(one.name for one in folder.iterdir())) or "no version"
        raise WarehouseError(
            f"The DuckDB extension {name} is there for {versions}, but DuckDB here is "
            f"{duckdb.__version__}. The extra brings the two that fit: {EXTRA}."
        )
    return str(file)


def _no_extra() -> WarehouseError:
    return WarehouseError(f"The storage lake needs the extra of that name: {EXTRA}.")


def _no_catalog(place: LakePlace, error: Exception) -> WarehouseError:
    words = " ".join(str(error).split())
    return WarehouseError(
        f"The lake's catalog {place.catalog} did not let us in: {words}. Look at "
        "AUTOIF_LAKE_CATALOG and PGPASSWORD, and whether PostgreSQL runs there."
    )


def storage_keys(place: LakePlace) -> dict[str, str]:
    """Return how S3 is asked, from the environment, without what is not given there.

    Raises:
        WarehouseError: There are no keys.
    """
    given = os.environ.get
    if not (given("AWS_ACCESS_KEY_ID") and given("AWS_SECRET_ACCESS_KEY")):
        raise WarehouseError(
            f"The lake's files are in {place.data}, but there are no keys: set AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL where it is not Amazon's."
        )
    found = {
        "key_id": given("AWS_ACCESS_KEY_ID"),
        "secret": given("AWS_SECRET_ACCESS_KEY"),
        "session_token": given("AWS_SESSION_TOKEN"),
        "region": given("AWS_REGION") or given("AWS_DEFAULT_REGION") or "us-east-1",
        "endpoint": (given("AWS_ENDPOINT_URL_S3") or given("AWS_ENDPOINT_URL") or "").rstrip("/"),
    }
    return {name: value for name, value in found.items() if value}


def _storage_secret(place: LakePlace) -> str | None:
    """Return the statement that tells DuckDB the keys of S3."""
    if not place.data.startswith("s3://"):
        return None
    keys = storage_keys(place)
    endpoint = keys.pop("endpoint", None)
    said = [f"{name.upper()} {literal(value)}" for name, value in keys.items()]
    if endpoint:
        url = urlsplit(endpoint)
        said += [
            f"ENDPOINT {literal(url.netloc + url.path)}",
            f"USE_SSL {'true' if url.scheme == 'https' else 'false'}",
            "URL_STYLE 'path'",
        ]
    return f"CREATE OR REPLACE SECRET lake_storage (TYPE s3, {', '.join(said)})"


def is_conflict(error: Exception) -> bool:
    """Whether a transaction failed because of others', and may succeed when it is tried again."""
    return bool(_CONFLICT.search(str(error))) and not _LOST.search(str(error))


@contextmanager
def reporting(place: LakePlace, purpose: str, folder: Path) -> Iterator[None]:
    """Turn errors of the catalog, the storage and the disk into sentences."""
    try:
        yield
    except (OSError, duckdb.Error, pl.exceptions.PolarsError) as error:
        if (message := _trouble(place, error, folder)) is None:
            raise
        raise WarehouseError(
            f"Failed at {purpose}: {message} Nothing that was stored before is lost; the lake is "
            "as it was before this step."
        ) from error


def _trouble(place: LakePlace, error: Exception, folder: Path) -> str | None:
    words = " ".join(str(error).split())[:500]
    if _LOST.search(words):
        return f"the catalog {place.catalog} did not answer ({words})."
    if "DATA_PATH" in words and "match" in words:
        return (
            f"AUTOIF_LAKE_DATA is {place.data}, which is not where this lake's files are: {words}"
        )
    if "No snapshot found" in words:
        return "the lake had no tables then, or that snapshot has expired."
    if isinstance(error, duckdb.HTTPException) or (
        isinstance(error, duckdb.IOException) and _STORAGE.search(words)
    ):
        return f"the storage {place.data} refused ({words})."
    if isinstance(error, OSError) and error.errno == errno.ENOENT:
        return None
    return disk_trouble(error, folder)
