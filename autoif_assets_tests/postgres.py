"""A PostgreSQL server of the tests' own, on a socket in a temporary folder, and lakes in it."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoif_assets.warehouse.lake import LakeWarehouse
from autoif_assets.warehouse.lake_connection import LakePlace

_TEMPLATE = "made"
# A test's data may be lost with the machine.
_QUICK = "-c fsync=off -c full_page_writes=off -c max_connections=200"


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs, newest first; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    beside = shutil.which("initdb")
    return found[0].parent if found else Path(beside).parent if beside else None


@dataclass(frozen=True)
class Postgres:
    """A server that runs; its socket is in ``folder``."""

    folder: Path

    def catalog(self, database: str) -> str:
        """Return the name of a database as libpq takes it."""
        return f"host={self.folder} user=autoif dbname={database}"

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Execute a statement that returns nothing."""
        import psycopg

        with psycopg.connect(self.catalog(database), autocommit=True) as con:
            con.execute(sql)

    def empty(self, data: Path | str) -> LakePlace:
        """Return the place of a lake that nobody has made yet."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return LakePlace(self.catalog(name), str(data))

    def made(self, data: Path | str) -> LakePlace:
        """Return the place of a new lake with tables, copied from one that was made once."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        place = LakePlace(self.catalog(name), str(data))
        self.execute(
            f"UPDATE ducklake_metadata SET value = '{place.folder}' WHERE key = 'data_path'", name
        )
        return place

    def copied(self, place: LakePlace) -> LakePlace:
        """Return a copy of a lake's catalog, whose files are in the same folder."""
        from autoif_assets.warehouse.lake_connection import drop_engine

        drop_engine()  # a database is copied only while nobody is connected to it
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {place.catalog.split('dbname=')[1]}")
        return LakePlace(self.catalog(name), place.data)

    def prepare(self) -> None:
        """Make the lake that others are copied from."""
        from autoif_assets.warehouse.lake_connection import drop_engine

        self.execute(f"CREATE DATABASE {_TEMPLATE}")
        place = LakePlace(self.catalog(_TEMPLATE), str(self.folder / "files"))
        LakeWarehouse(place, self.folder / "transit").migrate()
        # A database is copied only while nobody is connected to it.
        drop_engine()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server; it refuses to run as root, so it is another user's then."""
    programs = binaries()
    assert programs is not None
    # Short, for the path of a socket is at most 107 bytes long.
    folder = Path(tempfile.mkdtemp(prefix="autoif-pg-"))
    user = None
    if os.getuid() == 0:
        user = "postgres"
        shutil.chown(folder, user)
        folder.chmod(0o755)
    data = folder / "data"

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *arguments],
            check=True,
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )

    call("initdb", "-A", "trust", "-U", "autoif", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} {_QUICK}"
    call("pg_ctl", "start", "-w", "-o", options, "-l", str(folder / "log"))
    try:
        yield Postgres(folder)
    finally:
        call("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)
