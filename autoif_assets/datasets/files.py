"""Writing one data file, a bounded number of rows at a time."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from autoif_assets.datasets.formats import Format, Split

# Rows turned into JSON or Arrow at once, and rows of a Parquet row group.
_CHUNK_ROWS = 10_000

# Legal inside a JSON string, but `str.splitlines` ends a line at each.
_LINE_ENDS = tuple((c, f"\\u{ord(c):04x}") for c in "\x85\u2028\u2029")


@dataclass(frozen=True)
class ExportedFile:
    """A data file of an export.

    Attributes:
        path: Where it lies.
        format: Name of the format: messages, alpaca, trl, ranking or parquet.
        split: train or eval.
        rows: Number of rows.
        bytes: Size.
        sha256: Checksum of the content, in hex.
    """

    path: Path
    format: str
    split: Split
    rows: int
    bytes: int
    sha256: str


def write_file(rows: pl.DataFrame, format: Format, split: Split, folder: Path) -> ExportedFile:
    """Write ``rows`` in their order as one file of ``format`` below ``folder``, on disk."""
    path = folder / format.path(split)
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = _chunks(rows, format)
    with path.open("w+b") as file:
        if format.suffix == "parquet":
            _write_parquet(chunks, file)
        elif format.suffix == "jsonl":
            for chunk in chunks:
                file.write(_json_lines(chunk).encode())
        else:
            _write_array(chunks, file)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
    return ExportedFile(path, format.name, split, rows.height, size, digest)


def _chunks(rows: pl.DataFrame, format: Format) -> Iterator[pl.DataFrame]:
    """The rows in the format's columns, in chunks; one empty chunk if there are no rows."""
    for chunk in rows.iter_slices(_CHUNK_ROWS) if rows.height else (rows,):
        yield format.shape(chunk)


def _json_lines(chunk: pl.DataFrame) -> str:
    text = chunk.write_ndjson()
    for character, escape in _LINE_ENDS:
        text = text.replace(character, escape)
    return text


def _write_array(chunks: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    """Write one JSON array with a row a line.

    JSON escapes newlines inside strings, so each newline of the JSON lines ends a row.
    """
    separator = "\n"
    file.write(b"[")
    for chunk in chunks:
        if lines := _json_lines(chunk).rstrip("\n"):
            file.write((separator + lines.replace("\n", ",\n")).encode())
            separator = ",\n"
    file.write(b"\n]\n")


def _write_parquet(chunks: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    """Write row groups one by one: Polars' own writer takes five times the rows' memory."""
    first = next(chunks)
    schema = _plain(first.head(0).to_arrow().schema)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        writer.write_table(first.to_arrow().cast(schema))
        for chunk in chunks:
            writer.write_table(chunk.to_arrow().cast(schema))


def _plain(schema: pa.Schema) -> pa.Schema:
    """Without the large_ types Polars uses, which not every reader of Parquet knows."""
    return pa.schema([(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(type_):
        return pa.string()
    if pa.types.is_large_list(type_) or pa.types.is_list(type_):
        return pa.list_(_plain_type(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([(field.name, _plain_type(field.type)) for field in type_])
    return type_
