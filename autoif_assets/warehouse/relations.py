"""What a row is of and what it was made from, as the declarations of the tables tell."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from autoif_assets.warehouse.schema import SCHEMA, ForeignKey, Table
from autoif_assets.warehouse.tables import TABLES

Query = Callable[[str, list[Any]], pl.DataFrame]

# What no key says: these hold ids of tables that a row may be missing from.
_FURTHER = {
    "parent_id": ForeignKey(
        ("batch", "parent_id"),
        "verifier_candidates",
        ("batch", "verifier_id"),
        or_table="verifier_repairs",
    )
}
_MOST = 10  # ids told of those that begin alike
# What says most of a row, where it has it.
_TEXTS = (
    *("source", "response", "completion", "chosen", "instruction", "query", "prompt"),
    *("back_translation", "input", "text"),
)
_ROLES = ("chosen", "rejected", "parent", "nli_call")


@dataclass(frozen=True)
class Found:
    """A row.

    Attributes:
        table: Name of its table.
        row: Its values by column.
        as_column: Column of the row below that names it; empty for the row that was asked for.
    """

    table: str
    row: Mapping[str, Any]
    as_column: str = ""

    @property
    def id(self) -> str:
        """The id of what the row is about; else its key, as the name of a policy."""
        table = TABLES[self.table]
        named = (about(table),) if about(table) else table.key
        return " ".join(str(self.row[name]) for name in named)

    @property
    def text(self) -> str:
        """What says most of the row; of a seed its own text, for its source is a file."""
        own = [name for name in ("instruction", "query") if "line" in self.row and name in self.row]
        texts = (self.row.get(name) for name in (*own, *_TEXTS))
        return next((str(text) for text in texts if text), "")

    @property
    def role(self) -> str:
        """Which of several of one kind it was for the row below, such as chosen; mostly empty."""
        name = self.as_column.removesuffix("_id")
        return name if name in _ROLES else ""


@dataclass(frozen=True)
class Origin:
    """A row that another was made from, and what it was made from itself.

    Attributes:
        found: The row.
        origins: Rows that it was made from; each thing is told once in a tree.
    """

    found: Found
    origins: "list[Origin]"


def keys_of_table(table: Table) -> list[ForeignKey]:
    """Return what leads to the rows that a row of a table was made from."""
    names = {column.name for column in table.columns}
    return [*table.foreign_keys, *(key for name, key in _FURTHER.items() if name in names)]


@cache
def about(table: Table) -> str:
    """Return the column with the id of what a row of a table is about; empty for none.

    It is the table's own id, or else the id of what the row says more of.
    """
    ids = [column.name for column in table.columns if column.name.endswith("_id")]
    foreign = {key.columns[-1] for key in keys_of_table(table)}
    # What a row only carries on is in the table that it was made from.
    carried = {
        column.name
        for key in table.foreign_keys
        for parent in key.tables
        for column in TABLES[parent].columns
    }
    own = [name for name in ids if name not in foreign | carried]
    in_key = [name for name in own if name in table.key]
    of_others = [name for name in ids if name in foreign and name in table.key]
    return next(iter([*in_key, *own, *of_others]), "")


def ids_like(query: Query, start: str) -> list[str]:
    """Return the ids that are ``start`` or, if none is, begin with it; some of many.

    Args:
        query: Asks the tables.
        start: An id, or its beginning.
    """
    for condition in ("= $1", "[:length($1)] = $1"):
        parts = [
            f'SELECT "{about(table)}" AS id FROM {SCHEMA}.{table.name}'
            f' WHERE "{about(table)}"{condition}'
            for table in _told()
        ]
        found = query(
            f"SELECT DISTINCT id FROM ({' UNION ALL '.join(parts)}) LIMIT {_MOST}", [start]
        )
        if found.height:
            return sorted(found["id"])
    return []


def rows_about(query: Query, id: str, batch: str | None = None) -> list[Found]:
    """Return the rows that are about what an id names, in the order of the flow.

    Args:
        query: Asks the tables.
        id: The id, whole.
        batch: The batch whose rows are wanted; that of the first found if None.
    """
    found: list[Found] = []
    for table in _told():
        sql, values = f'"{about(table)}" = ?', [id]
        if batch is not None and "batch" in table.partitions:
            sql, values = f"{sql} AND batch = ?", [id, batch]
        for row in rows(query, table, sql, values):
            of = row.get("batch") if "batch" in table.partitions else None
            batch = batch or of
            if of is None or of == batch:
                found.append(Found(table.name, row))
    return found


def batches_with(query: Query, id: str) -> list[str]:
    """Return the batches that have what an id names."""
    parts = [
        f'SELECT batch FROM {SCHEMA}.{table.name} WHERE "{about(table)}" = $1'
        for table in _told()
        if "batch" in table.partitions
    ]
    found = query(f"SELECT DISTINCT batch FROM ({' UNION ALL '.join(parts)})", [id])
    return sorted(found["batch"])


def parents(query: Query, child: Found) -> Iterator[Found]:
    """Yield the rows that a row was made from, as its keys and its origins say."""
    table = TABLES[child.table]
    for key in keys_of_table(table):
        values = [child.row.get(name) for name in key.columns]
        if any(value is None for value in values):
            continue
        condition = " AND ".join(f'"{name}" = ?' for name in key.to)
        # The first of the two tables that has it.
        for parent in key.tables:
            if found := rows(query, TABLES[parent], condition, values, limit=1):
                yield Found(parent, found[0], key.columns[-1])
                break
    # A table before it that holds the same thing, such as the seed of an instruction.
    mine = about(table)
    if not mine:
        return
    for name in dict.fromkeys(origin.partition(".")[0] for _, origin in table.origins):
        parent_table = TABLES[name]
        if about(parent_table) != mine or mine in {k.columns[-1] for k in table.foreign_keys}:
            continue
        condition, values = f'"{mine}" = ?', [child.row[mine]]
        if "batch" in parent_table.partitions and "batch" in child.row:
            condition, values = f"{condition} AND batch = ?", [*values, child.row["batch"]]
        for row in rows(query, parent_table, condition, values, limit=1):
            yield Found(name, row, mine)


def ancestry(query: Query, child: Found, seen: set[tuple[str, str]]) -> list[Origin]:
    """Return all that a row was made from, up to the seed.

    Args:
        query: Asks the tables.
        child: The row.
        seen: Tables and ids that are told already; those found are added.
    """
    made: list[Origin] = []
    for parent in parents(query, child):
        if (parent.table, parent.id) not in seen:
            seen.add((parent.table, parent.id))
            made.append(Origin(parent, ancestry(query, parent, seen)))
    return made


def naming(table: Table) -> list[str]:
    """Return the columns of a table that name other things than its rows are about."""
    ids = [column.name for column in table.columns if column.name.endswith("_id")]
    return [name for name in ids if name != about(table)]


def made_of_it(query: Query, id: str, batch: str | None) -> dict[str, int]:
    """Count the rows by table that name what an id names and are not about it."""
    parts, values = [], {"id": id, "batch": batch}
    for table in TABLES.values():
        columns = naming(table)
        if columns and "batch" in table.partitions:
            named = " OR ".join(f'"{name}" = $id' for name in columns)
            parts.append(
                f"SELECT '{table.name}' AS name, count(*) AS rows FROM {SCHEMA}.{table.name}"
                f" WHERE ({named}) AND ($batch IS NULL OR batch = $batch)"
            )
    found = query(f"FROM ({' UNION ALL '.join(parts)}) WHERE rows > 0", values)  # type: ignore[arg-type]
    order = {name: place for place, name in enumerate(TABLES)}
    return dict(sorted(found.iter_rows(), key=lambda row: order[row[0]]))


def _told() -> list[Table]:
    return [table for table in TABLES.values() if about(table)]


def rows(
    query: Query, table: Table, condition: str, values: list[Any], limit: int = 100
) -> list[dict[str, Any]]:
    """Return the rows of a table that fulfil an SQL condition, those accepted first."""
    order = [name for name in ("status", *table.key) if name in {c.name for c in table.columns}]
    sql = (
        f"SELECT * FROM {SCHEMA}.{table.name} WHERE {condition}"
        f" ORDER BY {', '.join(order)} LIMIT {limit}"
    )
    return query(sql, values).to_dicts()
