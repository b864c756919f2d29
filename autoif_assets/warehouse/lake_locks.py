"""Locks that all machines of a lake see: PostgreSQL's advisory locks, gone with their holder."""

import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from autoif_assets.warehouse.errors import WarehouseError, WarehouseLocked
from autoif_assets.warehouse.lake_connection import LakePlace, catalog_connection

_QUIET_S = 1.0  # waiting is told from then on
_HOLDERS = """
SELECT application_name, client_addr FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND database = (
    SELECT oid FROM pg_database WHERE datname = current_database()
) AND (classid::bigint << 32) | objid::bigint = %s LIMIT 1
"""


class Locks:
    """Locks of one session of PostgreSQL."""

    def __init__(self, con: Any, purpose: str, timeout_s: float, log: Callable[[str], None]):
        self._con = con
        self._purpose = purpose
        self._log = log
        self._end = time.monotonic() + timeout_s
        self._timeout_s = timeout_s

    def take(self, name: str, *, shared: bool = False) -> None:
        """Wait for a lock, in the order in which others came for it.

        Raises:
            WarehouseLocked: It was not free in time.
        """
        left = max(0.0, self._end - time.monotonic())
        if left > _QUIET_S:
            if self._take(name, shared, _QUIET_S):
                return
            self._log(f"Waiting to start {self._purpose}: {name} is held by {self._holder(name)}.")
            left -= _QUIET_S
        if not self._take(name, shared, left):
            raise WarehouseLocked(
                f"Gave up {self._purpose} after {self._timeout_s:.0f} s: {name} is held by "
                f"{self._holder(name)}. If that process hangs, end it; the lock goes with it. The "
                "waiting time is the warehouse's lock_timeout_s."
            )

    def check(self) -> None:
        """Make sure that the locks are still held, as they are not where the session was lost.

        Raises:
            WarehouseError: They are not; what they were to guard must not be stored.
        """
        import psycopg

        try:
            self._con.execute("SELECT 1")
        except psycopg.Error as error:
            raise WarehouseError(
                f"The session that held the locks for {self._purpose} was lost "
                f"({' '.join(str(error).split())}), so nothing was stored. Run the step again."
            ) from error

    def _take(self, name: str, shared: bool, timeout_s: float) -> bool:
        import psycopg

        milliseconds = max(1, round(timeout_s * 1000))  # 0 would wait for ever
        self._con.execute(f"SET lock_timeout = {milliseconds}")
        function = "pg_advisory_lock_shared" if shared else "pg_advisory_lock"
        try:
            self._con.execute(f"SELECT {function}(%s)", [lock_key(name)])
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def _holder(self, name: str) -> str:
        found = self._con.execute(_HOLDERS, [lock_key(name)]).fetchone()
        if found is None:
            return "nobody any more"
        return f"{found[0]} at {found[1]}" if found[1] else str(found[0])


@contextmanager
def lake_locks(
    place: LakePlace,
    purpose: str,
    timeout_s: float,
    log: Callable[[str], None],
    shared: Sequence[str] = (),
    own: Sequence[str] = (),
) -> Iterator[Locks]:
    """Hold locks in a session of its own, which ends with the process whatever ends that.

    Args:
        place: The lake.
        purpose: What others are told that they wait for.
        timeout_s: Seconds to wait in all.
        log: Told in a sentence what is being waited for.
        shared: Names of locks that may be held by several; taken first.
        own: Names of locks for one alone, in the order in which to take them.
    """
    import psycopg

    con = catalog_connection(place, f"{socket.gethostname()[:20]} {os.getpid()} {purpose}")
    try:
        locks = Locks(con, purpose, timeout_s, log)
        try:
            for name in shared:
                locks.take(name, shared=True)
            for name in own:
                locks.take(name)
        except psycopg.Error as error:
            raise WarehouseError(
                f"Failed at {purpose}: the catalog {place.catalog} gave no lock "
                f"({' '.join(str(error).split())}). Nothing was stored; run the step again."
            ) from error
        yield locks
    finally:
        con.close()


def lock_key(name: str) -> int:
    """Return the number by which PostgreSQL knows a lock."""
    digest = hashlib.blake2b(f"autoif {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
