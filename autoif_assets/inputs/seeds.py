"""Seed instructions and user queries, from the packaged files or a user's own."""

from collections import Counter
from pathlib import Path

import polars as pl

from autoif_assets.inputs.files import InputError, fail, find_files, packaged, sniff
from autoif_assets.inputs.records import (
    INSTRUCTIONS,
    query_shape,
    read_csv,
    read_lines,
    read_records,
    record_keys,
)
from autoif_assets.method.seeds import select_instructions, select_queries


def read_seed_instructions(path: str | None) -> pl.DataFrame:
    """Read seed instructions and accept or reject each of them.

    Files: text (an instruction per line), JSONL or CSV with the columns ``instruction`` and, if
    wanted, ``category``.

    Args:
        path: A path, a glob, or several separated by commas; None or blank: the packaged file.

    Returns:
        All records with the columns of table ``seed_instructions``.

    Raises:
        InputError: A file cannot be used, or no instruction is left.
    """
    spec = (path or "").strip()
    if spec:
        frames = [_read_instructions(str(file), file) for file in find_files(spec)]
    else:
        frames = [_read_instructions(*packaged("seed_instructions.jsonl"))]
    instructions = select_instructions(pl.concat(frames))
    if not (instructions["status"] == "accepted").any():
        fail(spec, f"none of {instructions.height} records has an instruction")
    return instructions


def _read_instructions(source: str, path: Path) -> pl.DataFrame:
    format = sniff(path)
    if format == "text":
        frame = read_lines(path)
    elif format == "csv":
        frame = read_csv(path, INSTRUCTIONS.key)
    elif format == "json":
        keys = record_keys(path, format)
        if INSTRUCTIONS.key not in keys:
            fail(path, f'record 1 has: {", ".join(keys) or "no keys"}; expected "instruction"')
        frame = read_records(path, format, INSTRUCTIONS)
    else:
        fail(path, "seed instructions are read from TXT, JSONL or CSV files")
    return frame.select(pl.lit(source).alias("source"), "line", "text", "category")


def check_inputs(
    seeds: str | None, queries: str | None, column: str | None, min_chars: int, max_chars: int
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

    Raises:
        InputError: A file cannot be used, or nothing of its kind is left; of seeds and of queries,
            each on a line, for people mend both before they try again.
    """
    problems = []
    for check in (
        lambda: read_seed_instructions(seeds),
        lambda: _check_queries(queries, column, min_chars, max_chars),
    ):
        try:
            check()
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))


def _check_queries(queries: str | None, column: str | None, min_chars: int, max_chars: int) -> None:
    spec = (queries or "").strip()
    if spec and sum(path.stat().st_size for path in find_files(spec)) > _WHOLE_BYTES:
        try:
            read_seed_queries(spec, column, min_chars, max_chars, _HEAD)
            return
        except InputError:
            # The head alone decides nothing against a file.
            pass
    read_seed_queries(queries, column, min_chars, max_chars)


_WHOLE_BYTES = 4_000_000
_HEAD = 1000


def read_seed_queries(
    spec: str | None,
    column: str | None,
    min_chars: int,
    max_chars: int,
    most: int | None = None,
) -> pl.DataFrame:
    """Read user queries and accept or reject each of them.

    Files: ShareGPT JSON or JSONL (first human turn), OpenAI ``messages`` JSONL (first user
    turn), Alpaca JSON (instruction and input), plain text (a query per line), and Parquet, CSV
    or JSON with the text in ``column``. The suffix decides, for other suffixes the content.

    Args:
        spec: A path, a glob, or several separated by commas; None or blank: the packaged file.
        column: Name of the column or key that holds the text; None or blank: the known layouts.
        min_chars: A query is longer than this many characters.
        max_chars: A query is shorter than this many characters.
        most: Records to read at the head of each file; all if None.

    Returns:
        All records with the columns of table ``seed_queries``.

    Raises:
        InputError: A file cannot be used, or no query is left.
    """
    spec, column = (spec or "").strip(), (column or "").strip() or None
    if spec:
        frames = [_read_queries(str(path), path, column, most) for path in find_files(spec)]
    else:
        frames = [_read_queries(*packaged("seed_queries.txt"), None, most)]
    queries = select_queries(pl.concat(frames), min_chars, max_chars)
    if not (queries["status"] == "accepted").any():
        reasons = Counter(queries["reason"].drop_nulls().to_list()).most_common()
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons)
        raise InputError(
            f"{spec}: none of {queries.height} records is a usable query ({counts or 'no records'}"
            f"); expected texts of {min_chars + 1} to {max_chars - 1} characters"
        )
    return queries


def _read_queries(source: str, path: Path, column: str | None, most: int | None) -> pl.DataFrame:
    format = sniff(path)
    if format == "text":
        frame = read_lines(path, most)
    elif format == "csv":
        if column is None:
            fail(path, "name the column with the text in AUTOIF_QUERIES_COLUMN")
        frame = read_csv(path, column, most)
    else:
        where = "record 1" if format == "json" else "the file"
        shape = query_shape(path, record_keys(path, format), column, where)
        frame = read_records(path, format, shape, most)
    return frame.select(pl.lit(source).alias("source"), "line", "text", "reason")
