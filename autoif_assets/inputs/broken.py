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
    pieces = decoded(path)
    text, at, line, record = "", 0, 1, 0

    while True:
        if len(text) - at < _WINDOW:
            line += text.count("\n", 0, at)
            text, at = text[at:], 0
            for piece in pieces:
                text += piece
                if len(text) >= 2 * _WINDOW:
                    break
        at = _skip(text, at)
        if is_array:
            sign = text[at : at + 1]
            if sign == "]":
                if _skip(text, at + 1) < len(text):
                    fail(path, f"has something after the ] that follows record {record}")
                return
            if not sign:
                fail(path, f"ends after record {record} without a closing ]; is it cut off?")
            if sign != ("," if record else "["):
                place = _place(text, at, line)
                fail(path, f'after record {record} comes "{sign}" ({place}); expected , or ]')
            at = _skip(text, at + 1)
            if not record and text[at : at + 1] == "]":
                return
        elif at == len(text):
            return
        record += 1
        try:
            value, at = _DECODER.raw_decode(text, at)
            json.dumps(value, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            cut = error.pos >= len(text) or error.msg.startswith("Unterminated string")
            if cut and next(pieces, ""):
                fail(path, f"record {record} is larger than {_WINDOW >> 20} MiB; leave it out")
            place = _place(text, error.pos, line)
            fail(path, f"record {record} is not JSON: {error.msg} ({place}); {_EXPECTED}")
        except UnicodeEncodeError:
            fail(path, f"record {record} has half of a surrogate pair (\\ud800 to \\udfff)")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _place(text: str, at: int, first_line: int) -> str:
    line = first_line + text.count("\n", 0, at)
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"
