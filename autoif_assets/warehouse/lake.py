"""The warehouse as a lake: Parquet files on shared storage, and their catalog in PostgreSQL.

DuckLake keeps the tables; what is here is how it is opened, who waits for whom, and what is tried
again. It needs the extra ``lake``.
"""

import json
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from autoif_assets.warehouse.database import file_lock
from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.lake_connection import (
    INLINED_ROWS,
    LakePlace,
    attached,
    drop_engine,
    engine,
    is_conflict,
    is_there,
    reporting,
)
from autoif_assets.warehouse.lake_locks import Locks, lake_locks
from autoif_assets.warehouse.migrations import migrate, needs_migration
from autoif_assets.warehouse.objects import Objects
from autoif_assets.warehouse.presence import absent, present
from autoif_assets.warehouse.publishing import export_tables
from autoif_assets.warehouse.schema import (
    SCHEMA,
    Partition,
    Table,
    condition,
    create_table,
    in_words,
)
from autoif_assets.warehouse.sql import execute, transaction
from autoif_assets.warehouse.store import LOCK_TIMEOUT_S, Warehouse
from autoif_assets.warehouse.tables import TABLES

_LOG = logging.getLogger(__name__)

LAKE = "the lake"
"""The lock of the lake as a whole: shared by who writes slices, one's own to change all of it."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0


class LakeDatabase:
    """A lake that is opened for one operation at a time; stands where a database file would.

    Args:
        place: Where the lake is.
        folder: Folder of this machine for files in transit.
        lock_timeout_s: Seconds to wait for other processes before giving up.
        log: Told in a sentence what is being waited for, tried again or upgraded.
    """

    def __init__(
        self, place: LakePlace, folder: Path, lock_timeout_s: float, log: Callable[[str], None]
    ):
        self.place = place
        self._folder = folder
        self._lock_timeout_s = lock_timeout_s
        self._log = log

    def lock(self, name: str, purpose: str) -> AbstractContextManager[None]:
        """Return a lock of this machine's folder of files in transit."""
        path = self._folder / "transit.lock"
        return file_lock(path, purpose, self._lock_timeout_s, self._log)

    def reporting(self, purpose: str, folder: Path | None = None) -> AbstractContextManager[None]:
        """Turn errors of the catalog, the storage and the disk into sentences."""
        return reporting(self.place, purpose, folder or self._folder)

    def locks(
        self, purpose: str, *, shared: Sequence[str] = (), own: Sequence[str] = ()
    ) -> AbstractContextManager[Locks]:
        """Hold locks that every machine sees, until the end or until this process is gone."""
        return lake_locks(self.place, purpose, self._lock_timeout_s, self._log, shared, own)

    @contextmanager
    def connection(
        self, purpose: str, writes: bool = False, inline: bool = True
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the open lake, with this version's tables, for one operation.

        Whoever ``writes`` has called ``prepare`` before it took its locks. Without ``inline`` few
        rows get a file, too.
        """
        if not writes:
            self.prepare(purpose)
        with self.reporting(purpose), self._cursor(inline) as con:
            yield con

    def prepare(self, purpose: str) -> None:
        """Make the lake, or bring it to this version's tables; call it without a lock."""
        with self.reporting(purpose):
            if is_there(self.place):
                with self._cursor() as con:
                    if not needs_migration(con, str(self.place)):
                        return
            with self.locks("upgrading the lake", own=[LAKE]), self._cursor() as con:
                new = "\n".join(map(create_table, TABLES.values()))
                migrate(con, str(self.place), self._log, adapt=without_not_null, new=new)

    def retrying(self, purpose: str, attempt: Callable[[bool], None]) -> None:
        """Run a whole transaction, again while others' changes get in its way.

        It is told whether few rows may go into the catalog. PostgreSQL refuses those with a NUL
        character in a list; a file takes them.
        """
        inline = True
        end, pause = time.monotonic() + self._lock_timeout_s, _FIRST_PAUSE_S
        while True:
            try:
                return attempt(inline)
            except duckdb.Error as error:
                if inline and "ducklake_inlined_data" in str(error) and not is_conflict(error):
                    inline = False
                    continue
                if not is_conflict(error) or time.monotonic() > end:
                    raise
                words = str(error).partition("\n")[0]
            except RuntimeError as error:
                # What DuckDB's extensions throw and DuckDB has no class for.
                if type(error) is not RuntimeError:
                    raise
                drop_engine()
                raise WarehouseError(
                    f"Failed at {purpose}: {error}. Nothing was stored; run the step again."
                ) from error
            self._log(f"Trying {purpose} again: another writer was faster ({words}).")
            # Not all at the same moments.
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    @contextmanager
    def _cursor(self, inline: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        con = engine(self.place, self._folder, INLINED_ROWS if inline else 0).cursor()
        try:
            execute(con, "USE lake")
            yield con
        except duckdb.Error as error:
            # A lost catalog or a broken extension is not mended by the same connection.
            if not is_conflict(error):
                drop_engine()
            raise
        finally:
            con.close()


class LakeWarehouse(Warehouse):
    """The tables of a lake: what ``Warehouse`` does, by many machines at once.

    Readers take no lock. Who makes a new slice waits for nobody but who makes the same one; who
    replaces a slice waits for who replaces slices of the same table.

    Args:
        place: Where the lake is.
        data_dir: Folder of this machine, for files in transit.
        lock_timeout_s: Seconds to wait for other processes before giving up.
        log: Told in a sentence what is being waited for, tried again or upgraded.
    """

    def __init__(
        self,
        place: LakePlace,
        data_dir: Path | str,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        log: Callable[[str], None] = _LOG.info,
    ):
        super().__init__(data_dir, lock_timeout_s=lock_timeout_s, log=log)
        self.place = place
        self.lake = LakeDatabase(place, self.data_dir, lock_timeout_s, self._log)
        self._database = self.lake

    @property
    def exists(self) -> bool:
        """Whether the lake has tables yet."""
        with self.lake.reporting("looking for the lake"):
            return is_there(self.place)

    @property
    def where(self) -> str:
        """Where the pipeline's tables are, for people."""
        return str(self.place)

    @property
    def for_readers(self) -> str:
        """Where people read the tables, for people."""
        return f"{self.place}; ask with `autoif sql`"

    @property
    def objects(self) -> Objects:
        """The files beside the tables, in the storage of the lake."""
        return Objects(self.place)

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Keep all others, of other machines too, from what has this name, until the end.

        Raises:
            WarehouseError: Others may have had their turn meanwhile: the lock was lost.
        """
        with self.lake.locks(name, own=[f"turn {name}"]) as locks:
            yield
            locks.check()

    def presence(self, run: str) -> AbstractContextManager[object]:
        """Tell other machines that a run is alive as long as it is."""
        return present(self.place, f"run {run}")

    def absent(self, runs: Collection[str]) -> set[str]:
        """Return the runs among some that told that they are alive and are not."""
        return {
            name.removeprefix("run ") for name in absent(self.place, [f"run {r}" for r in runs])
        }

    @contextmanager
    def transaction(
        self, purpose: str, tables: Collection[str] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the open lake, locked and migrated, for one transaction; see ``Warehouse``.

        Where the tables that it writes are not named, nobody else writes meanwhile.
        """
        own = [LAKE] if tables is None else [f"table {name}" for name in sorted(tables)]
        shared = [] if tables is None else [LAKE]
        self.lake.prepare(purpose)
        with (
            self.lake.locks(purpose, shared=shared, own=own) as locks,
            self.lake.connection(purpose, writes=True) as con,
            transaction(con),
        ):
            yield con
            locks.check()

    def publish(self, every_s_per_gb: float = 0.0) -> bool:
        """Do nothing: readers open the lake itself."""
        return False

    def reader(self, at: datetime | None = None) -> duckdb.DuckDBPyConnection:
        """Open the lake to read it, as it is or as it was at a time.

        Raises:
            WarehouseError: It has no tables, or had none then.
        """
        if not self.exists:
            raise WarehouseError(
                f"There are no tables in {self.place} yet: run a batch, or look at the settings."
            )
        with self.lake.reporting("opening the lake"):
            return attached(self.place, self.data_dir, at=at, read_only=True)

    def export_parquet(
        self, folder: Path | str, batches: Collection[str] | None = None
    ) -> dict[str, int]:
        """Write every table to ``folder/TABLE/BATCH.parquet``; see ``Warehouse``."""
        with (
            self.lake.reporting("exporting Parquet files", Path(folder)),
            self.reader() as con,
            transaction(con),
        ):
            return export_tables(con, Path(folder), batches)

    def copy_to(self, folder: Path) -> None:
        """Put the tables into another data folder as a database file; see ``Warehouse``."""
        # Who moves tables knows both kinds of storage.
        from autoif_assets.warehouse.moving import to_file

        to_file(self, folder, self._log)

    def check_not_lost(self) -> None:
        """Do nothing: the lake has no copy that could be all that is left."""

    def restore(self) -> datetime:
        """Refuse: the lake has no copy.

        Raises:
            WarehouseError: Always.
        """
        raise WarehouseError(
            f"{self.place} has no published copy to restore from. Restore PostgreSQL's backup of "
            "the catalog; older snapshots are read with `autoif sql --at TIME`."
        )

    def _replace(
        self,
        table: Table,
        slices: Sequence[Partition],
        insert: Callable[[duckdb.DuckDBPyConnection], None],
    ) -> None:
        purpose = f"writing {table.name}{in_words(slices)}"
        where, values = condition(slices if table.partitions else None)
        held = f"SELECT 1 FROM {SCHEMA}.{table.name} WHERE {where} LIMIT 1"
        # In one order, so that two writers of the same slices do not wait for each other.
        own = sorted(
            {f"slice {table.name} {json.dumps(dict(one), sort_keys=True)}" for one in slices}
        )

        def attempt(inline: bool) -> None:
            self.lake.prepare(purpose)
            with self.lake.locks(purpose, shared=[LAKE], own=own) as locks:
                with self.lake.connection(purpose, writes=True) as con:
                    replaces = not table.partitions or con.execute(held, values).fetchall()
                # New slices of a table never meet; deletions from its files do.
                if replaces:
                    locks.take(f"table {table.name}")
                opened = self.lake.connection(purpose, writes=True, inline=inline)
                with opened as con, transaction(con):
                    execute(con, f"DELETE FROM {SCHEMA}.{table.name} WHERE {where}", values)
                    insert(con)
                    locks.check()

        self.lake.retrying(purpose, attempt)


def without_not_null(sql: str) -> str:
    """Return a migration as a lake takes it.

    A lake refuses NOT NULL for a column that the same transaction has added. Rows are checked when
    they are written, whatever the table says.
    """
    return "\n".join(line for line in sql.split("\n") if not line.endswith(" SET NOT NULL;"))
