"""Writing data files, a bounded number of rows at a time."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from autoif_assets.datasets.formats import DatasetKind, Format, Split

# Rows turned into JSON or Arrow at once, and rows of a Parquet row group.
_CHUNK_ROWS = 10_000

# Legal inside a JSON string, but `str.splitlines` ends a line at each.
_LINE_ENDS = tuple((c, f"\\u{ord(c):04x}") for c in "\x85\u2028\u2029")


@dataclass(frozen=True)
class ExportedFile:
    """A data file of an export.

    Attributes:
        path: Where it lies.
        format: Name of the format.
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


@dataclass(frozen=True)
class Extra:
    """A file beside those of the formats.

    Attributes:
        path: Relative to the dataset's folder.
        data: Its content.
        description: One sentence for the card.
        named: Under which name the card's front matter has its SHA-256; empty where it has not.
    """

    path: str
    data: bytes
    description: str
    named: str = ""

    @property
    def sha256(self) -> str:
        """Checksum of the content, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    def write(self, folder: Path) -> None:
        """Write it, on disk before the folder is exchanged."""
        path = folder / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(self.data)
            file.flush()
            os.fsync(file.fileno())


class SplitWriter:
    """The files of one split, one a format, below ``folder``.

    Rows go to the files in chunks of a fixed size, so the files do not depend on the sizes of
    the frames in which the rows came.

    Attributes:
        instructions: Ids of the instructions of the rows.
    """

    def __init__(self, kind: DatasetKind, split: Split, folder: Path):
        self.instructions: set[str] = set()
        self._files = [_FileWriter(format, split, folder) for format in kind.formats]
        self._waiting: pl.DataFrame | None = None

    def write(self, rows: pl.DataFrame) -> None:
        """Append rows; all frames have the same columns."""
        self.instructions.update(rows["instruction_id"].unique())
        if self._waiting is not None:
            rows = pl.concat([self._waiting, rows])
        whole = rows.height - rows.height % _CHUNK_ROWS
        for chunk in rows[:whole].iter_slices(_CHUNK_ROWS):
            self._append(chunk)
        self._waiting = rows[whole:]

    def finish(self) -> list[ExportedFile]:
        """Write what waits and flush the files to disk."""
        if self._waiting is not None:
            self._append(self._waiting)
        return [file.finish() for file in self._files]

    def _append(self, chunk: pl.DataFrame) -> None:
        for file in self._files:
            file.append(chunk.rechunk())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()


class _FileWriter:
    """One data file; no rows make a valid file, too."""

    def __init__(self, format: Format, split: Split, folder: Path):
        self._format, self._split = format, split
        self._path = folder / format.path(split)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w+b")
        self._rows = 0
        self._seen: set[bytes] = set()
        self._parquet: pq.ParquetWriter | None = None

    def append(self, rows: pl.DataFrame) -> None:
        if self._format.once:
            rows = self._unseen(rows, self._format.once)
        chunk = self._format.shape(rows)
        if self._format.suffix == "parquet":
            self._append_row_group(chunk)
        elif self._format.suffix == "jsonl":
            self._file.write(_json_lines(chunk).encode())
        elif lines := _json_lines(chunk).rstrip("\n"):
            # One array with a row a line: JSON escapes newlines inside strings, so each newline
            # of the JSON lines ends a row.
            separator = ",\n" if self._rows else "[\n"
            self._file.write((separator + lines.replace("\n", ",\n")).encode())
        self._rows += chunk.height

    def finish(self) -> ExportedFile:
        if self._parquet is not None:
            self._parquet.close()
        if self._format.suffix == "json":
            self._file.write(b"\n]\n" if self._rows else b"[\n]\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.seek(0)
        digest = hashlib.file_digest(self._file, "sha256").hexdigest()
        size = os.fstat(self._file.fileno()).st_size
        return ExportedFile(self._path, self._format.name, self._split, self._rows, size, digest)

    def close(self) -> None:
        """Close the file, whole or not."""
        if self._parquet is not None:
            self._parquet.close()
        self._file.close()

    def _unseen(self, rows: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
        """Leave out rows whose values of text columns were written before.

        Digests stand for the texts, of which all together may be larger than the memory.
        """
        new = []
        for texts in rows.select(columns).iter_rows():
            digest = hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).digest()
            new.append(digest not in self._seen)
            self._seen.add(digest)
        return rows.filter(pl.Series(new, dtype=pl.Boolean))

    def _append_row_group(self, chunk: pl.DataFrame) -> None:
        """Write row groups one by one: Polars' own writer takes five times the rows' memory."""
        table = chunk.to_arrow()
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._file, _plain(table.schema), compression="zstd")
        # Not even an empty row group: `datasets` cannot read one.
        if chunk.height:
            self._parquet.write_table(table.cast(self._parquet.schema))


def _json_lines(chunk: pl.DataFrame) -> str:
    text = chunk.write_ndjson()
    for character, escape in _LINE_ENDS:
        text = text.replace(character, escape)
    return text


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
