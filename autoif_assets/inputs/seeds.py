"""Seed instructions and user queries, from the packaged files or a user's own."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import polars as pl

from autoif_assets.inputs.files import (
    PREFIX,
    InputError,
    Named,
    fail,
    find_files,
    packaged,
    sniff,
    split_spec,
)
from autoif_assets.inputs.hub import load_table, named_dataset
from autoif_assets.inputs.lines import holds_list, read_lines, read_list
from autoif_assets.inputs.records import INSTRUCTIONS, Records, Shape, column_shape, known_shape
from autoif_assets.method.seeds import select_instructions, select_queries
from autoif_assets.method.trusted import WrongCheck, read_cases, read_verifiers, together

StaticCheck = Callable[[str], str | None]
"""Returns why a source cannot be a verifier, as ``reason`` or ``reason:detail``, or None."""


def read_seed_instructions(
    path: str | None, static_check: StaticCheck = lambda source: None
) -> pl.DataFrame:
    """Read seed instructions and accept or reject each of them.

    Files: text (an instruction per line, or a list), Markdown, and JSON, JSONL, CSV, TSV or
    Parquet with the columns ``instruction`` and, if wanted, ``category``, ``verifier`` (a Python
    source or a list of them) and ``cases`` (a list of ``input``, ``output`` and perhaps
    ``query``; in a cell as JSON); also with .gz or .zst. What is handed in for one instruction in
    several records counts together.

    Args:
        path: A path, a glob, or several separated by commas; None or blank: the packaged file.
        static_check: Of the verifiers that are handed in.

    Returns:
        All records with the columns of table ``seed_instructions``.

    Raises:
        InputError: A file cannot be used, a verifier or a case is none, or no instruction is left.
    """
    spec = (path or "").strip()
    files = [(file.source, file) for file in find_named(spec)] if spec else [_packaged(_SEEDS)]
    read = [_read_instructions(source, file, static_check) for source, file in files]
    instructions = _gathered(select_instructions(pl.concat(read)))
    if not (instructions["status"] == "accepted").any():
        fail(spec, f"none of {instructions.height} records has an instruction")
    return instructions


_SEEDS = "seed_instructions.jsonl"
_CHECKS = ("verifier", "cases")


def _gathered(instructions: pl.DataFrame) -> pl.DataFrame:
    """Give what is handed in for an instruction in several records to the accepted one."""
    ids = pl.col("instruction_id")
    handed = instructions.filter(pl.any_horizontal(pl.col(*_CHECKS).is_not_null()))
    repeated = handed.filter((pl.col("status") == "accepted") | (pl.col("reason") == "duplicate"))
    rows = []
    for (instruction_id,), of in repeated.group_by(ids, maintain_order=True):
        sources = [text for one in of["verifier"].drop_nulls() for text in json.loads(one)]
        try:
            cases = together(json.loads(one) for one in of["cases"].drop_nulls())
        except WrongCheck as error:
            # Within a record they were compared before.
            places = [f"{source}, {line}" for source, line in of.select("source", "line").rows()]
            fail(" and ".join(places), str(error))
        rows.append((instruction_id, _json(list(dict.fromkeys(sources))), _json(cases)))
    schema = dict.fromkeys(("instruction_id", *_CHECKS), pl.String)
    joined = instructions.join(
        pl.DataFrame(rows, schema=schema, orient="row"),
        on="instruction_id",
        how="left",
        suffix="_of_all",
        maintain_order="left",
    )
    is_taken = pl.col("status") == "accepted"
    return joined.with_columns(
        pl.when(is_taken).then(f"{name}_of_all").otherwise(name).alias(name) for name in _CHECKS
    ).select(instructions.columns)


def _json(values: list[Any]) -> str | None:
    return json.dumps(values, ensure_ascii=False) if values else None


def find_named(spec: str) -> list[Named]:
    """Resolve paths, globs and datasets separated by commas, each file once.

    Raises:
        InputError: One of them names nothing.
    """
    found: dict[str, Named] = {}
    for part in split_spec(spec):
        for file in [named_dataset(part)] if part.startswith(PREFIX) else find_files(part):
            if file.column or file.source not in found:
                found[file.source] = file
    if not found:
        fail(spec, "names no file")
    return list(found.values())


def records_of(file: Named) -> Records | None:
    """Return the records of a file; None where it is text.

    Raises:
        InputError: It cannot be read, or is text and a column was named.
    """
    if file.is_on_hub:
        return Records(file.source, "arrow", load_table(file))
    format = sniff(file.path)
    if format not in _TEXTS:
        return Records(file.path, format)
    if file.column:
        fail(file.path, f'has no columns, and "{file.column}" was named')
    return None


def _packaged(name: str) -> tuple[str, Named]:
    source, path = packaged(name)
    return source, Named(str(path))


def _read_instructions(source: str, file: Named, static_check: StaticCheck) -> pl.DataFrame:
    records = records_of(file)
    if records is None:
        as_list = sniff(file.path) == "markdown" or holds_list(file.path)
        frame = read_list(file.path) if as_list else read_lines(file.path)
        frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in _CHECKS)
    else:
        keys = records.keys()
        key = file.column or INSTRUCTIONS.key
        if key not in keys:
            fail(file.source, f'the file has: {", ".join(keys) or "no keys"}; expected "{key}"')
        frame = records.read(Shape(key, INSTRUCTIONS.types, INSTRUCTIONS.beside))
        checks = _read_checks(records, keys, static_check)
        frame = frame.join(checks, on="line", how="left", maintain_order="left")
    columns = ("line", "text", "category", *_CHECKS, "reason")
    return frame.select(pl.lit(source).alias("source"), *columns)


def _read_checks(records: Records, keys: list[str], static_check: StaticCheck) -> pl.DataFrame:
    """Return ``line``, ``verifier``, ``cases`` of the records that have either.

    Raises:
        InputError: What one of them has is neither.
    """
    # The keys of JSON are those at its head; further on there may be others.
    names = _CHECKS if records.format == "json" else tuple(n for n in _CHECKS if n in keys)
    rows = []
    if names:
        for found in records.fields(names).drop("reason").iter_rows(named=True):
            try:
                given = {name: json.loads(found.get(name) or "null") for name in _CHECKS}
                sources = read_verifiers(given["verifier"], static_check)
                cases = read_cases(given["cases"])
            except WrongCheck as error:
                fail(records.place(found["line"]), str(error))
            except RecursionError:
                fail(records.place(found["line"]), "what is handed in nests too deeply to be read")
            rows.append((found["line"], _json(sources), _json(cases)))
    return pl.DataFrame(
        rows, schema={"line": pl.Int64, **dict.fromkeys(_CHECKS, pl.String)}, orient="row"
    )


_TEXTS = ("text", "markdown")


def read_seed_queries(
    spec: str | None,
    column: str | None,
    min_chars: int,
    max_chars: int,
    most: int | None = None,
    *,
    keep: bool = False,
) -> pl.DataFrame:
    """Read user queries and accept or reject each of them.

    Files: ShareGPT (first human turn), OpenAI ``messages`` (first user turn), Alpaca
    (instruction and input), ``query`` or a named column, each as JSON, JSONL, Parquet, CSV or
    TSV; plain text (a query per line) and lists in Markdown. The suffix decides, without one the
    content. A first turn that needs what was said before it is rejected as ``multi_turn``, unless
    conversations are kept.

    Args:
        spec: A path, a glob, or several separated by commas; None or blank: the packaged file.
            Behind a path and a colon may stand the column to read of it. Also datasets of the
            Hugging Face hub: ``hf://org/name[:split][:column]``.
        column: Name of the column or key that holds the text, where a file has it and no other
            was named for that file; None or blank: the known layouts.
        min_chars: A query is longer than this many characters.
        max_chars: A query is shorter than this many characters.
        most: Records to read at the head of each file; all if None.
        keep: Whether conversations are kept: their last human turn is the query, and what was
            said before is its context. A human turn that stands alone has none.

    Returns:
        All records with the columns of table ``seed_queries``.

    Raises:
        InputError: A file cannot be used, no file has the column, or no query is left.
    """
    spec, column = (spec or "").strip(), (column or "").strip() or None
    if spec:
        read = [_read_queries(file.source, file, column, most, keep) for file in find_named(spec)]
    else:
        read = [_read_queries(*_packaged("seed_queries.txt"), None, most, keep)]
    frames = [frame for frame, _ in read]
    if column and column not in {used for _, used in read}:
        fail(
            spec or "the packaged queries",
            f'no file has the column "{column}" (AUTOIF_QUERIES_COLUMN)',
        )
    queries = select_queries(pl.concat(frames), min_chars, max_chars)
    if not (queries["status"] == "accepted").any():
        reasons = Counter(queries["reason"].drop_nulls().to_list())
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        advice = ", as UTF-8" if "not_text" in reasons else ""
        if "multi_turn" in reasons:
            advice += "; with conversations=keep, conversations are taken as a whole"
        raise InputError(
            f"{spec}: none of {queries.height} records is a usable query ({counts or 'no records'}"
            f"); expected texts of {min_chars + 1} to {max_chars - 1} characters{advice}"
        )
    return queries


def _read_queries(
    source: str, file: Named, column: str | None, most: int | None, keep: bool
) -> tuple[pl.DataFrame, str | None]:
    """Return the texts of a file, and the named column of which they are, if they are of one."""
    records, used = records_of(file), None
    if records is None:
        frame = (read_list if sniff(file.path) == "markdown" else read_lines)(file.path, most)
        frame = frame.with_columns(context=pl.lit(None, dtype=pl.String))
    else:
        shape, used = _query_shape(file.source, records.keys(), file.column, column)
        frame = records.read(shape, most, keep=keep)
    columns = ("line", "text", "context", "reason")
    return frame.select(pl.lit(source).alias("source"), *columns), used


def _query_shape(
    source: str, keys: list[str], own: str | None, column: str | None
) -> tuple[Shape, str | None]:
    """Choose how to read queries: a column named for the file, or for all, or a known layout."""
    has = ", ".join(keys) or "no keys"
    if own and own not in keys:
        fail(source, f'the file has no column "{own}"; it has: {has}')
    if named := own or (column if column in keys else None):
        return column_shape(named), named
    if shape := known_shape(keys):
        return shape, None
    if column:
        fail(source, f'the file has no column "{column}" (AUTOIF_QUERIES_COLUMN); it has: {has}')
    fail(
        source,
        f'the file has: {has}; expected "conversations" (ShareGPT), "messages" (OpenAI), '
        '"instruction" (Alpaca) or "query", or the name of the text column in '
        "AUTOIF_QUERIES_COLUMN",
    )
