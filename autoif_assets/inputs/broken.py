"""Naming the place where a JSON file is broken, for files of any size."""

import json
from pathlib import Path

from autoif_assets.inputs.files import decoded, fail, read_head

# At least this much of the text is held from the record in hand on; DuckDB has the same limit.
_WINDOW = 1 << 24
_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()
_EXPECTED = "expected one JSON array of records, or one record per line"


def find_broken_record(path: Path) -> None:
    """Raise an error that names the first broken record of a JSON file, if it finds one.

    Only for a file that was refused before: its records pass through Python one at a time.

    Raises:
        InputError: The file is not UTF-8, or a record is not JSON or too large.
    """
    is_array = read_head(path).lstrip().startswith(b"[")
    window = _Window(path)
    record = 0
    window.fill()
    while _enter_next(window, path, record) if is_array else window.sign:
        record += 1
        _pass_record(window, path, record)
        window.fill()


class _Window:
    """The text of a file from a position on, as much as a record may need.

    Attributes:
        text: What is held.
        at: The position in it, never at a blank.
    """

    def __init__(self, path: Path) -> None:
        self._pieces = decoded(path)
        self._line = 1
        self._column = 0  # characters of that line in front of the text
        self.text = ""
        self.at = 0

    def fill(self) -> None:
        """Hold ``_WINDOW`` characters from the position on, or all that is left."""
        # What was passed is let go of, and twice as much is held, so that a text of small records
        # is not copied for each of them.
        if len(self.text) - self.at < _WINDOW:
            self._line, self._column = self._lines_to(self.at)
            self.text, self.at = self.text[self.at :], 0
            for piece in self._pieces:
                self.text += piece
                if len(self.text) >= 2 * _WINDOW:
                    break
        self.move_to(self.at)

    def move_to(self, at: int) -> None:
        """Go to the first character from ``at`` on that is no blank."""
        while at < len(self.text) and self.text[at] in _SPACE:
            at += 1
        self.at = at

    @property
    def sign(self) -> str:
        """The character at the position; empty at the end."""
        return self.text[self.at : self.at + 1]

    def has_more(self) -> bool:
        """Whether the file goes on behind what is held."""
        return bool(next(self._pieces, ""))

    def place(self, at: int) -> str:
        """Return the line and column of a position, as people count them."""
        line, before = self._lines_to(at)
        return f"line {line}, column {before + 1}"

    def _lines_to(self, at: int) -> tuple[int, int]:
        """Return the line of a position, and the characters of that line in front of it."""
        lines = self.text.count("\n", 0, at)
        before = at - self.text.rfind("\n", 0, at) - 1
        return self._line + lines, before if lines else self._column + before


def _enter_next(window: _Window, path: Path, record: int) -> bool:
    """Go to the value behind ``record`` in an array; False where the array ends there."""
    if window.sign == "]":
        window.move_to(window.at + 1)
        if window.sign:
            fail(path, f"has something after the ] that follows record {record}")
        return False
    if not window.sign:
        fail(path, f"ends after record {record} without a closing ]; is it cut off?")
    if window.sign != ("," if record else "["):
        place = window.place(window.at)
        fail(path, f'after record {record} comes "{window.sign}" ({place}); expected , or ]')
    window.move_to(window.at + 1)
    # An array may be empty, but a comma promises a record.
    return record > 0 or window.sign != "]"


def _pass_record(window: _Window, path: Path, record: int) -> None:
    """Go behind the value at the position, which is ``record``."""
    try:
        value, end = _DECODER.raw_decode(window.text, window.at)
        # Escapes may spell what no UTF-8 file can hold, and DuckDB refuses.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        # An error at the end of the window may be the window's fault, not the record's.
        cut = error.pos >= len(window.text) or error.msg.startswith("Unterminated string")
        if cut and window.has_more():
            fail(path, f"record {record} is larger than {_WINDOW >> 20} MiB; leave it out")
        place = window.place(error.pos)
        fail(path, f"record {record} is not JSON: {error.msg} ({place}); {_EXPECTED}")
    except UnicodeEncodeError:
        fail(path, f"record {record} has half of a surrogate pair (\\ud800 to \\udfff)")
    window.move_to(end)
