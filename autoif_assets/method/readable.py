"""One sanitiser for all that is decoded from a model's or a server's words.

What a table cannot hold is told apart from what it can, at any depth: half a character, a number
without end, nesting without end. Text that can be held stays as it was written.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

# Enough for every answer that is asked for; recursion over the value stays shallow.
MAX_DEPTH = 32
# For Polars' expressions and for Python's.
INDENTED = r"^(?:[ ]{2}|\t)[^\n]*\n+(?:[ ]{2}|\t)"
_MAX_INT = 2**63 - 1  # of a table's integers


@dataclass(frozen=True)
class Unreadable:
    """Stands where a value was that nothing can hold.

    Attributes:
        why: What is wrong with it, as the end of a sentence that begins with its name.
    """

    why: str


def readable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a decoded value with `Unreadable` in the place of each part that cannot be held.

    Args:
        value: What a JSON parser returns.
        depth: How deep its lists and objects may nest.
    """
    if isinstance(value, str):
        text = whole_text(value)
        return Unreadable("holds half a character (a lone surrogate)") if text is None else text
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        number = bounded(value)
        return Unreadable("is a number out of all bounds") if number is None else number
    if depth == 0:
        return Unreadable("is nested too deep")
    if isinstance(value, list):
        return [readable(item, depth - 1) for item in value]
    if isinstance(value, dict):
        # A key is of use by its name only, and no name that anybody looks for is broken.
        return {
            key: readable(item, depth - 1)
            for key, item in value.items()
            if isinstance(key, str) and whole_text(key) is not None
        }
    return Unreadable(f"is of the type {type(value).__name__}")


def whole_text(text: str) -> str | None:
    """Return a text with the halves of characters joined; None where a half stands alone."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return None


def shown_text(text: str) -> str:
    """Return a text that can be held in any case: a half of a character becomes ``?``."""
    if text.isascii():
        return text
    return whole_text(text) or text.encode("utf-8", "replace").decode()


def trimmed(text: str) -> str:
    """Take off the space around a text but for the indentation of code.

    The first of several lines keeps it if the second has some, too, and if it is more than the
    one space that some tokenizers begin with. `text.trimmed` does the same to a column.
    """
    text = text.rstrip()
    begins = len(text) - len(text.lstrip())
    text = text[text.rfind("\n", 0, begins) + 1 :]
    return text if re.match(INDENTED, text) else text.lstrip()


def bounded(value: float | int) -> float | int | None:
    """Return a number that a table can hold; None for a larger one, infinity and what is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if -_MAX_INT <= value <= _MAX_INT else None


def count(value: Any, most: int = 10**10) -> int | None:
    """Return a count that a server tells; None for what is no count or more than ``most``."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= most else None
