"""Dagster's own SQLite storage of runs and events, with connections that stay open.

The stock one opens its file, makes an engine and compiles each statement anew for every event. A
batch of any size stores some 600, which took a third of a small one's time. The files and what
is in them are the same: `dagster.yaml` may name the stock storage at any time.
"""

import atexit
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import dagster as dg
from dagster import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy import Connection, Engine, create_engine

from autoif_assets.automation.partitions import check_new_keys
from autoif_assets.automation.runs import first_words

_RUN_FAILURE = dg.DagsterEventType.RUN_FAILURE
# Each run has a file of its own: those looked at last stay open, not the thousands before them.
_OPEN_FILES = 16
_TEMPORARY = "_AUTOIF_TEMPORARY_HOME"


class PooledSqliteStorage(DagsterSqliteStorage):
    """What `dagster.yaml` names as the storage; its files are in the Dagster home."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        super().__init__(base_dir, inst_data)
        stock = self._event_log_storage
        self._event_log_storage = _EventLogStorage(stock._base_dir)
        self._run_storage = _RunStorage(self._run_storage._conn_string)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Take no configuration: where the home is, `dagster.yaml` cannot say."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        """Make it in the Dagster home, or for commands without one as Dagster does: for a while."""
        return cls.from_local(os.environ.get("DAGSTER_HOME") or _temporary(), inst_data)


def _temporary() -> str:
    """Return a folder that this process and those that it starts share, and that ends with it."""
    if _TEMPORARY not in os.environ:
        folder = os.environ[_TEMPORARY] = tempfile.mkdtemp(prefix="autoif-dagster-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return os.environ[_TEMPORARY]


def _engine(url: str) -> Engine:
    return create_engine(
        url, max_overflow=-1, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
    )


class _Engines:
    """The engines of the files that were used last."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, url: str) -> Engine:
        """Return the engine of a database, whose connections are shared by all threads."""
        with self._lock:
            engine = self._engines.pop(url, None) or _engine(url)
            self._engines[url] = engine
            if len(self._engines) > _OPEN_FILES:
                # A connection that a thread is using is closed when it is given back.
                self._engines.popitem(last=False)[1].dispose()
            return engine

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


class _EventLogStorage(SqliteEventLogStorage):
    def __init__(self, base_dir: str):
        self._engines = _Engines()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.of(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        # Without the lock: it is asked for while an event is being stored.
        with self._engines.of(self.conn_string_for_shard(INDEX_SHARD_NAME)).connect() as connection:
            return connection.dialect.has_table(connection, table_name)

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(_reason_first(event))

    def add_dynamic_partitions(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> None:
        # Here, for the UI adds them without asking any code of ours.
        known = self.get_dynamic_partitions(partitions_def_name)
        check_new_keys(partitions_def_name, partition_keys, known)
        super().add_dynamic_partitions(partitions_def_name, partition_keys)

    def wipe(self) -> None:
        self._engines.close()  # before their files are deleted
        super().wipe()

    def dispose(self) -> None:
        self._engines.close()
        super().dispose()


def _reason_first(entry: EventLogEntry) -> EventLogEntry:
    """Return the failure of a step or a run with its reason before Dagster's words.

    Dagster says only which steps failed, and has the reason in an error within an error, which
    lists of runs and the first lines of a page do not show.
    """
    event = entry.dagster_event
    if event is None or not (event.is_step_failure or event.event_type == _RUN_FAILURE):
        return entry
    error: SerializableErrorInfo | None
    if event.is_step_failure:
        error = event.step_failure_data.error
    else:
        error = getattr(event.event_specific_data, "error", None)
    if error is None:
        return entry
    words = f"{first_words(error)} ({event.message})" if event.message else first_words(error)
    return entry._replace(user_message=words, dagster_event=event._replace(message=words))


class _RunStorage(SqliteRunStorage):
    def __init__(self, conn_string: str):
        self._engine = _engine(conn_string)  # one file for all runs
        super().__init__(conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()
        super().dispose()
