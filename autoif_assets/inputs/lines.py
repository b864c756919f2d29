"""The texts of files that people write by hand: a text per line, lists, CSV and TSV."""

import csv
import io
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import polars as pl

from autoif_assets.inputs.broken import Row
from autoif_assets.inputs.files import decoded, fail, is_text
from autoif_assets.method.lists import is_list, parse_instruction_lines

SCHEMA = {"line": pl.Int64, "text": pl.String, "category": pl.String, "reason": pl.String}
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_HEADING = re.compile(r"\s*#{1,6}\s")


def read_lines(path: Path, most: int | None = None) -> pl.DataFrame:
    """Read a text per line; blank lines are skipped, but counted.

    Args:
        path: The file.
        most: Lines to read at the head of the file; all if None.

    Returns:
        ``line: Int64`` (from 1), ``text: str|null``, ``reason: str|null`` (``not_text``,
        ``control_characters``); ``category`` is null.
    """
    return _frame(enumerate(_lines(path, most), start=1))


def read_list(path: Path, most: int | None = None) -> pl.DataFrame:
    """Read the items of a list in Markdown; where there is none, a text per line but headings.

    Args:
        path: The file.
        most: Lines to read at the head of the file; all if None.

    Returns:
        As `read_lines`; ``line`` is where the item begins.
    """
    # The reader of lists ends lines where Unicode does.
    lines = "\n".join(_lines(path, most)).splitlines()
    # A line that is no text is a row of its own and stands in no item.
    rows = {at: line for at, line in enumerate(lines, start=1) if not is_text(line)}
    kept = ["" if at in rows else line for at, line in enumerate(lines, start=1)]
    at = 1
    for item in parse_instruction_lines("\n".join(kept)):
        if _HEADING.match(item):
            continue
        begins = item.partition("\n")[0]
        behind = range(at + (at in rows), len(kept) + 1)
        at = next((place for place in behind if begins in kept[place - 1]), at)
        # A JSON list may hold several in a line; each row has a number of its own.
        while at in rows:
            at += 1
        rows[at] = item
    return _frame(sorted(rows.items()))


def holds_list(path: Path) -> bool:
    """Whether each line of a text file is an item of a list."""
    return is_list("\n".join(line for line in _lines(path) if is_text(line)))


def _frame(lines: "Iterator[tuple[int, str]] | list[tuple[int, str]]") -> pl.DataFrame:
    rows = []
    for number, text in lines:
        if text.strip():
            problem = _problem(text)
            rows.append((number, None if problem else text, None, problem))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _problem(text: str) -> str | None:
    if not is_text(text):
        return "not_text"
    return "control_characters" if "\0" in text else None


def _lines(path: Path, most: int | None = None) -> Iterator[str]:
    return islice((line.rstrip("\n") for line in _split(path)), most)


def _split(path: Path) -> Iterator[str]:
    """Yield the lines of a file with their ends."""
    rest: list[str] = []
    for piece in decoded(path):
        first, *others = piece.split("\n")
        if not others:
            rest.append(first)
            continue
        yield "".join((*rest, first, "\n"))
        yield from (line + "\n" for line in others[:-1])
        rest = [others[-1]]
    if last := "".join(rest):
        yield last


def _table_lines(path: Path) -> Iterator[str]:
    for line in _split(path):
        # Some programs still end lines as old Macs did.
        if "\r" in line[:-2]:
            yield from io.StringIO(line, newline="")
        else:
            yield line


def table_header(path: Path, format: str) -> list[str]:
    """Return the names in the first row of a CSV or TSV file.

    Raises:
        InputError: It has none that can be read.
    """
    header = next(_cells(_Lines(_table_lines(path)), format))[1]
    if header is None:
        fail(path, "its first line, which names the columns, cannot be read")
    return [name.strip() for name in header]


def table_rows(path: Path, format: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of a CSV or TSV file with a header as JSON objects.

    Args:
        path: The file.
        format: ``csv`` or ``tsv``.
        columns: Those to keep.

    Yields:
        A row with the line where it begins. A row that cannot be read, or has more fields than
        the header, is JSON for nobody (``bad_row``); so is one that is no text (``not_text``).
    """
    header = table_header(path, format)
    for line, cells in islice(_cells(_Lines(_table_lines(path)), format), 1, None):
        if cells is None or len(cells) > len(header):
            yield Row(line, None, "bad_row")
        elif cells:
            row = dict(zip(header, cells, strict=False))
            kept = {name: row[name] for name in columns if name in row}
            text = json.dumps(kept, ensure_ascii=False)
            yield Row(line, text if is_text(text) else None, "not_text")


class _Lines:
    """Lines of a file; those of the row in hand can be read again."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.begins = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        return line

    def end_row(self) -> None:
        """The lines that were taken are a row."""
        self.begins += len(self.taken)
        self.taken.clear()

    def end_line(self) -> None:
        """Only the first line that was taken is a row."""
        self._again = deque(chain(self.taken[1:], self._again))
        del self.taken[1:]
        self.end_row()


def _cells(lines: _Lines, format: str) -> Iterator[tuple[int, list[str] | None]]:
    """Yield where each row begins and its fields; None where it is not in the format.

    A field in quotes may span lines; a quote that is not closed costs its own line only.
    """
    # The limit, a number for the whole process, is there for machines with little memory.
    csv.field_size_limit(sys.maxsize)
    delimiter = _DELIMITERS[format]
    while True:
        try:
            for cells in csv.reader(lines, strict=True, delimiter=delimiter):
                yield lines.begins, cells
                lines.end_row()
            return
        except csv.Error:
            # TSV as it was registered knows no quotes: they are part of the text.
            plain = lines.taken[0].rstrip("\r\n").split(delimiter)
            yield lines.begins, plain if format == "tsv" else None
            lines.end_line()
