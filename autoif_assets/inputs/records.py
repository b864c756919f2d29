"""The texts in a file's records, with their place in the file.

Records are read inside DuckDB, for files may be large: of a JSON or Parquet file none becomes a
Python object. Every record is seen as JSON there, so that ShareGPT, OpenAI and Alpaca files and a
column of plain text are read by one query whatever holds them; records keep their order and are
counted from 1. A JSON file that DuckDB refuses is read again record by record, and those that are
broken become rows with a reason.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from autoif_assets.inputs.broken import Row, salvage
from autoif_assets.inputs.files import InputError, compression, fail, read_head
from autoif_assets.inputs.lines import table_header, table_rows
from autoif_assets.method.conversations import NotKept, context_of

# A turn names its speaker and its text as ShareGPT does (from, value) or as OpenAI does (role,
# content); OpenAI's content may be a list of parts.
_TURN = """[{"from": "VARCHAR", "role": "VARCHAR", "value": "JSON", "content": "JSON"}]"""
_SPEAKER = """lower(coalesce(turn."from", turn.role))"""
# What servers set of themselves when nobody says anything; it changes no answer.
_NO_CONTEXT = (
    r"\s*(you are \w+, created by [\w ]+\.\s*)?you are an? "
    r"((helpful|friendly|honest|harmless|respectful|ai|language|and|,)[\s,]+)*(assistant|model)"
    r"[.!]?\s*"
)
_CARRIES = f"""trim(coalesce(coalesce(turn.value, turn.content) ->> '$', ''), E' \\n\\r\\t') <> ''
    AND NOT ({_SPEAKER} IN ('system', 'developer') AND regexp_full_match(
        lower(coalesce(turn.value, turn.content) ->> '$'), $no_context))"""
# A conversation may stand in a column as JSON text.
_UNPACKED = """CASE WHEN starts_with(found[1]::VARCHAR, '"[') AND coalesce(
    json_type(TRY_CAST(found[1] ->> '$' AS JSON), '$[0].from'),
    json_type(TRY_CAST(found[1] ->> '$' AS JSON), '$[0].role')
) = 'VARCHAR' THEN TRY_CAST(found[1] ->> '$' AS JSON) ELSE found[1] END"""
# Parts of a turn that are no text, such as a picture; a part without a type is text.
_NOT_TEXT = """json_type(said) = 'ARRAY' AND len(list_filter(
    json_extract_string(said, '$[*].type'),
    lambda kind: kind IS NOT NULL AND kind NOT IN ('text', 'input_text'))) > 0"""
_INPUT = """CASE WHEN lower(trim(found[2] ->> '$', E' \\n\\t')) NOT IN ('', '<noinput>')
    THEN E'\\n' || (found[2] ->> '$') ELSE '' END"""
_HISTORY = """CASE WHEN json_type(found[5]) = 'VARCHAR' THEN TRY_CAST(found[5] ->> '$' AS JSON)
    ELSE found[5] END"""
# What a record says beside its text: a system message, and earlier turns (Alpaca's history).
_SURROUNDED = """(NOT regexp_full_match(lower(coalesce(found[4] ->> '$', '')), '\\s*')
        AND NOT regexp_full_match(lower(found[4] ->> '$'), $no_context))
    OR coalesce(json_array_length(history), 0) > 0"""
# The place of the human turn that is the query: the first one, or the last one.
_HUMAN = f"list_transform(turns, lambda turn: {_SPEAKER} IN ('human', 'user'))"
_FIRST = f"CASE WHEN opener IN ('human', 'user') THEN 1 ELSE list_position({_HUMAN}, true) END"
_LAST = f"len(turns) + 1 - list_position(list_reverse({_HUMAN}), true)"
# Step by step: the value under the key, its type, the turns where it is a conversation, the human
# one that is asked, what was said in it, and whether it needs what came before. A null in a column
# of conversations is one without a human turn.
_QUERY = """
WITH records AS (SELECT * FROM {source}),
searched AS (SELECT line, reason, json_extract(json, $keys) AS found FROM records),
keyed AS (SELECT line, reason, found, {value} AS value, {history} AS history FROM searched),
typed AS (SELECT *, json_type(value) AS type FROM keyed),
turned AS (SELECT *, CASE type WHEN 'ARRAY' THEN from_json(value, '{turn}') END AS turns
    FROM typed),
opened AS (SELECT *, lower(coalesce(turns[1]."from", turns[1].role)) AS opener FROM turned),
placed AS (SELECT *, {place} AS place FROM opened),
told AS (SELECT *, coalesce(turns[place].value, turns[place].content) AS said,
    CASE WHEN place > 1
        THEN len(list_filter(turns[:place - 1], lambda turn: {carries})) > 0 END AS needs_turns
    FROM placed),
weighed AS (SELECT *, coalesce(needs_turns, false) OR {surrounded} AS needs_others FROM told)
SELECT line, coalesce(type, 'MISSING') AS type,
    CASE
        WHEN type = 'VARCHAR' THEN (value ->> '$') || {suffix}
        WHEN json_type(said) = 'VARCHAR' THEN said ->> '$'
        WHEN json_type(said) = 'ARRAY'
            THEN array_to_string(json_extract_string(said, '$[*].text'), E'\\n')
    END AS text,
    place IS NULL AND (type = 'ARRAY' OR type = 'NULL' AND {only_turns}) AS without_human,
    coalesce({not_text}, false) AS is_more,
    needs_others, {whole} AS whole, found[3] ->> '$' AS category, reason
FROM weighed ORDER BY line
"""
# What is kept of a conversation is read of all of it.
_WHOLE = "CASE WHEN needs_others THEN json_array(value, place, found[4], history) END::VARCHAR"
_KEPT = {"context": pl.String, "not_kept": pl.String}
_BESIDE = ("input", "category", "system", "history")
_TYPES = {
    "ARRAY": "a list",
    "VARCHAR": "text",
    "BOOLEAN": "true or false",
    "NULL": "null",
}
_UNREADABLE = {
    "not_json": "is not JSON; expected one JSON array of records, or one record per line",
    "not_text": "is no Unicode text; save the file as UTF-8",
    "too_large": "is larger than 16 MiB; leave it out",
}
# So many records at the head of a file tell its keys; one alone decides nothing.
_HEAD = 1000
_Params = dict[str, str | list[str]]
_BATCH = 1000
_ROWS = pa.schema([("line", pa.int64()), ("json", pa.string()), ("reason", pa.string())])


@dataclass(frozen=True)
class Shape:
    """Where the text of a record is: its key, what may be there, and how to read it."""

    key: str
    types: frozenset[str]
    beside: frozenset[str] = frozenset()


_CONTEXT = frozenset({"system", "history"})
_SHAPES = (
    Shape("conversations", frozenset({"ARRAY"}), _CONTEXT),
    Shape("messages", frozenset({"ARRAY"}), _CONTEXT),
    Shape("instruction", frozenset({"VARCHAR"}), _CONTEXT | {"input"}),
)
# As queries are called here. It may stand beside the layouts, of which it is none.
_QUERIES = Shape("query", frozenset({"VARCHAR"}), _CONTEXT)
INSTRUCTIONS = Shape("instruction", frozenset({"VARCHAR"}), frozenset({"category"}))


def known_shape(keys: list[str]) -> Shape | None:
    """Return how to read queries from records that have ``keys``, the most frequent first."""
    found = (shape for key in keys for shape in _SHAPES if shape.key == key)
    return next(found, _QUERIES if _QUERIES.key in keys else None)


def column_shape(column: str) -> Shape:
    """Return how to read queries from a column that was named."""
    known = [shape for shape in _SHAPES[:2] if shape.key == column]
    return known[0] if known else Shape(column, frozenset({"VARCHAR", "ARRAY"}))


@dataclass
class Records:
    """The records of a file that is neither text nor Markdown.

    Attributes:
        path: A JSON array, JSON objects one after another (JSONL), a Parquet, CSV or TSV file; or
            what ``table`` is called in errors.
        format: As `files.sniff` tells it, or ``arrow``.
        table: The records, if they are in no file.
    """

    path: Path | str
    format: str
    table: pa.Table | None = None
    _is_broken: bool = False
    _refused: list[InputError] = field(default_factory=list)

    def keys(self) -> list[str]:
        """Return the keys of the records at the head, those of most records first.

        Raises:
            InputError: The file is no file of its format, or there are no objects in its head.
        """
        if self.table is not None:
            return list(self.table.column_names)
        if self.format in ("csv", "tsv"):
            return table_header(Path(self.path), self.format)
        if self.format == "parquet":
            sql = "DESCRIBE SELECT * FROM read_parquet($path)"
            return self._run(sql, {}, ())["column_name"].to_list()
        sql = (
            "SELECT line, reason, json_type(json) AS type, CASE json_type(json) WHEN 'OBJECT' "
            f"THEN json_keys(json) END AS keys FROM {{source}} LIMIT {_HEAD}"
        )
        head = self._run(sql, {}, ())
        if head.is_empty():
            fail(self.path, "has no records")
        counts = Counter(key for keys in head["keys"].drop_nulls() for key in dict.fromkeys(keys))
        if head["keys"].null_count() == head.height:
            type, reason = head.select("type", "reason").row(0)
            if reason is not None:
                fail(self.path, f"record 1 {_UNREADABLE[reason]}")
            found = _TYPES.get(type, "a number")
            expected = 'expected an object such as {"instruction": "..."}'
            fail(self.path, f"record 1 is {found}; {expected}")
        return [key for key, _ in counts.most_common()]

    def read(self, shape: Shape, most: int | None = None, *, keep: bool = False) -> pl.DataFrame:
        """Read the text of every record.

        Args:
            shape: Where the text is.
            most: Records to read at the head of the file; all if None.
            keep: Whether a conversation is kept: its text is that of the last human turn instead
                of the first, and what it needs of what was said before is its context.

        Returns:
            ``line: Int64`` (record, from 1; of CSV and TSV the line), ``text: str|null``,
            ``context: str|null``, ``category: str|null``, ``reason: str|null``:
            ``no_human_turn``, ``multi_turn`` (the first human turn needs what was said before) or,
            of conversations to keep, those of ``context_of``; ``not_only_text`` (the turn comes
            with a picture, say); ``no_text`` (neither text nor turns
            under the key), ``control_characters``, and those of rows that could not be read:
            ``not_json``, ``too_large``, ``not_text``, ``bad_row``.

        Raises:
            InputError: The file is no file of its format.
        """
        keys = [_path(shape.key)]
        keys += [f"$.{name}" if name in shape.beside else "$.no.such.key" for name in _BESIDE]
        sql = _QUERY.format(
            source="{source}" if most is None else f"(SELECT * FROM {{source}} LIMIT {most})",
            value=_UNPACKED if "ARRAY" in shape.types else "found[1]",
            turn=_TURN.replace("{", "{{").replace("}", "}}"),
            history=_HISTORY,
            place=_LAST if keep else _FIRST,
            carries=_CARRIES,
            not_text=_NOT_TEXT,
            suffix=_INPUT if "input" in shape.beside else "''",
            surrounded=f"({_SURROUNDED})" if shape.beside >= _CONTEXT else "false",
            only_turns=str(shape.types == {"ARRAY"}),
            whole=_WHOLE if keep else "NULL::VARCHAR",
        )
        params: _Params = {"keys": keys, "no_context": _NO_CONTEXT}
        frame = self._run(sql, params, (shape.key, *sorted(shape.beside)))
        if keep:
            kept = [_kept(whole) for whole in frame["whole"]]
            frame = frame.hstack(pl.DataFrame(kept, schema=_KEPT, orient="row"))
        else:
            # Files may have millions of records: they are not gone through for nothing.
            frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in _KEPT)
        reason = (
            pl.when(pl.col("reason").is_not_null())
            .then("reason")
            .when(~pl.col("type").is_in([*shape.types, "NULL"]))
            .then(pl.lit("no_text"))
            .when("without_human")
            .then(pl.lit("no_human_turn"))
            .when("needs_others")
            .then("not_kept" if keep else pl.lit("multi_turn"))
            .when("is_more")
            .then(pl.lit("not_only_text"))
            .when(pl.col("text").str.contains("\0", literal=True))
            .then(pl.lit("control_characters"))
        )
        frame = frame.with_columns(reason=reason)
        unfit = pl.col("reason").is_in(["no_text", "control_characters"])
        text = pl.when(unfit.not_() | pl.col("reason").is_null()).then("text")
        return frame.select("line", text, "context", "category", "reason")

    def fields(self, names: tuple[str, ...]) -> pl.DataFrame:
        """Read what stands under some keys of every record.

        Args:
            names: The keys; of a table, columns that it has.

        Returns:
            ``line: Int64``, ``reason: str|null`` as of ``read``, and of each key its value as JSON,
            null where it is not there.

        Raises:
            InputError: The file is no file of its format.
        """
        sql = (
            "SELECT line, reason, CAST(json_extract(json, $keys) AS VARCHAR[]) AS found "
            "FROM {source} ORDER BY line"
        )
        frame = self._run(sql, {"keys": [_path(name) for name in names]}, names)
        values = [pl.col("found").list.get(n).alias(name) for n, name in enumerate(names)]
        return frame.select("line", "reason", *values)

    def place(self, line: int) -> str:
        """Return where a record stands, for people: its file, and its line or number."""
        is_table = self.format in ("csv", "tsv")
        return f"{self.path}, {'line' if is_table else 'record'} {line}"

    def _run(self, sql: str, params: _Params, columns: tuple[str, ...]) -> pl.DataFrame:
        try:
            return self._ask(sql, params, columns)
        except (duckdb.Error, pa.ArrowException) as error:
            if self._refused:
                raise self._refused[0] from None
            if self.format == "parquet":
                fail(self.path, f"is not a readable Parquet file: {_sentence(error)}")
            if self.format != "json" or self._is_broken:
                fail(self.path, f"cannot be read: {_sentence(error)}")
        # DuckDB tells neither which record is broken nor what stands behind it.
        self._is_broken = True
        return self._run(sql, params, columns)

    def _ask(self, sql: str, params: _Params, columns: tuple[str, ...]) -> pl.DataFrame:
        with duckdb.connect() as connection:
            source = self._source(columns)
            if "$path" in source + sql:
                params = {**params, "path": str(self.path)}
            else:
                rows = self._batches(columns) if self.table is None else self.table
                connection.register("rows", rows)
            result = connection.sql(sql.format(source=source), params=params)
            frame = pl.from_arrow(result.to_arrow_table())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _source(self, columns: tuple[str, ...]) -> str:
        """Return what DuckDB reads as ``line``, ``json`` and ``reason`` of each record."""
        numbered = "row_number() OVER () AS line, NULL::VARCHAR AS reason"
        if columns and self.format in ("parquet", "arrow"):
            # Only the columns that are needed become JSON; the others may be large.
            present = [name for name in columns if name in self.keys()]
            fields = ", ".join(f"{_quote(name)} := {_quote(name)}" for name in present)
            json = f"to_json(struct_pack({fields})) AS json"
            whole = "rows" if self.format == "arrow" else "read_parquet($path)"
            return f"(SELECT {numbered}, {json} FROM {whole})"
        if self.format == "json" and not self._is_broken:
            layout = (
                "array" if read_head(Path(self.path)).lstrip().startswith(b"[") else "unstructured"
            )
            options = f"format = '{layout}', compression = '{compression(Path(self.path))}'"
            return f"(SELECT {numbered}, json FROM read_json_objects($path, {options}))"
        return (
            "(SELECT line, TRY_CAST(json AS JSON) AS json, "
            "CASE WHEN TRY_CAST(json AS JSON) IS NULL THEN reason END AS reason FROM rows)"
        )

    def _batches(self, columns: tuple[str, ...]) -> pa.RecordBatchReader:
        path, is_json = Path(self.path), self.format == "json"
        rows = salvage(path) if is_json else table_rows(path, self.format, columns)
        return pa.RecordBatchReader.from_batches(_ROWS, self._in_batches(rows))

    def _in_batches(self, rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
        try:
            while batch := list(islice(rows, _BATCH)):
                yield pa.record_batch([list(values) for values in zip(*batch, strict=True)], _ROWS)
        except InputError as error:
            # DuckDB makes errors of its own from all others.
            self._refused.append(error)
            raise


def _kept(whole: str | None) -> tuple[str | None, str | None]:
    """Return the context of a conversation, or why it has none."""
    if whole is None:
        return None, None
    try:
        value, place, system, history = json.loads(whole)
        return context_of(value[:place] if isinstance(value, list) else [], system, history), None
    except NotKept as error:
        return None, str(error)
    except (ValueError, RecursionError):
        return None, "no_text"


def _path(key: str) -> str:
    # A key may hold dots and quotes, which JSON paths would take for their own.
    return '$."' + key.replace('"', '\\"') + '"'


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sentence(error: Exception) -> str:
    first = str(error).partition("\n")[0]
    return first.partition("Error: ")[2] or first
