"""The records of a JSON file in which something is broken, for files of any size."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from autoif_assets.inputs.files import decoded, fail, is_text, read_head

# At least this much of the text is held from the record in hand on; DuckDB has the same limit.
_WINDOW = 1 << 24
_SPACE = " \t\r\n"
# A whole number of any length is JSON.
_DECODER = json.JSONDecoder(parse_int=float)
_SIGN = re.compile(r'[\\"{}\[\],]')
_LINE = re.compile(r"\n")
_OBJECT_LINE = re.compile(r"\n(?=\{)")
_SEAM = 100


class Row(NamedTuple):
    """A record as it stands in a file.

    Attributes:
        line: Its number or line, from 1.
        json: Its text, which may be broken; None where it cannot be held.
        reason: Why it is rejected where it is no JSON.
    """

    line: int
    json: str | None
    reason: str


def salvage(path: Path) -> Iterator[Row]:
    """Yield the records of a JSON file one at a time, the broken ones too.

    Only for a file that was refused before, for every record passes through Python.

    Raises:
        InputError: It cannot be told where the record behind a broken one begins.
    """
    is_array = read_head(path).lstrip().startswith(b"[")
    window = _Window(path)
    record, stands_at_next = 0, False
    window.fill()
    while stands_at_next or (_enter_next(window, path, record) if is_array else window.sign):
        record += 1
        broken = _decode(window)
        stands_at_next = False
        if broken.reason == "not_text":
            text: str | None = window.text[window.at : broken.end]
            window.move_to(broken.end)
        elif is_array:
            text, stands_at_next = None, _pass_item(window, path, record, broken)
        else:
            text = _pass_line(window)
        if text is not None and not is_text(text):
            text, broken = None, broken._replace(reason="not_text")
        yield Row(record, text, broken.reason)
        window.fill()


class _Decoded(NamedTuple):
    """What is wrong with a value if DuckDB cannot read it.

    Attributes:
        reason: ``not_text`` where it is JSON for Python, else ``not_json`` or ``too_large``.
        end: Behind the value, or where it breaks.
        message: What Python says of it.
    """

    reason: str
    end: int
    message: str = ""


def _decode(window: "_Window") -> _Decoded:
    try:
        return _Decoded("not_text", _DECODER.raw_decode(window.text, window.at)[1])
    except json.JSONDecodeError as error:
        # An error at the end of the window may be the window's fault, not the record's.
        cut = error.pos >= len(window.text) or error.msg.startswith("Unterminated string")
        behind = error.pos - window.at
        reason = "too_large" if cut and window.more() else "not_json"
        return _Decoded(reason, window.at + behind, error.msg)
    except RecursionError:
        return _Decoded("not_json", window.at, "it is nested too deeply")


def _pass_line(window: "_Window") -> str | None:
    """Go behind a broken record of a file without an array; return its text if it is held."""
    begin = window.at
    # An object over several lines ends before the next one that begins a line.
    spread = re.compile(r"\{[ \t\r]*\n").match(window.text, begin)
    if window.skip_to(_OBJECT_LINE if spread else _LINE):
        return None
    return window.text[begin : window.at].strip(_SPACE)


def _pass_item(window: "_Window", path: Path, record: int, broken: _Decoded) -> bool:
    """Go behind a broken record of an array.

    Returns:
        Whether the position is at the next record; if not, it is at a comma or the array's end.
    """
    place = window.place(broken.end if broken.reason == "not_json" else window.at)
    begin = window.at
    # Where each record begins a line, another one that begins a line is the next, whatever
    # quotes and brackets are missing before it.
    before = window.text[window.text.rfind("\n", 0, begin) + 1 : begin]
    if not before.strip(_SPACE + "[") and broken.reason == "not_json":
        indent = re.escape(before) if "[" not in before else "[ \t]*"
        found = re.compile(rf",\s*\n{indent}(?=\{{)").search(window.text, begin)
        if found:
            window.move_to(found.end())
            return True
    if not window.skip_item():
        fail(
            path,
            f"record {record} is not JSON: {broken.message} ({place}), and where the next one "
            "begins cannot be told; is it cut off?",
        )
    return False


class _Window:
    """The text of a file from a position on, as much as a record may need.

    Attributes:
        text: What is held.
        at: The position in it, at no blank when a record is to begin there.
    """

    def __init__(self, path: Path) -> None:
        self._pieces = decoded(path)
        self._line = 1
        self._column = 0  # characters of that line in front of the mark
        self._mark = 0  # up to where lines are counted
        self.text = ""
        self.at = 0

    def fill(self) -> None:
        """Hold ``_WINDOW`` characters from the position on, or all that is left."""
        # What was passed is let go of, and twice as much is held, so that a text of small records
        # is not copied for each of them.
        if len(self.text) - self.at < _WINDOW:
            self.more()
        self.move_to(self.at)

    def more(self) -> bool:
        """Let go of what was passed, and hold more; False where there is none."""
        held = len(self.text) - self.at
        pieces = []
        for piece in self._pieces:
            pieces.append(piece)
            held += len(piece)
            if held >= 2 * _WINDOW:
                break
        if not any(pieces):
            return False
        self._count_to(self.at)
        self.text = "".join((self.text[self.at :], *pieces))
        self.at = self._mark = 0
        return True

    def move_to(self, at: int) -> None:
        """Go to the first character from ``at`` on that is no blank."""
        while at < len(self.text) and self.text[at] in _SPACE:
            at += 1
        self.at = at

    def skip_to(self, pattern: re.Pattern[str]) -> bool:
        """Go behind the next match, or to the end; return whether that let go of some text."""
        let_go = False
        while not (found := pattern.search(self.text, self.at)):
            # A match may lie across the seam.
            at = max(self.at, len(self.text) - _SEAM)
            if not self._has_more_behind(at):
                self.at = len(self.text)
                return let_go
            let_go = True
        self.at = found.end()
        return let_go

    def skip_item(self) -> bool:
        """Go to the comma or bracket that ends an item of an array; False without one."""
        depth, quoted, at = 0, False, self.at
        while True:
            sign = _SIGN.search(self.text, at)
            if sign is None:
                at = max(at - len(self.text), 0)
                if not self._has_more_behind(len(self.text)):
                    return False
                continue
            at = sign.end()
            if sign[0] == "\\":
                at += 1
            elif sign[0] == '"':
                quoted = not quoted
            elif quoted:
                continue
            elif sign[0] in "{[":
                depth += 1
            elif depth == 0:
                self.at = sign.start()
                return True
            elif sign[0] != ",":
                depth -= 1

    @property
    def sign(self) -> str:
        """The character at the position; empty at the end."""
        return self.text[self.at : self.at + 1]

    def place(self, at: int) -> str:
        """Return the line and column, as people count them, of a place from the position on."""
        self._count_to(self.at)
        lines = self.text.count("\n", self.at, at)
        column = at - self.text.rfind("\n", 0, at) if lines else self._column + at - self.at + 1
        return f"line {self._line + lines}, column {column}"

    def _has_more_behind(self, at: int) -> bool:
        before, self.at = self.at, at
        if self.more():
            return True
        self.at = before
        return False

    def _count_to(self, at: int) -> None:
        """Count lines, and the characters of the last one, up to a position."""
        lines = self.text.count("\n", self._mark, at)
        if lines:
            self._line += lines
            self._column = at - self.text.rfind("\n", 0, at) - 1
        else:
            self._column += at - self._mark
        self._mark = at


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
