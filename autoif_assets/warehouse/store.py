"""The warehouse: slices replaced in one transaction, read back, and published."""

import functools
import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.warehouse.database import Connections, Database
from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.objects import Objects
from autoif_assets.warehouse.publishing import (
    copy_database,
    export_tables,
    is_current,
    open_published,
    pause_s,
)
from autoif_assets.warehouse.reading import (
    Rows,
    bounds,
    declared_table,
    read_part,
    select,
    selected_schema,
    spool,
    write_parts,
)
from autoif_assets.warehouse.schema import (
    SCHEMA,
    Partition,
    Table,
    as_declared,
    condition,
    in_words,
    polars_schema,
    slices_to_read,
    slices_to_write,
)
from autoif_assets.warehouse.sql import execute, transaction
from autoif_assets.warehouse.writing import conform, insert_files, insert_frame

_LOG = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 600.0
"""Seconds to wait for other processes that use the database, where nobody says otherwise."""


class Warehouse:
    """The tables of a data folder.

    The pipeline reads and writes ``pipeline.duckdb``. Each operation takes the lock beside it,
    opens DuckDB, runs one transaction and closes again, so that processes and threads take
    turns. Everybody else opens ``warehouse.duckdb``, the copy that ``publish`` replaces.

    Args:
        data_dir: Folder of the files; made when something is first written.
        lock_timeout_s: Seconds to wait for other processes before giving up.
        log: Told in a sentence what is being waited for, upgraded or published.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        log: Callable[[str], None] = _LOG.info,
    ):
        self.data_dir = Path(data_dir)
        self.path = self.data_dir / "pipeline.duckdb"
        self.published_path = self.data_dir / "warehouse.duckdb"
        self._log = log
        self._database: Connections = Database(self.path, lock_timeout_s, log, self.check_not_lost)

    @property
    def exists(self) -> bool:
        """Whether there are tables yet."""
        return self.path.exists()

    @property
    def where(self) -> str:
        """Where the pipeline's tables are, for people."""
        return str(self.path)

    @property
    def for_readers(self) -> str:
        """Where people read the tables, for people."""
        return str(self.published_path)

    @property
    def objects(self) -> Objects | None:
        """The files beside the tables that all machines have; None where there is one machine."""
        return None

    def turn(self, name: str) -> AbstractContextManager[object]:
        """Keep all others, of other machines too, from what has this name, until the end."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()  # a name may be long
        return self._database.lock(f".turn-{digest}.lock", name)

    def presence(self, run: str) -> AbstractContextManager[object]:
        """Tell other machines, where there are any, that a run is alive as long as it is."""
        return nullcontext()

    def absent(self, runs: Collection[str]) -> set[str]:
        """Return the runs among some that told that they are alive and are not."""
        return set()

    def write(
        self,
        table: str,
        frame: pl.DataFrame,
        partition: Partition | None = None,
        *,
        partitions: Sequence[Partition] = (),
    ) -> int:
        """Replace one slice of a table, or several at once, in one transaction.

        Args:
            table: Name of a declared table.
            frame: All rows the slices shall hold; none empties them. Columns in any order.
            partition: Value of each partition column of the one slice, such as
                ``{"batch": "b1"}``. A table without partition columns takes none and is
                replaced as a whole.
            partitions: The same for several slices.

        Returns:
            The number of rows written.

        Raises:
            SchemaMismatch: the frame does not fit the declared table; nothing was written.
            WarehouseLocked: another process kept the database too long; nothing was written.
            WarehouseError: the disk is full or not writable; the slices are as before.
        """
        declared = declared_table(table)
        slices = slices_to_write(declared, partition, partitions)
        # Before the lock is taken: others may write while this frame is checked.
        rows = conform(declared, frame, slices)
        self._replace(declared, slices, lambda con: insert_frame(con, declared, rows))
        return rows.height

    def write_frames(
        self,
        table: str,
        frames: Iterable[pl.DataFrame],
        partition: Partition | None = None,
        *,
        partitions: Sequence[Partition] = (),
    ) -> int:
        """Like ``write``, for more rows than fit into memory.

        The frames wait in Parquet files beside the database until the last has come; only
        then is the lock taken, and the slices are replaced in one transaction.
        """
        declared = declared_table(table)
        slices = slices_to_write(declared, partition, partitions)
        rows = 0
        with self._spool(f"writing {table}") as folder:
            # The frames come as fast as models answer; the database is nobody's meanwhile.
            for number, frame in enumerate(frames):
                part = conform(declared, frame, slices)
                rows += part.height
                part.write_parquet(folder / f"{number:06}.parquet", compression="lz4")

            def insert(con: duckdb.DuckDBPyConnection) -> None:
                if rows:
                    insert_files(con, declared, folder, slices)

            self._replace(declared, slices, insert)
        return rows

    def read(
        self,
        table: str,
        partition: Partition | None = None,
        *,
        partitions: Sequence[Partition] | None = None,
        columns: Sequence[str] | None = None,
        where_status: str | None = None,
    ) -> pl.DataFrame:
        """Return rows with the declared types, in the order of the table's key.

        Args:
            table: Name of a declared table.
            partition: Value of some partition columns; only matching rows are read.
            partitions: The same several times; rows that match any. None reads all.
            columns: The columns wanted, in this order; the others are not read.
            where_status: ``"accepted"`` or ``"rejected"`` rows only.
        """
        declared = declared_table(table)
        slices = slices_to_read(declared, partition, partitions)
        schema = selected_schema(declared, columns)
        sql, values = select(declared, schema, slices, where_status)
        # DuckDB returns rows in any order otherwise, and in another one each time.
        sql += f" ORDER BY {', '.join(declared.key)}"
        frame = self._fetch(sql, values, f"reading {table}{in_words(slices)}")
        return schema.to_frame() if frame is None else frame.select(as_declared(schema))

    def read_parts(
        self, *wanted: Rows, on: str, rows: int = 50_000
    ) -> Iterator[tuple[pl.DataFrame, ...]]:
        """Yield rows of one or several tables part by part, for more than fit into memory.

        A part is a range of the values of one column, and holds the rows of each table in that
        range, as ``read`` would return them; so what equal values belong to is in one part, and
        the parts ascend. The rows are copied aside first: the database is not held meanwhile,
        and a slice replaced in between does not show.

        Args:
            wanted: The rows; each table has the column ``on``.
            on: A column without nulls, such as ``instruction_id``.
            rows: Rows of the largest table in a part, on average.

        Yields:
            One frame for each of ``wanted``. At least one part, of empty frames if need be.
        """
        tables = [declared_table(one.table) for one in wanted]
        schemas = [
            selected_schema(table, one.columns) for table, one in zip(tables, wanted, strict=True)
        ]
        if not self.exists:
            yield tuple(schema.to_frame() for schema in schemas)
            return
        queries = [
            select(
                table,
                selected_schema(table, list(dict.fromkeys((*schema, on, *table.key)))),
                slices_to_read(table, None, one.partitions),
                one.status,
            )
            for table, schema, one in zip(tables, schemas, wanted, strict=True)
        ]
        purpose = f"reading {', '.join(one.table for one in wanted)} in parts"
        with self._spool(purpose) as folder:
            # One pass over the database for all tables, so that their parts fit together.
            with self._database.connection(purpose) as con, transaction(con):
                counts = [
                    con.execute(f"SELECT count(*) FROM ({sql})", values).fetchall()[0][0]
                    for sql, values in queries
                ]
                # The largest table says where to cut; the others are cut at the same values.
                largest = queries[counts.index(max(counts))]
                cuts = bounds(con, *largest, on, max(1, round(max(counts) / rows)))
                for number, query in enumerate(queries):
                    write_parts(con, *query, on, cuts, folder / str(number))
            for part in range(len(cuts) + 1):
                yield tuple(
                    read_part(folder / str(number), part, polars_schema(table))
                    .sort(table.key)
                    .select(as_declared(schema))
                    for number, (table, schema) in enumerate(zip(tables, schemas, strict=True))
                )

    def holds(self, wanted: Rows, column: str) -> bool:
        """Return whether any of the rows has a value in a column."""
        table = declared_table(wanted.table)
        slices = slices_to_read(table, None, wanted.partitions)
        schema = selected_schema(table, [column])
        sql, values = select(table, schema, slices, wanted.status)
        held = f'SELECT count("{column}") > 0 FROM ({sql})'
        found = self._fetch(held, values, f"looking for a {column} in {wanted.table}")
        return found is not None and bool(found.item())

    def query(
        self, sql: str, params: Sequence[object] | Mapping[str, object] | None = None
    ) -> pl.DataFrame:
        """Return the result of a query that reads, on the pipeline's own database.

        Args:
            sql: A SELECT; tables are named with their schema, such as ``autoif.responses``.
            params: Values for ``?`` (a sequence) or ``$name`` (a mapping).

        Raises:
            WarehouseError: there is no database yet.
        """
        frame = self._fetch(sql, params, "a query")
        if frame is None:
            raise WarehouseError(
                f"There is no database {self.where} yet: materialize an asset first."
            )
        return frame

    @contextmanager
    def reading(self) -> Iterator[Callable[..., pl.DataFrame]]:
        """Hold the database for several queries that follow each other at once.

        Yields:
            What `query` is, in one transaction that reads. A database that is not there is made.
        """
        with self._database.connection("several queries") as con, transaction(con, "READ ONLY"):
            yield functools.partial(_rows, con)

    @contextmanager
    def transaction(
        self, purpose: str, tables: Collection[str] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the open database, locked and migrated, for one transaction.

        It is committed at the end, and rolled back where the code in the ``with`` block fails.

        Args:
            purpose: What others are told that they wait for, such as ``writing responses``.
            tables: All that it changes, where it is known: in a lake others write meanwhile.

        Raises:
            WarehouseLocked: another process kept the database too long.
            WarehouseError: the disk is full or not writable; nothing was stored.
        """
        with self._database.connection(purpose, writes=True) as con, transaction(con):
            yield con

    def migrate(self) -> None:
        """Make the database, or bring it to this version's tables and views."""
        with self._database.connection("migrating"):
            pass

    def publish(self, every_s_per_gb: float = 0.0) -> bool:
        """Replace the copy that everybody else reads by the database as it is now.

        Readers of the old copy keep it until they open the file again. Nothing is done where
        the copy is current or there is no database yet.

        Args:
            every_s_per_gb: Wait first, so that copies follow each other no faster than this many
                seconds for each gigabyte; whoever publishes in the meantime waits for the same
                copy. Not where the file system has reflinks, which make copies free.

        Returns:
            Whether a new copy was made.

        Raises:
            WarehouseError: the disk is full or not writable; the old copy is still there.
        """
        if not self.path.exists():
            return False
        wal = self.path.with_name(self.path.name + ".wal")
        lock = self._database.lock
        with self._database.reporting("publishing"), lock("publish.lock", "publishing"):
            # Whoever waited for another publisher finds a current copy, and is done.
            with lock("pipeline.lock", "looking for changes to publish"):
                if is_current(self.path, self.published_path) and not wal.exists():
                    return False
            if pause := pause_s(self.published_path, every_s_per_gb):
                self._log(f"Publishing in {pause:.1f} s: {self.published_path} is quite new.")
                time.sleep(pause)
            # Opening and closing moves what a killed writer left in its log into the file.
            self.migrate()
            start = time.monotonic()
            with lock("pipeline.lock", "copying the database to publish it"):
                copied = copy_database(self.path, self.published_path)
            # Flushing to disk takes longest, and runs need not wait for it.
            size = copied.commit()
            self._log(
                f"Published {self.published_path} ({size / 1e6:.1f} MB) in "
                f"{time.monotonic() - start:.2f} s."
            )
        return True

    def export_parquet(
        self, folder: Path | str, batches: Collection[str] | None = None
    ) -> dict[str, int]:
        """Publish, then write every table to ``folder/TABLE/BATCH.parquet``.

        Args:
            folder: Made if it is not there. Other files in it stay.
            batches: Only these; None for all.

        Returns:
            Number of rows by table.

        Raises:
            WarehouseError: there is no database or no such batch, or the disk is full or not
                writable.
        """
        self.publish()
        if not self.published_path.exists():
            raise WarehouseError(f"Nothing to export: {self.path} does not exist yet.")
        with (
            self._database.reporting("exporting Parquet files", Path(folder)),
            self.reader() as con,
        ):
            return export_tables(con, Path(folder), batches)

    def reader(self, at: datetime | None = None) -> duckdb.DuckDBPyConnection:
        """Open what everybody else reads; only as long as it is asked, for runs replace it.

        Args:
            at: As of when; a lake alone remembers what was.

        Raises:
            WarehouseError: There are no tables yet, or a time was asked for.
        """
        if at is not None:
            raise WarehouseError(
                f"{self.published_path} holds the tables as they are: only a lake "
                "(AUTOIF_STORAGE=lake) is read as of a time."
            )
        if not self.published_path.is_file():
            raise WarehouseError(
                f"There are no tables in {self.data_dir} yet: run a batch, or name the folder "
                "(AUTOIF_DATA, or data=… in Python)."
            )
        return open_published(self.published_path)

    def copy_to(self, folder: Path) -> None:
        """Put the tables into another data folder, which is empty, as its own database.

        Raises:
            WarehouseError: There are no tables yet, or the disk is full or not writable.
        """
        self.publish()
        with self._database.reporting("copying the database", folder):
            copy_database(self.published_path, folder / self.path.name).commit()

    def check_not_lost(self) -> None:
        """Make sure that there is a database where there is a published copy of one.

        Raises:
            WarehouseError: There is only the copy.
        """
        if self.published_path.exists() and not self.path.exists():
            raise WarehouseError(
                f"{self.path} is gone, but {self.published_path}, the copy of it for readers, is "
                "there. `autoif restore` makes the database from that copy. To begin without its "
                "rows, move the copy to another folder first."
            )

    def restore(self) -> datetime:
        """Make the published copy the database again.

        Returns:
            Of when the rows are, which is when the database was last written before it was copied.

        Raises:
            WarehouseError: There is no copy, or a database is there already.
        """
        with (
            self._database.reporting("restoring the database"),
            self._database.lock("publish.lock", "restoring the database"),
            self._database.lock("pipeline.lock", "restoring the database"),
        ):
            if not self.published_path.exists():
                raise WarehouseError(f"There is no copy to restore from: {self.published_path}.")
            if self.path.exists():
                raise WarehouseError(
                    f"{self.path} is there, so nothing is restored. To go back to the published "
                    "copy all the same, stop all runs and move that file away first."
                )
            copy_database(self.published_path, self.path).commit()
            written = self.published_path.stat().st_mtime
        return datetime.fromtimestamp(written, UTC)

    def _replace(
        self,
        table: Table,
        slices: Sequence[Partition],
        insert: Callable[[duckdb.DuckDBPyConnection], None],
    ) -> None:
        """Empty the slices and insert, in one transaction."""
        purpose = f"writing {table.name}{in_words(slices)}"
        where, values = condition(slices if table.partitions else None)
        with self.transaction(purpose) as con:
            execute(con, f"DELETE FROM {SCHEMA}.{table.name} WHERE {where}", values)
            insert(con)

    @contextmanager
    def _spool(self, purpose: str) -> Iterator[Path]:
        with self._database.reporting(purpose):
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock = self._database.lock("pipeline.lock", purpose)
            with spool(self.data_dir, lock) as folder:
                yield folder

    def _fetch(
        self, sql: str, params: Sequence[object] | Mapping[str, object] | None, purpose: str
    ) -> pl.DataFrame | None:
        """Return the result, or None where there is no database."""
        if not self.exists:
            return None
        # Read-only by the transaction: the connection has put nothing aside for one that writes.
        with self._database.connection(purpose) as con, transaction(con, "READ ONLY"):
            return _rows(con, sql, params)


def _rows(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    params: Sequence[object] | Mapping[str, object] | None = None,
) -> pl.DataFrame:
    relation = con.sql(sql, params=params)
    if relation is None:
        raise ValueError(f"Not a query that returns rows: {sql}")
    # By way of pyarrow: handing over the relation itself works too, but then DuckDB 2.0 prints
    # forty lines about leaked references when the process ends.
    return pl.DataFrame(relation.to_arrow_table())
