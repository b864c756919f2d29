"""Plain text and CSV, which people write by hand: the line of the file is kept."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from autoif_assets.inputs.files import decoded, fail

_SCHEMA = {"line": pl.Int64, "text": pl.String, "category": pl.String, "reason": pl.String}
Row = tuple[int, str | None, str | None, None]


def read_lines(path: Path) -> pl.DataFrame:
    """Read a text per line; blank lines are skipped, but counted.

    Returns:
        ``line: Int64`` (from 1), ``text: str``; ``category`` and ``reason`` are null.

    Raises:
        InputError: The file is not UTF-8.
    """
    lines = enumerate("".join(decoded(path)).split("\n"), start=1)
    rows = [(line, text, None, None) for line, text in lines if text.strip()]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def read_csv(path: Path, column: str) -> pl.DataFrame:
    """Read a column, and ``category`` where there is one, of a CSV file with a header.

    Returns:
        ``line: Int64`` (where the row begins, from 1), ``text: str|null``,
        ``category: str|null``; ``reason`` is null.

    Raises:
        InputError: The file is not UTF-8 or not CSV, or has no such column.
    """
    return pl.DataFrame(list(_csv_rows(path, column)), schema=_SCHEMA, orient="row")


def _csv_rows(path: Path, column: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO("".join(decoded(path)), newline=""), strict=True)
    begins = 1
    try:
        header = [name.strip() for name in next(reader)]
        if column not in header:
            fail(path, f'has no column "{column}" in its first line; it has: {", ".join(header)}')
        begins = reader.line_num + 1
        for cells in reader:
            if len(cells) > len(header):
                fail(
                    path,
                    f"line {begins} has {len(cells)} fields, the first line {len(header)}; "
                    "put texts with commas in double quotes",
                )
            if cells:
                row = dict(zip(header, cells, strict=False))
                yield begins, row.get(column), row.get("category"), None
            begins = reader.line_num + 1
    except csv.Error as error:
        fail(path, f"line {begins} is not CSV: {error}")
