"""User queries from files of many kinds."""

from collections import Counter
from pathlib import Path

import polars as pl

from autoif_assets.inputs.files import InputError, fail, find_files, packaged, sniff
from autoif_assets.inputs.records import query_shape, read_records, record_keys
from autoif_assets.inputs.tables import read_csv, read_lines
from autoif_assets.method.seeds import select_queries


def read_seed_queries(
    spec: str | None, column: str | None, min_chars: int, max_chars: int
) -> pl.DataFrame:
    """Read user queries and judge each of them.

    Files: ShareGPT JSON or JSONL (first human turn), OpenAI ``messages`` JSONL (first user
    turn), Alpaca JSON (instruction and input), plain text (a query per line), and Parquet, CSV
    or JSON with the text in ``column``. The suffix decides, for other suffixes the content.

    Args:
        spec: A path, a glob, or several separated by commas; None or blank: the packaged file.
        column: Name of the column or key that holds the text; None or blank: the known layouts.
        min_chars: A query is longer than this many characters.
        max_chars: A query is shorter than this many characters.

    Returns:
        All records with the columns of table ``seed_queries``.

    Raises:
        InputError: A file cannot be used, or no query is left.
    """
    spec, column = (spec or "").strip(), (column or "").strip() or None
    if spec:
        frames = [_read(str(path), path, column) for path in find_files(spec)]
    else:
        frames = [_read(*packaged("seed_queries.txt"), None)]
    queries = select_queries(pl.concat(frames), min_chars, max_chars)
    if not (queries["status"] == "accepted").any():
        reasons = Counter(queries["reason"].drop_nulls().to_list()).most_common()
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons)
        raise InputError(
            f"{spec}: none of {queries.height} records is a usable query ({counts or 'no records'}"
            f"); expected texts of {min_chars + 1} to {max_chars - 1} characters"
        )
    return queries


def _read(source: str, path: Path, column: str | None) -> pl.DataFrame:
    format = sniff(path)
    if format == "text":
        frame = read_lines(path)
    elif format == "csv":
        if column is None:
            fail(path, "name the column with the text in AUTOIF_QUERIES_COLUMN")
        frame = read_csv(path, column)
    else:
        where = "record 1" if format == "json" else "the file"
        shape = query_shape(path, record_keys(path, format), column, where)
        frame = read_records(path, format, shape)
    return frame.select(pl.lit(source).alias("source"), "line", "text", "reason")
