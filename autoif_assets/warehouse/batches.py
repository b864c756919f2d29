"""What a batch is pinned to, table ``batches``, and what it holds in all tables."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import polars as pl

from autoif_assets.warehouse.schema import SCHEMA, polars_schema
from autoif_assets.warehouse.sql import execute
from autoif_assets.warehouse.store import Warehouse
from autoif_assets.warehouse.tables import TABLES
from autoif_assets.warehouse.writing import insert_frame

# Columns of a seed table that are its content, with the names they have in `input_sets`.
_CONTENT: Mapping[str, Mapping[str, str]] = {
    "seed_instructions": {
        "instruction_id": "text_id",
        "instruction": "text",
        "category": "category",
        "verifier": "verifier",
        "cases": "cases",
    },
    "seed_queries": {"query_id": "text_id", "query": "text", "context": "context"},
}
# They came later: where no row has any, the hash is what it was before.
_LATER = ("context", "verifier", "cases")
_PINNED_AS = {"seed_instructions": "seeds_hash", "seed_queries": "queries_hash"}


@dataclass(frozen=True)
class Role:
    """Who is asked in a role.

    Attributes:
        role: supervision, responder, judge or nli.
        model: Name of the model; empty where none is named.
        base_url: Where, without credentials; empty for a local model.
        settings: What else of the endpoint changes the answers, as JSON.
    """

    role: str
    model: str
    base_url: str = ""
    settings: str = "{}"


@dataclass(frozen=True)
class Batch:
    """A row of ``batches``; ``numbers`` is decoded."""

    batch: str
    recipe: str | None = None
    numbers: Mapping[str, Any] | None = None
    roles: Sequence[Role] = ()
    prompts_hash: str | None = None
    seeds_hash: str | None = None
    queries_hash: str | None = None
    created_at: datetime | None = None
    asked_by: str | None = None
    simulated: bool | None = None
    excluded: bool = False
    remark: str | None = None
    categories: Sequence[str] | None = None

    @property
    def pinned(self) -> bool:
        """Whether a run has pinned its recipe."""
        return self.numbers is not None

    @property
    def recipe_hash(self) -> str | None:
        """12 hex digits of what is pinned of the recipe, prompts and all; null: nothing is."""
        if self.numbers is None:
            return None
        said = json.dumps(dict(self.numbers), sort_keys=True)
        return hashlib.blake2b(said.encode(), digest_size=6).hexdigest()


def known_batches(warehouse: Warehouse) -> dict[str, Batch]:
    """Return what is known of batches, by key."""
    found = {}
    for row in warehouse.read("batches").iter_rows(named=True):
        numbers = row["numbers"]
        row["numbers"] = None if numbers is None else json.loads(numbers)
        row["roles"] = tuple(Role(**role) for role in row["roles"] or ())
        found[row["batch"]] = Batch(**row)
    return found


def find_batch(warehouse: Warehouse, batch: str) -> Batch | None:
    """Return what is known of a batch."""
    return known_batches(warehouse).get(batch)


def save_batch(warehouse: Warehouse, batch: Batch, *, discard: bool = False) -> None:
    """Write what a batch is pinned to.

    Args:
        warehouse: Where the table is.
        batch: The row.
        discard: Whether all rows of the batch go in the same transaction, but for its calls.
    """
    row = {field.name: getattr(batch, field.name) for field in fields(batch)}
    row["numbers"] = None if batch.numbers is None else json.dumps(dict(batch.numbers))
    row["roles"] = [asdict(role) for role in batch.roles]
    table = TABLES["batches"]
    frame = pl.DataFrame([row], schema=polars_schema(table))
    cleared = [table.name, *(_filled() if discard else ())]
    with warehouse.transaction(f"writing batch {batch.batch!r}", cleared) as con:
        for name in cleared:
            execute(con, f"DELETE FROM {SCHEMA}.{name} WHERE batch = ?", [batch.batch])
        insert_frame(con, table, frame)


def remove_batch(warehouse: Warehouse, batch: str) -> None:
    """Remove every row of a batch from every table."""
    if not warehouse.exists:
        return
    tables = (*_filled(), "llm_calls", "batches")
    with warehouse.transaction(f"removing batch {batch!r}", tables) as con:
        for name in tables:
            execute(con, f"DELETE FROM {SCHEMA}.{name} WHERE batch = ?", [batch])


def rows_of_batch(warehouse: Warehouse, batch: str) -> dict[str, int]:
    """Return how many rows of a batch each table has, of those that have some."""
    if not warehouse.exists:
        return {}
    counts = " UNION ALL ".join(
        f"SELECT '{name}' AS name, count(*) AS rows FROM {SCHEMA}.{name} WHERE batch = $batch"
        for name in _filled()
    )
    found = dict(warehouse.query(counts, {"batch": batch}).iter_rows())
    return {name: found[name] for name in _filled() if found[name]}


def paid_calls(warehouse: Warehouse, batch: str) -> tuple[int, float]:
    """Return how many calls of a batch were answered, and what they cost."""
    if not warehouse.exists:
        return 0, 0.0
    return warehouse.query(
        "SELECT count(*), coalesce(sum(cost), 0) FROM autoif.llm_calls"
        " WHERE batch = ? AND len(completions) > 0",
        [batch],
    ).row(0)


def told_by_calls(warehouse: Warehouse, batch: str) -> dict[str, int]:
    """Return the numbers of the recipe that the calls of a batch tell."""
    found = warehouse.query(
        "SELECT CASE asset WHEN 'responses' THEN 'responses_per_prompt'"
        " ELSE 'verifiers_per_instruction' END, max(CAST(request ->> '$.n' AS BIGINT))"
        " FROM autoif.llm_calls WHERE batch = ? AND asset IN ('responses', 'verifier_generation')"
        " GROUP BY asset",
        [batch],
    )
    return {name: number for name, number in found.iter_rows() if number}


def content_columns(table: str) -> list[str]:
    """Return the columns of a seed table that are its content."""
    return list(_CONTENT[table])


def content_hash(table: str, rows: pl.DataFrame) -> str:
    """Hash what the accepted rows of a seed table say, wherever and in which order they are read.

    Args:
        table: ``seed_instructions`` or ``seed_queries``.
        rows: Rows of it; where there is a status, the accepted ones count.
    """
    if "status" in rows.columns:
        rows = rows.filter(status="accepted")
    columns = [
        name
        for name in content_columns(table)
        if name not in _LATER or rows[name].null_count() < rows.height
    ]
    content = rows.select(columns).unique().sort(pl.all(), nulls_last=True)
    return hashlib.blake2b(content.write_ndjson().encode(), digest_size=8).hexdigest()


def keep_inputs(warehouse: Warehouse, table: str, replaced_by: pl.DataFrame) -> None:
    """Put seeds or queries aside that batches are pinned to, before other ones take their place.

    Args:
        warehouse: Where the tables are.
        table: ``seed_instructions`` or ``seed_queries``.
        replaced_by: The rows that are about to be stored.
    """
    if not warehouse.exists:
        return
    rows = warehouse.read(table, columns=content_columns(table), where_status="accepted")
    digest = content_hash(table, rows)
    pinned = warehouse.query(
        f"SELECT count(*) FROM autoif.batches WHERE {_PINNED_AS[table]} = ?", [digest]
    )
    if pinned.item() and digest != content_hash(table, replaced_by):
        kept = rows.rename(_CONTENT[table]).unique("text_id").with_columns(hash=pl.lit(digest))
        lacking = [name for name in ("category", *_LATER) if name not in kept.columns]
        kept = kept.with_columns(pl.lit(None, pl.String).alias(name) for name in lacking)
        warehouse.write("input_sets", kept, {"hash": digest})


def pinned_inputs(
    warehouse: Warehouse, table: str, rows: pl.DataFrame, digest: str | None
) -> pl.DataFrame | None:
    """Return the seeds or queries that a batch is pinned to.

    Args:
        warehouse: Where the tables are.
        table: ``seed_instructions`` or ``seed_queries``.
        rows: Its accepted rows as they are now.
        digest: What the batch is pinned to; null: to what is there now.

    Returns:
        Rows with the columns of ``rows``; None where they are nowhere any more.
    """
    if digest is None or digest == content_hash(table, rows):
        return rows
    kept = warehouse.read("input_sets", {"hash": digest})
    if kept.is_empty():
        return None
    back = {to: name for name, to in _CONTENT[table].items()}
    return kept.rename(back).select(rows.columns)


def changed_seeds(warehouse: Warehouse) -> dict[str, int]:
    """Return batch → how many of the seeds it carries are not there any more as it has them.

    With another category, verifier or case it is another seed.
    """
    if not warehouse.exists:
        return {}
    found = warehouse.query(
        "SELECT i.batch, count(*) FROM autoif.augmented_instructions i"
        " LEFT JOIN autoif.batches b USING (batch)"
        # What the batch was made of, where it is no longer what the files hold.
        " LEFT JOIN autoif.input_sets k ON k.hash = b.seeds_hash AND k.text_id = i.instruction_id"
        " ANTI JOIN (FROM autoif.seed_instructions WHERE status = 'accepted') s"
        " ON s.instruction_id = i.instruction_id"
        " AND s.category IS NOT DISTINCT FROM i.category"
        " AND (k.hash IS NULL OR (s.verifier IS NOT DISTINCT FROM k.verifier"
        " AND s.cases IS NOT DISTINCT FROM k.cases))"
        " WHERE i.origin = 'seed' AND i.status = 'accepted'"
        # A database without seeds has not been told of any yet.
        " AND EXISTS (FROM autoif.seed_instructions) GROUP BY i.batch"
    )
    return dict(found.iter_rows())


def excluded_batches(warehouse: Warehouse) -> list[str]:
    """Return the batches that the exports leave out."""
    return [one.batch for one in known_batches(warehouse).values() if one.excluded]


def _filled() -> list[str]:
    """Return the tables that hold what was made of a batch."""
    beside = ("batches", "llm_calls")
    return [
        table.name
        for table in TABLES.values()
        if "batch" in table.partitions and table.name not in beside
    ]
