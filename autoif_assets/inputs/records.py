"""The texts in a file's records, with their place in the file.

Plain text and CSV, which people write by hand, keep the line of the file. JSON and Parquet files,
which may be large, are read inside DuckDB: a record never becomes a Python object. Every record is
seen as JSON there, so that ShareGPT, OpenAI and Alpaca files and a column of plain text are read
by one query whatever holds them; records keep their order and are counted from 1.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb
import polars as pl

from autoif_assets.inputs.broken import find_broken_record
from autoif_assets.inputs.files import decoded, fail, read_head

_SCHEMA = {"line": pl.Int64, "text": pl.String, "category": pl.String, "reason": pl.String}

# A turn names its speaker and its text as ShareGPT does (from, value) or as OpenAI does (role,
# content); OpenAI's content may be a list of parts.
_TURN = """[{"from": "VARCHAR", "role": "VARCHAR", "value": "JSON", "content": "JSON"}]"""
_HUMAN_TURN = f"""list_filter(
    from_json(value, '{_TURN}'),
    lambda turn: lower(coalesce(turn."from", turn.role)) IN ('human', 'user')
)[1]"""
_INPUT = """CASE WHEN lower(trim(json ->> '$.input', E' \\n\\t')) NOT IN ('', '<noinput>')
    THEN E'\\n' || (json ->> '$.input') ELSE '' END"""
# Step by step: the value under the key, its type, the first human turn where it is a conversation,
# and what was said in that turn. A null in a column of conversations is one without a human turn.
_QUERY = """
WITH records AS (SELECT row_number() OVER () AS line, json FROM {source}),
keyed AS (SELECT line, json, json_extract(json, $key) AS value FROM records),
typed AS (SELECT *, json_type(value) AS type FROM keyed),
turned AS (SELECT *, CASE type WHEN 'ARRAY' THEN {turn} END AS turn FROM typed),
told AS (SELECT *, coalesce(turn.value, turn.content) AS said FROM turned)
SELECT line, coalesce(type, 'MISSING') AS type,
    CASE
        WHEN type = 'VARCHAR' THEN (value ->> '$') || {suffix}
        WHEN json_type(said) = 'VARCHAR' THEN said ->> '$'
        WHEN json_type(said) = 'ARRAY'
            THEN array_to_string(json_extract_string(said, '$[*].text'), E'\\n')
    END AS text,
    turn IS NULL AND (type = 'ARRAY' OR type = 'NULL' AND {only_turns}) AS without_human,
    {category} AS category
FROM told ORDER BY line
"""
_TYPES = {
    "ARRAY": "a list",
    "VARCHAR": "text",
    "OBJECT": "an object",
    "BOOLEAN": "true or false",
    "MISSING": "missing",
}


def read_lines(path: Path, most: int | None = None) -> pl.DataFrame:
    """Read a text per line; blank lines are skipped, but counted.

    Args:
        path: The file.
        most: Lines to read at the head of the file; all if None.

    Returns:
        ``line: Int64`` (from 1), ``text: str``; ``category`` and ``reason`` are null.

    Raises:
        InputError: The file is not UTF-8.
    """
    lines = enumerate(_text(path, most).split("\n")[:most], start=1)
    rows = [(line, text, None, None) for line, text in lines if text.strip()]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _text(path: Path, most: int | None) -> str:
    """Return a file's text, of which the first piece is enough for its head."""
    return "".join(islice(decoded(path), None if most is None else 1))


def read_csv(path: Path, column: str, most: int | None = None) -> pl.DataFrame:
    """Read a column, and ``category`` where there is one, of a CSV file with a header.

    Args:
        path: The file.
        column: The one to read.
        most: Rows to read at the head of the file; all if None.

    Returns:
        ``line: Int64`` (where the row begins, from 1), ``text: str|null``,
        ``category: str|null``; ``reason`` is null.

    Raises:
        InputError: The file is not UTF-8 or not CSV, or has no such column.
    """
    rows = list(islice(_csv_rows(path, column, most), most))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _csv_rows(
    path: Path, column: str, most: int | None
) -> Iterator[tuple[int, str | None, str | None, None]]:
    reader = csv.reader(io.StringIO(_text(path, most), newline=""), strict=True)
    # A quoted text may span lines: what people look for is the line in which its row begins.
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


@dataclass(frozen=True)
class Shape:
    """Where the text of a record is: its key, what may be there, and how to read it."""

    key: str
    types: frozenset[str]
    joins_input: bool = False
    has_category: bool = False

    @property
    def expected(self) -> str:
        """What a record should have under the key, in words."""
        if self.types == {"ARRAY"}:
            return 'a list of turns such as {"from": "human", "value": "..."}'
        if self.types == {"VARCHAR"}:
            return "text"
        return "text or a list of turns"


_SHAPES = (
    Shape("conversations", frozenset({"ARRAY"})),
    Shape("messages", frozenset({"ARRAY"})),
    Shape("instruction", frozenset({"VARCHAR"}), joins_input=True),
)
INSTRUCTIONS = Shape("instruction", frozenset({"VARCHAR"}), has_category=True)


def query_shape(path: Path, keys: list[str], column: str | None, where: str) -> Shape:
    """Choose how to read queries from records that have ``keys``.

    Raises:
        InputError: There is no column of that name, or none of the known keys.
    """
    has = ", ".join(keys) or "no keys"
    if column:
        if column not in keys:
            fail(path, f'{where} has no column "{column}" (AUTOIF_QUERIES_COLUMN); it has: {has}')
        known = [shape for shape in _SHAPES[:2] if shape.key == column]
        return known[0] if known else Shape(column, frozenset({"VARCHAR", "ARRAY"}))
    for shape in _SHAPES:
        if shape.key in keys:
            return shape
    fail(
        path,
        f'{where} has: {has}; expected "conversations" (ShareGPT), "messages" (OpenAI) or '
        '"instruction" (Alpaca), or the name of the text column in AUTOIF_QUERIES_COLUMN',
    )


def record_keys(path: Path, format: str) -> list[str]:
    """Return the keys of a JSON file's first record, or the columns of a Parquet file.

    Raises:
        InputError: The file is broken or has no record, or the first is not an object.
    """
    if format == "parquet":
        sql = "DESCRIBE SELECT * FROM read_parquet($path)"
        return _run(path, format, sql)["column_name"].to_list()
    sql = f"SELECT json_type(json) AS type, json_keys(json) AS keys FROM {_source(path)} LIMIT 1"
    first = _run(path, format, sql)
    if first.is_empty():
        fail(path, "has no records")
    type, keys = first.row(0)
    if type != "OBJECT":
        found = _TYPES.get(type, "a number")
        fail(path, f'record 1 is {found}; expected an object such as {{"instruction": "..."}}')
    return list(keys)


def read_records(path: Path, format: str, shape: Shape, most: int | None = None) -> pl.DataFrame:
    """Read the text of every record.

    Args:
        path: A JSON array, JSON objects one after another (JSONL), or a Parquet file.
        format: ``json`` or ``parquet``.
        shape: Where the text is.
        most: Records to read at the head of the file; all if None.

    Returns:
        ``line: Int64`` (record, from 1), ``text: str|null``, ``category: str|null``,
        ``reason: str|null`` (``no_human_turn``).

    Raises:
        InputError: The file is broken, or a record has something else under the key.
    """
    # A key may hold dots and quotes, which JSON paths would take for their own.
    path_in_record = '$."' + shape.key.replace('"', '\\"') + '"'
    source = _source(path)
    if format == "parquet":
        # Only the columns that are needed become JSON; the others may be large.
        columns = [shape.key] + ["input"] * shape.joins_input + ["category"] * shape.has_category
        present = [name for name in columns if name in record_keys(path, format)]
        fields = ", ".join(f"{_quote(name)} := {_quote(name)}" for name in present)
        source = f"(SELECT to_json(struct_pack({fields})) AS json FROM read_parquet($path))"
    if most is not None:
        source = f"(SELECT json FROM {source} LIMIT {most})"
    frame = _run(
        path,
        format,
        _QUERY.format(
            source=source,
            turn=_HUMAN_TURN,
            suffix=_INPUT if shape.joins_input else "''",
            only_turns=str(shape.types == {"ARRAY"}),
            category="json ->> '$.category'" if shape.has_category else "NULL::VARCHAR",
        ),
        key=path_in_record,
    )
    wrong = frame.filter(~pl.col("type").is_in([*shape.types, "NULL"]))
    if not wrong.is_empty():
        line, type = wrong.row(0)[:2]
        found = _TYPES.get(type, "a number")
        fail(path, f'record {line}: "{shape.key}" is {found}; expected {shape.expected}')
    reason = pl.when("without_human").then(pl.lit("no_human_turn"))
    return frame.select("line", "text", "category", reason=reason)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _source(path: Path) -> str:
    format = "array" if read_head(path).lstrip().startswith(b"[") else "unstructured"
    return f"read_json_objects($path, format = '{format}')"


def _run(path: Path, format: str, sql: str, **params: str) -> pl.DataFrame:
    try:
        with duckdb.connect() as connection:
            result = connection.sql(sql, params={"path": str(path), **params})
            frame = pl.from_arrow(result.to_arrow_table())
    except duckdb.Error as error:
        if format == "parquet":
            fail(path, f"is not a readable Parquet file: {_sentence(error)}")
        # DuckDB counts records differently from version to version: find the place ourselves.
        find_broken_record(path)
        fail(path, f"is not readable JSON: {_sentence(error)}")
    assert isinstance(frame, pl.DataFrame)
    return frame


def _sentence(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0].partition("Error: ")[2]
