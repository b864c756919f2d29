"""What the pages show, made of rows: cells, the facts of a row, pairs, verifiers, ancestors."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from autoif_assets.browse.queries import NAMES, Relation, Selection, page_of, where
from autoif_assets.reports.formatting import Text, excerpt, in_words
from autoif_assets.reports.reasons import explain
from autoif_assets.warehouse import relations
from autoif_assets.warehouse.relations import Found, Origin, Query, about
from autoif_assets.warehouse.schema import SCHEMA
from autoif_assets.warehouse.tables import TABLES

MAX_BATCHES = 200
_CELL = (160, 4)  # characters and lines that are not folded
_FACT = (500, 12)
_TEXT = (1_500, 40)
_TEXT_CHARS = 20_000
_SECTIONS = 20
_ITEMS = 100
_CASES = 100
_RESPONSES = 20
# Verdicts, what they are on, and the column with its text.
_VERDICTS = {
    "response_verdicts": "responses",
    "further_verdicts": "further_responses",
    "policy_verdicts": "policy_responses",
}
_JUDGED = ("verifier_cases", *_VERDICTS)


@dataclass(frozen=True)
class Part:
    """A text, and the address that it leads to; none if empty."""

    text: Text | None
    href: str = ""


@dataclass(frozen=True)
class Fact:
    """What a column says of a row."""

    name: str
    meaning: str
    parts: Sequence[Part]
    is_code: bool = False
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A row with its facts."""

    table: str
    href: str
    status: str
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Side:
    """A side of a pair."""

    name: str
    part: Part
    facts: str
    verdicts: Sequence[tuple[str, Part]] = ()


@dataclass(frozen=True)
class Leaf:
    """An ancestor of a row, with its own."""

    name: str
    href: str
    text: Text | None
    leaves: Sequence["Leaf"]


def id_address(id: object, batch: object = None) -> str:
    """Return the address of all that is about an id."""
    of = f"?{urlencode({'batch': batch})}" if batch else ""
    return f"/id/{quote(str(id), safe='')}{of}"


def row_address(table: str, row: Mapping[str, Any]) -> str:
    """Return the address of a row of a declared table."""
    key = {name: row[name] for name in TABLES[table].key}
    return f"/row/{table}?{urlencode(key)}"


def rows_page(query: Query, relation: Relation, of: Selection) -> dict[str, Any]:
    """Return what the page of a table's rows shows.

    Args:
        query: Asks the database.
        relation: The table.
        of: Which rows.
    """
    condition, values = where(relation, of.filters)
    total = query(f"SELECT count(*) FROM {relation.sql} WHERE {condition}", values).item()
    rows = query(*page_of(relation, of)).to_dicts()
    batches: list[str] = []
    if "batch" in relation.columns:
        sql = f"SELECT DISTINCT batch FROM {relation.sql} ORDER BY batch LIMIT {MAX_BATCHES}"
        batches = [str(one) for one in query(sql, [])["batch"]]
    shown = []
    for row in rows:
        named = {name: row[f"v{place}"] for place, name in enumerate(relation.columns)}
        lengths = {name: row.get(f"n{place}") for place, name in enumerate(relation.columns)}
        href = ""
        if relation.key:
            key = {name: row[f"k{place}"] for place, name in enumerate(relation.key)}
            href = row_address(relation.name, key)
        shown.append(
            {
                "href": href,
                "cells": [
                    _part(name, value, named.get("batch"), _CELL, lengths[name])
                    for name, value in named.items()
                ],
                "status": named.get("status") or "",
                "prompt": excerpt(named.get("prompt"), lengths.get("prompt"), *_TEXT),
                "sides": _sides(named, lengths) if relation.has_pairs else [],
            }
        )
    return {"total": total, "rows": shown, "batches": batches}


def _part(
    name: str, value: Any, batch: Any, shown: tuple[int, int], length: int | None = None
) -> Part:
    if value is None:
        return Part(None)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "outcome" in value[0]:
        counts = Counter(str(one["outcome"]) for one in value)
        value = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    text = in_words(value)
    href = id_address(text, batch) if _is_id(name) and isinstance(value, str) else ""
    return Part(excerpt(text[:_TEXT_CHARS], max(length or 0, len(text)), *shown), href)


def _is_id(name: str) -> bool:
    return name == "failed_verifiers" or not {"id", "ids"}.isdisjoint(name.split("_"))


def _sides(row: Mapping[str, Any], lengths: Mapping[str, int | None]) -> list[Side]:
    sides = []
    for side in ("chosen", "rejected"):
        rate, score = row.get(f"{side}_pass_rate"), row.get(f"{side}_score")
        facts = [
            "no verdicts" if rate is None else f"passes {rate:.0%}",
            "not scored" if score is None else f"score {score:.4g}",
        ]
        if (chars := row.get(f"{side}_length")) is not None:
            facts.append(f"{chars:,} characters")
        text = excerpt(str(row[side])[:_TEXT_CHARS], lengths.get(side), *_TEXT)
        href = id_address(row[f"{side}_id"], row.get("batch")) if row.get(f"{side}_id") else ""
        sides.append(Side(side, Part(text, href), ", ".join(facts)))
    return sides


def row_page(query: Query, found: Sequence[Found], batch: str | None) -> dict[str, Any]:
    """Return what the page of a row, or of all that is about an id, shows.

    Args:
        query: Asks the database.
        found: The rows, those first that say most; all about the same, or one.
        batch: Their batch, if they have one.
    """
    row, table = found[0].row, TABLES[found[0].table]
    column = about(table)
    id = str(row[column]) if column and row[column] is not None else None
    every = {name: value for one in reversed(found) for name, value in one.row.items()}
    page: dict[str, Any] = {
        "id": id,
        "kind": column.removesuffix("_id") if id else table.name,
        "sides_shown": [],
        "verifier": None,
        "prompt": None,
    }
    told: dict[str, Any] = {}
    if {"prompt", "chosen", "rejected"} <= set(row):
        sides = _sides(row, {side: len(row[side]) for side in ("chosen", "rejected")})
        page["sides_shown"] = [_judged(query, side, row) for side in sides]
        page["prompt"] = excerpt(row["prompt"][:_TEXT_CHARS], len(row["prompt"]), *_TEXT)
        told |= {name: row[name] for name in ("prompt", "chosen", "rejected")}
    if column == "verifier_id" and id and every.get("source"):
        page["verifier"] = _verifier(query, every)
        told["source"] = every["source"]
    if not told and (lead := next(filter(None, (one.text for one in found)), "")):
        page["prompt"] = excerpt(lead[:_TEXT_CHARS], len(lead), *_TEXT)
    page["sections"] = list(_sections(found[:_SECTIONS], told))
    page["more"] = len(found) - len(page["sections"])
    seen = {(one.table, one.id) for one in found if id}
    ancestors = [leaf for one in found for leaf in relations.ancestry(query, one, seen)]
    page["leaves"] = list(map(_leaf, ancestors))
    made = relations.made_of_it(query, id, batch) if id else {}
    of = {"batch": batch} if batch else {}
    page["made"] = [
        (name, count, f"/table/{name}?{urlencode({**of, NAMES: id})}")
        for name, count in made.items()
    ]
    return page


def _sections(found: Sequence[Found], told: dict[str, Any]) -> Iterator[Section]:
    """Yield each row: of the first all columns that are not shown above, of others what is new."""
    for place, one in enumerate(found):
        facts = [
            _fact(one.table, name, value, one.row.get("batch"))
            for name, value in one.row.items()
            if name in ("status", "reason") or (name not in told or told[name] != value)
            if value is not None or not place
        ]
        told.update(one.row)
        href, status = row_address(one.table, one.row), str(one.row.get("status") or "")
        yield Section(one.table, href, status, facts)


def _fact(table: str, name: str, value: Any, batch: Any) -> Fact:
    declared = {column.name: column.description for column in TABLES[table].columns}
    items = value if isinstance(value, list) else [value]
    parts = []
    for one in items[:_ITEMS]:
        # A verdict is by whose verifier it is.
        if isinstance(one, dict) and "verifier_id" in one:
            words = f"{one.get('outcome')}: {one['verifier_id']}"
            parts.append(Part(excerpt(words, None), id_address(one["verifier_id"], batch)))
        else:
            parts.append(_part(name, one, batch, _FACT))
    if len(items) > _ITEMS:
        parts.append(Part(excerpt(f"and {len(items) - _ITEMS:,} more", None)))
    is_code = name == "source" and "def " in in_words(value)
    note = explain(table, str(value)) if name == "reason" and value is not None else ""
    return Fact(name, declared.get(name, ""), parts, is_code, note)


def _judged(query: Query, side: Side, row: Mapping[str, Any]) -> Side:
    """Return a side with what each verifier says of it."""
    id = row.get(f"{side.name}_id")
    for name in _JUDGED:
        table = TABLES[name]
        # A text of a policy's has the id, and the verdicts, that the same text has elsewhere.
        if not set(table.partitions) <= set(row):
            continue
        condition = " AND ".join(f'"{part}" = ?' for part in (about(table), *table.partitions))
        values = [id, *(row[part] for part in table.partitions)]
        for verdicts in relations.rows(query, table, condition, values, limit=1):
            told = [
                (
                    str(one["outcome"]),
                    Part(
                        excerpt(str(one["verifier_id"]), None),
                        id_address(one["verifier_id"], row.get("batch")),
                    ),
                )
                for one in verdicts["outcomes"][:_ITEMS]
            ]
            return Side(side.name, side.part, side.facts, told)
    return side


def _verifier(query: Query, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verifier's source, its cases and responses with what it says of them."""
    id, instruction_id, batch = row["verifier_id"], row["instruction_id"], row["batch"]
    source = str(row["source"])
    told = relations.rows(
        query,
        TABLES["augmented_instructions"],
        "batch = ? AND instruction_id = ?",
        [batch, instruction_id],
        limit=1,
    )
    cases = query(
        f"SELECT case_id, input, query, expected, status, reason, origin,"
        f" ({_outcome('outcomes')}) AS outcome FROM {SCHEMA}.verifier_cases"
        f" WHERE batch = ? AND instruction_id = ?"
        f" ORDER BY status, expected DESC, case_id LIMIT {_CASES + 1}",
        [id, batch, instruction_id],
    ).to_dicts()
    counts: Counter[str] = Counter()
    responses: list[dict[str, Any]] = []
    for verdicts, texts in _VERDICTS.items():
        key = ", ".join([*TABLES[verdicts].partitions, "response_id"])
        judged = (
            f"SELECT *, ({_outcome('outcomes')}) AS outcome FROM {SCHEMA}.{verdicts}"
            " WHERE batch = ? AND instruction_id = ?"
        )
        values = [id, batch, instruction_id]
        counts.update(
            dict(
                query(
                    f"SELECT outcome, count(*) FROM ({judged})"
                    " WHERE outcome IS NOT NULL GROUP BY ALL",
                    values,
                ).iter_rows()
            )
        )
        responses += query(
            f"SELECT response_id, response, pass_rate, v.status, v.reason, outcome"
            f" FROM ({judged}) v JOIN (SELECT {key}, response FROM {SCHEMA}.{texts}"
            f" WHERE status = 'accepted') USING ({key}) WHERE outcome IS NOT NULL"
            f" ORDER BY response_id LIMIT {_RESPONSES}",
            values,
        ).to_dicts()
    for one in (*cases, *responses):
        text = str(one["input"] if "input" in one else one["response"])
        one["text"] = excerpt(text[:_TEXT_CHARS], len(text), *_CELL)
        one["href"] = id_address(one.get("case_id") or one["response_id"], batch)
    of = urlencode({"batch": batch, "instruction_id": instruction_id})
    return {
        "source": excerpt(source[:_TEXT_CHARS], len(source), 6_000, 150),
        "instruction": excerpt(told[0]["instruction"], None, *_TEXT) if told else None,
        "instruction_href": id_address(instruction_id, batch),
        "cases": cases[:_CASES],
        "more_cases": len(cases) > _CASES,
        "responses": responses[:_RESPONSES],
        "counts": counts.most_common(),
        "links": [
            (name, f"/table/{name}?{of}")
            for name in ("verifier_cases", "auditor_answers", "response_verdicts")
        ],
    }


def _outcome(column: str) -> str:
    """Return SQL of what one verifier, the first parameter, says."""
    return f"list_filter({column}, lambda one: one.verifier_id = ?)[1].outcome"


def _leaf(origin: Origin) -> Leaf:
    found, row = origin.found, origin.found.row
    told = [*filter(None, [found.role]), found.table]
    if found.table == "llm_calls":
        told.append(str(row["model"]))
    elif "line" in row:
        told.append(f"line {row['line']}")
    return Leaf(
        " ".join(told),
        row_address(found.table, row),
        excerpt(found.text[:_TEXT_CHARS], len(found.text), *_CELL) if found.text else None,
        list(map(_leaf, origin.origins)),
    )
