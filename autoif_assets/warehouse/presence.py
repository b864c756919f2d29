"""Runs that live: each holds a lock of the lake's catalog, which ends with its process."""

import threading
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self

from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.lake_connection import LakePlace, catalog_connection
from autoif_assets.warehouse.lake_locks import lock_key

_LOOK_S = 5.0
_HELD = """
SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND granted AND database = (
    SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Presence:
    """Tells all machines that something is alive, until it ends however it does.

    Where the catalog was away, it is told again as soon as that is back.

    Args:
        place: The lake.
        name: What is alive.
    """

    def __init__(self, place: LakePlace, name: str):
        self._place, self._name = place, name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def __enter__(self) -> Self:
        self._con = self._held()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _held(self) -> Any:
        con = catalog_connection(self._place, self._name)
        con.execute("SELECT pg_advisory_lock_shared(%s)", [lock_key(self._name)])
        return con

    def _run(self) -> None:
        import psycopg

        while not self._over.wait(_LOOK_S):
            try:
                if self._con.closed:
                    self._con = self._held()
                self._con.execute("SELECT 1")
            except (psycopg.Error, WarehouseError):
                self._con.close()
        self._con.close()


def absent(place: LakePlace, names: Collection[str]) -> set[str]:
    """Return those of some names that nobody holds.

    Raises:
        WarehouseError: The catalog does not answer.
    """
    with catalog_connection(place, "autoif presence") as con:
        held = {key for (key,) in con.execute(_HELD).fetchall()}
    return {name for name in names if lock_key(name) not in held}
