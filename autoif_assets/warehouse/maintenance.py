"""What a lake needs now and then: larger files, and an end to what nobody reads any more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from autoif_assets.warehouse.lake import LAKE, LakeWarehouse
from autoif_assets.warehouse.lake_connection import catalog_connection
from autoif_assets.warehouse.objects import BESIDE
from autoif_assets.warehouse.schema import SCHEMA
from autoif_assets.warehouse.sql import literal

# Of what a table holds that is deleted already; then its file is written anew.
_DELETED = 0.5
_OURS = f"""
ducklake_table t JOIN ducklake_schema s USING (schema_id)
WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL AND s.schema_name = {literal(SCHEMA)}
"""
# Tables of several files, or with rows that are deleted and still in a file.
_SCATTERED = f"""
SELECT t.table_name FROM {_OURS} AND (
    (SELECT count(*) FROM ducklake_data_file f
        WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL) > 1
    OR EXISTS (SELECT 1 FROM ducklake_delete_file d
        WHERE d.table_id = t.table_id AND d.end_snapshot IS NULL)
)
"""
# The tables of PostgreSQL in which rows of tables are until they get a file.
_INLINED = f"""
SELECT o.table_name, i.table_name FROM ducklake_inlined_data_tables i
JOIN (SELECT t.table_id, t.table_name FROM {_OURS}) o USING (table_id)
"""
_STEPS = ("inlined", "rewritten", "merged")


@dataclass
class Maintained:
    """What was done.

    Attributes:
        inlined: Rows that were in the catalog and are in files now.
        rewritten: Files that were written anew without the rows deleted from them.
        merged: Files that are parts of larger ones now.
        snapshots: Snapshots that are no longer there to be read.
        removed: Files that no snapshot names, deleted.
        orphans: Files that no transaction ever finished with, deleted.
    """

    inlined: int = 0
    rewritten: int = 0
    merged: int = 0
    snapshots: int = 0
    removed: int = 0
    orphans: int = 0

    def in_words(self) -> str:
        """Return it as a sentence."""
        return (
            f"Maintained: {self.inlined} rows moved from the catalog into files, {self.rewritten} "
            f"files written anew, {self.merged} merged; {self.snapshots} snapshots forgotten, "
            f"{self.removed} files and {self.orphans} orphans deleted."
        )


def maintain(
    lake: LakeWarehouse, keep_days: float, grace_hours: float, log: Callable[[str], None]
) -> Maintained:
    """Merge small files, forget old snapshots and delete files that nobody needs.

    Writers of new slices go on meanwhile; who replaces a slice waits for the table at hand.

    Args:
        lake: The lake.
        keep_days: Days of which snapshots are kept for ``autoif sql --at``.
        grace_hours: Files are deleted this long after nobody needs them: a query that began
            before may read them still, and a transaction may be about to commit them.
        log: Told what is done, table by table.

    Raises:
        WarehouseError: Catalog or storage do not answer; what was done until then is done.
    """
    done, now = Maintained(), datetime.now(UTC)
    if not lake.exists:
        return done
    lake.migrate()
    for table in _tables(lake):
        _compact(lake, table, done, log)
    purpose = "forgetting old snapshots"
    kept = _literal(now - timedelta(days=keep_days))
    grace = _literal(now - timedelta(hours=grace_hours))
    calls = {
        "snapshots": f"ducklake_expire_snapshots('lake', older_than => {kept})",
        "removed": f"ducklake_cleanup_old_files('lake', older_than => {grace})",
    }
    # One at a time on all machines; nobody who reads or writes waits for it.
    with lake.lake.locks(purpose, own=["maintenance"]):
        for name, call in calls.items():
            with lake.lake.connection(purpose, writes=True) as con:
                found = con.execute(f"SELECT count(*) FROM {call}").fetchall()
            setattr(done, name, found[0][0])
        done.orphans = _delete_orphans(lake, grace, purpose)
    return done


def _delete_orphans(lake: LakeWarehouse, grace: str, purpose: str) -> int:
    """Delete files of tables that no transaction finished with; DuckLake knows no others."""
    call = f"ducklake_delete_orphaned_files('lake', older_than => {grace}, dry_run => true)"
    with lake.lake.connection(purpose, writes=True) as con:
        found = con.execute(f"SELECT path FROM {call}").fetchall()
    keys = [path.removeprefix(lake.place.folder) for (path,) in found]
    orphans = [key for key in keys if key.partition("/")[0] not in BESIDE]
    with lake.lake.reporting(purpose):
        lake.objects.delete(orphans)
    return len(orphans)


def _tables(lake: LakeWarehouse) -> list[str]:
    """Return the tables with something to do, which the catalog tells without their files."""
    with catalog_connection(lake.place, "autoif maintenance") as con:
        found = {name for (name,) in con.execute(_SCATTERED).fetchall()}
        for name, rows in con.execute(_INLINED).fetchall():
            if con.execute(f'SELECT 1 FROM "{rows}" LIMIT 1').fetchone():
                found.add(name)
    return sorted(found)


def _compact(lake: LakeWarehouse, table: str, done: Maintained, log: Callable[[str], None]) -> None:
    purpose = f"merging the files of {table}"
    named = f"'lake', {literal(table)}, schema => {literal(SCHEMA)}"
    calls = {
        "inlined": (
            "coalesce(sum(rows_flushed), 0)",
            f"ducklake_flush_inlined_data('lake', schema_name => {literal(SCHEMA)}, "
            f"table_name => {literal(table)})",
        ),
        "rewritten": (
            "coalesce(sum(files_processed), 0)",
            f"ducklake_rewrite_data_files({named}, delete_threshold => {_DELETED})",
        ),
        "merged": (
            "coalesce(sum(files_processed), 0)",
            f"ducklake_merge_adjacent_files({named})",
        ),
    }
    found = dict.fromkeys(_STEPS, 0)

    def attempt(_: bool) -> None:
        with lake.lake.locks(purpose, shared=[LAKE], own=[f"table {table}"]):
            for step, (count, call) in calls.items():
                with lake.lake.connection(purpose, writes=True) as con:
                    found[step] += con.execute(f"SELECT {count} FROM {call}").fetchall()[0][0]

    lake.lake.retrying(purpose, attempt)
    if any(found.values()):
        log(
            f"{table}: {found['inlined']} rows moved from the catalog into files, "
            f"{found['rewritten']} files written anew, {found['merged']} files merged"
        )
    for step, number in found.items():
        setattr(done, step, getattr(done, step) + number)


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ {literal(moment.isoformat(sep=' '))}"
