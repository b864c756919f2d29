"""Keys are keys, and what a row refers to is there and was accepted."""

from collections.abc import Sequence

import polars as pl

from autoif_assets.assets.checks.common import AGAIN, Check, Found, Look
from autoif_assets.warehouse.quality import (
    Orphans,
    count_orphans,
    count_unaccepted,
    gated_keys,
    key_faults,
)
from autoif_assets.warehouse.schema import ForeignKey, Table


def keys(table: Table) -> Check:
    """Return the check that key columns identify a row."""
    columns = ", ".join(table.key)

    def find(look: Look) -> Found:
        rows = look.rows(key_faults(table, look.slices if table.partitions else None))
        nulls, repeated, example = rows.row(0)
        wrong = []
        if nulls:
            wrong.append(f"{nulls} rows have a null in ({columns}): {AGAIN}")
        if repeated:
            wrong.append(
                f"{repeated} rows repeat the key ({columns}) of another, such as {example}: {AGAIN}"
            )
        return Found(wrong, {"rows with null keys": nulls, "rows with repeated keys": repeated})

    return Check("keys", f"({columns}) is never null and names one row.", find, blocking=True)


def foreign_keys(table: Table) -> Check:
    """Return the check that no foreign key leads nowhere."""
    referred = dict.fromkeys(parent for key in table.foreign_keys for parent in key.tables)

    def find(look: Look) -> Found:
        found = _orphans(table.foreign_keys, look.rows(count_orphans(table, look.slices)))
        return Found(
            [f"{_lost(one)} that is not in {_tables(one)}, {_such(one)}" for one in _some(found)],
            {f"orphans by {', '.join(one.key.columns)}": one.rows for one in found},
        )

    # Not blocking: a batch whose first stages were made anew is so until its later ones are.
    return Check(
        "foreign_keys", f"Every row refers to rows that are there, in {', '.join(referred)}.", find
    )


def accepted_parents(table: Table) -> Check:
    """Return the check that no accepted row comes from a rejected one."""
    gates = gated_keys(table)
    referred = dict.fromkeys(parent for key in gates for parent in key.tables)

    def find(look: Look) -> Found:
        found = _orphans(gates, look.rows(count_unaccepted(table, look.slices)))
        return Found(
            [
                f"{_lost(one)} that {_tables(one)} did not accept, {_such(one)}"
                for one in _some(found)
            ],
            {f"not accepted by {', '.join(one.key.columns)}": one.rows for one in found},
        )

    return Check(
        "accepted_parents",
        f"Every {'accepted ' if table.is_gate else ''}row comes from accepted rows of "
        f"{', '.join(referred)}.",
        find,
        blocking=True,
    )


def _orphans(keys: Sequence[ForeignKey], rows: pl.DataFrame) -> list[Orphans]:
    return [Orphans(key, *row) for key, (_, *row) in zip(keys, rows.iter_rows(), strict=True)]


def _some(found: list[Orphans]) -> list[Orphans]:
    return [one for one in found if one.rows]


def _lost(one: Orphans) -> str:
    return f"{one.rows} rows have a {one.key.columns[-1]}"


def _tables(one: Orphans) -> str:
    return " or ".join(one.key.tables)


def _such(one: Orphans) -> str:
    return f"such as {one.example}: {AGAIN}"
