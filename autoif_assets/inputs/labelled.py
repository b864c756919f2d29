"""Responses of which people say whether they follow an instruction."""

import json
from typing import Any

import polars as pl

from autoif_assets.inputs.files import Named, fail
from autoif_assets.inputs.seeds import find_named, records_of
from autoif_assets.method.ids import normalise
from autoif_assets.method.parsing import parse_bool

_SCHEMA = {
    "source": pl.String,
    "line": pl.Int64,
    "instruction": pl.String,
    "response": pl.String,
    "query": pl.String,
    "follows": pl.Boolean,
}
_WANTED = ("instruction", "response", "follows")


def read_labelled(spec: str | None) -> pl.DataFrame:
    """Read labelled responses: JSON, JSONL, CSV, TSV or Parquet, also with .gz or .zst.

    Each record has an ``instruction``, a ``response`` and whether it ``follows`` (true or false,
    yes or no, 1 or 0), and perhaps the ``query`` that it answers.

    Args:
        spec: A path, a glob, or several separated by commas, or datasets of the Hugging Face hub;
            None or blank: there are none.

    Returns:
        ``source``, ``line``, ``instruction``, ``response``, ``query``, ``follows``.

    Raises:
        InputError: A file or one of its records cannot be used, or two contradict one another.
    """
    spec = (spec or "").strip()
    rows = [row for file in find_named(spec) for row in _read(file)] if spec else []
    known: dict[tuple[str, str, str | None], tuple[bool, str]] = {}
    for place, row in rows:
        of = (normalise(row["instruction"]), row["response"], row["query"])
        follows, first = known.setdefault(of, (row["follows"], place))
        if follows != row["follows"]:
            fail(place, f"says otherwise of the response than {first}; leave one of them out")
    return pl.DataFrame([row for _, row in rows], schema=_SCHEMA)


def _read(file: Named) -> list[tuple[str, dict[str, Any]]]:
    """Return the place of each record of a file, for people, and what it says."""
    records, expected = records_of(file), "expected " + ", ".join(f'"{name}"' for name in _WANTED)
    if records is None:
        fail(file.source, f"has no columns; {expected}")
    if file.column:
        fail(file.source, f'the column "{file.column}" was named; {expected}')
    keys = records.keys()
    if not set(_WANTED) <= set(keys):
        fail(file.source, f"the file has: {', '.join(keys) or 'no keys'}; {expected}")
    names = tuple(name for name in (*_WANTED, "query") if name in keys or records.format == "json")
    rows = []
    for found in records.fields(names).iter_rows(named=True):
        place = records.place(found["line"])
        if found["reason"] is not None:
            fail(place, f"cannot be read ({found['reason'].replace('_', ' ')})")
        said = {name: json.loads(found.get(name) or "null") for name in (*_WANTED, "query")}
        rows.append((place, {"source": file.source, "line": found["line"], **_row(place, said)}))
    if not rows:
        fail(file.source, "has no records")
    return rows


def _row(place: str, said: dict[str, Any]) -> dict[str, Any]:
    """Return a record as it is meant.

    Raises:
        InputError: It cannot be used.
    """
    for name in ("instruction", "response"):
        if not isinstance(said[name], str):
            fail(place, f'there is no text under "{name}"')
    if not said["instruction"].strip():
        fail(place, 'there is no text under "instruction"')
    query = said["query"] or None
    if query is not None and not isinstance(query, str):
        fail(place, 'there is no text under "query"; leave it out where there is none')
    follows = parse_bool(said["follows"])
    if follows is None:
        shown = json.dumps(said["follows"], ensure_ascii=False)[:60]
        fail(place, f'"follows" is {shown}; write true or false')
    return {**said, "query": query, "follows": follows}
