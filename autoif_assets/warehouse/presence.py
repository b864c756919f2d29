"""Runs that live: each holds a lock of the lake's catalog, which ends with its process."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from autoif_assets.warehouse.errors import WarehouseError
from autoif_assets.warehouse.lake_connection import LakePlace, catalog_connection
from autoif_assets.warehouse.lake_locks import lock_key

_LOOK_S = 5.0
_HELD = """
SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND granted AND database = (
    SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def present(place: LakePlace, name: str) -> Iterator[None]:
    """Tell all machines that something is alive, until it ends however it does.

    Where the catalog was away, it is told again as soon as that is back.

    Args:
        place: The lake.
        name: What is alive.
    """
    over, con = threading.Event(), _held(place, name)

    def keep(con: Any) -> None:
        import psycopg

        while not over.wait(_LOOK_S):
            try:
                if con.closed:
                    con = _held(place, name)
                con.execute("SELECT 1")
            except (psycopg.Error, WarehouseError):
                con.close()
        con.close()

    thread = threading.Thread(target=keep, args=(con,), name="presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _held(place: LakePlace, name: str) -> Any:
    con = catalog_connection(place, name)
    con.execute("SELECT pg_advisory_lock_shared(%s)", [lock_key(name)])
    return con


def absent(place: LakePlace, names: Collection[str]) -> set[str]:
    """Return those of some names that nobody holds.

    Raises:
        WarehouseError: The catalog does not answer.
    """
    with catalog_connection(place, "autoif presence") as con:
        held = {key for (key,) in con.execute(_HELD).fetchall()}
    return {name for name in names if lock_key(name) not in held}
