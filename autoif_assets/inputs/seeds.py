"""Seed instructions and user queries, from the packaged files or a user's own."""

from collections import Counter

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


def read_seed_instructions(path: str | None) -> pl.DataFrame:
    """Read seed instructions and accept or reject each of them.

    Files: text (an instruction per line, or a list), Markdown, and JSON, JSONL, CSV, TSV or
    Parquet with the columns ``instruction`` and, if wanted, ``category``; also with .gz or .zst.

    Args:
        path: A path, a glob, or several separated by commas; None or blank: the packaged file.

    Returns:
        All records with the columns of table ``seed_instructions``.

    Raises:
        InputError: A file cannot be used, or no instruction is left.
    """
    spec = (path or "").strip()
    if spec:
        frames = [_read_instructions(file.source, file) for file in _find(spec)]
    else:
        frames = [_read_instructions(*_packaged("seed_instructions.jsonl"))]
    instructions = select_instructions(pl.concat(frames))
    if not (instructions["status"] == "accepted").any():
        fail(spec, f"none of {instructions.height} records has an instruction")
    return instructions


def _find(spec: str) -> list[Named]:
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


def _records(file: Named) -> Records | None:
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


def _read_instructions(source: str, file: Named) -> pl.DataFrame:
    records = _records(file)
    if records is None:
        as_list = sniff(file.path) == "markdown" or holds_list(file.path)
        frame = read_list(file.path) if as_list else read_lines(file.path)
    else:
        keys = records.keys()
        key = file.column or INSTRUCTIONS.key
        if key not in keys:
            fail(file.source, f'the file has: {", ".join(keys) or "no keys"}; expected "{key}"')
        frame = records.read(Shape(key, INSTRUCTIONS.types, INSTRUCTIONS.beside))
    return frame.select(pl.lit(source).alias("source"), "line", "text", "category", "reason")


_TEXTS = ("text", "markdown")


def check_inputs(
    seeds: str | None,
    queries: str | None,
    column: str | None,
    min_chars: int,
    max_chars: int,
    *,
    keep: bool = False,
) -> None:
    """See that there are seeds and queries to use, without reading a large file as a whole.

    Of queries beyond some megabytes, which take a run seconds each, the heads of the files are
    read: what is wrong further on is found by the run before it asks anything.

    Args:
        seeds: As for `read_seed_instructions`.
        queries: As for `read_seed_queries`.
        column: As for `read_seed_queries`.
        min_chars: As for `read_seed_queries`.
        max_chars: As for `read_seed_queries`.
        keep: As for `read_seed_queries`.

    Raises:
        InputError: A file cannot be used, or nothing of its kind is left; of seeds and of queries,
            each on a line, for people mend both before they try again.
    """
    problems = []
    for check in (
        lambda: read_seed_instructions(seeds),
        lambda: _check_queries(queries, column, min_chars, max_chars, keep),
    ):
        try:
            check()
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))


def _check_queries(
    queries: str | None, column: str | None, min_chars: int, max_chars: int, keep: bool
) -> None:
    spec = (queries or "").strip()
    files = [file for file in _find(spec) if not file.is_on_hub] if spec else []
    if sum(file.path.stat().st_size for file in files) > _WHOLE_BYTES:
        try:
            read_seed_queries(spec, column, min_chars, max_chars, _HEAD, keep=keep)
            return
        except InputError:
            # The head alone decides nothing against a file.
            pass
    read_seed_queries(queries, column, min_chars, max_chars, keep=keep)


_WHOLE_BYTES = 4_000_000
_HEAD = 1000


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
    (instruction and input) or a named column, each as JSON, JSONL, Parquet, CSV or TSV; plain
    text (a query per line) and lists in Markdown. The suffix decides, without one the content.
    A first turn that needs what was said before it is rejected as ``multi_turn``, unless
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
        read = [_read_queries(file.source, file, column, most, keep) for file in _find(spec)]
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
    records, used = _records(file), None
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
        f'the file has: {has}; expected "conversations" (ShareGPT), "messages" (OpenAI) or '
        '"instruction" (Alpaca), or the name of the text column in AUTOIF_QUERIES_COLUMN',
    )
