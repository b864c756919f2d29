"""JSON in what a model wrote: read strictly wherever it stands, and repaired only where that fails.

Nothing is edited inside a string that strict JSON has decoded.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import json_repair

from autoif_assets.method.readable import readable

# Strict reading begins at a brace or bracket that JSON may follow; prose and code have others.
_START = re.compile(r'\{(?=\s*["}])|\[(?=\s*["{\[\]\d\-tfnNI])')
_MOST_FAILURES = 100
_DECODER = json.JSONDecoder(strict=False)
# What must have been meant as an object, be it as broken as it may.
_OBJECT = re.compile(r"""\{\s*["'“‘`][^"'”’`\n]{1,40}["'”’`]\s*:""")
_LOOKED_AT = 20
# Of a text that is no JSON; the longest answers that are asked for are well below.
_REPAIR_CHARS = 20_000
_REPAIR_READS = 50_000  # an honest text needs one a character or two

_BLOCK = re.compile(
    r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([\w+-]*+)[^\n]*+\n(.*?)(?:^[ \t]*+\1[ \t]*+$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_TRIPLE = re.compile(r'"""|\'\'\'')


def parse_json(text: str) -> Any:
    """Return the first JSON object or list in a completion that is not empty, or None.

    What models get wrong (trailing commas, single quotes, raw newlines, Python literals) is
    repaired, as far as that costs little. Parts that no table can hold are `Unreadable`.
    """
    for _, value in _strict(text, []):
        if value:
            return readable(value)
    found = re.search(r"[{\[]", text)
    for value in _repaired(text, [found.start()]) if found else ():
        return readable(value)
    return None


def value_at(text: str, start: int, *, repair: bool) -> tuple[Any, int] | None:
    """Return the JSON object or list that begins at a place, and where it ends, or None.

    Args:
        text: What a model wrote.
        start: Where a brace or bracket stands.
        repair: Whether what is no JSON may be repaired; it then reaches to the end.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        repaired = _repaired(text, [start]) if repair else iter(())
        return next(((readable(value), len(text)) for value in repaired), None)
    return readable(value), end


def objects(text: str, key: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a completion that have a key, in order.

    All that strict JSON finds, alone or in a list, or else the one that can be repaired.
    """
    broken: list[int] = []
    found = [
        item
        for start, value in _strict(text, broken)
        for item in _having(value, key)
        if not any(_encloses(text, outer, start) for outer in broken[:_LOOKED_AT])
    ]
    if not found and key in text:
        named = re.compile(rf"""\{{\s*["'“”‘’`]?{key}["'“”‘’`]?\s*:""")
        first = re.search(r"[{\[]", text)
        starts = broken[:1] + [match.start() for match in named.finditer(text)][:2]
        starts += [first.start()] if first else []
        repaired = (_having(value, key) for value in _repaired(text, list(dict.fromkeys(starts))))
        found = next((items[:1] for items in repaired if items), [])
    return [readable(item) for item in found]


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the language and the content of each fenced block of a text."""
    for match in _BLOCK.finditer(text):
        yield match[2].lower(), match[3].removesuffix("\n")


def _strict(text: str, broken: list[int]) -> Iterator[tuple[int, Any]]:
    """Yield where each JSON object or list begins, and it, outermost ones only.

    Args:
        text: What a model wrote.
        broken: Gets the places where an object must have been meant that is none.
    """
    place, failures = 0, 0
    # Reading from each of many starts to the end of a long text would cost its square.
    left = 8 * len(text) + 100_000
    while failures < _MOST_FAILURES and left > 0 and (start := _START.search(text, place)):
        try:
            value, place = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError) as error:
            failures += 1
            left -= getattr(error, "pos", start.end()) - start.start()
            place = start.end()
            if _OBJECT.match(text, start.start()):
                broken.append(start.start())
            continue
        yield start.start(), value


def _having(value: Any, key: str) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict) and key in item]


def _encloses(text: str, outer: int, place: int) -> bool:
    """Whether an object that begins at ``outer`` has not ended at ``place``."""
    return text.count("{", outer, place) > text.count("}", outer, place)


def _repaired(text: str, starts: list[int]) -> Iterator[Any]:
    reads = _Reads(_REPAIR_READS)
    ends = [match.span(3) for match in _BLOCK.finditer(text)]
    for start in starts:
        end = next((end for begin, end in ends if begin <= start < end), len(text))
        # With a fence alone: what is no block may still be cut by what ends one.
        candidate = text[start:end].rstrip().removesuffix("```")
        if len(candidate) > _REPAIR_CHARS:
            continue
        candidate = _single_quoted(candidate)
        try:
            yield _DECODER.raw_decode(candidate)[0]
            continue
        except (ValueError, RecursionError):
            pass
        try:
            value = json_repair.loads(_Counted.of(candidate, reads), skip_json_loads=True)
            # Of plain strings again, which nobody counts the reading of.
            value = json.loads(json.dumps(value))
        # The library asserts what some texts do not keep to; whatever it raises, there is no JSON.
        except Exception:
            continue
        if isinstance(value, dict | list) and value:
            yield value


def _single_quoted(text: str) -> str:
    """Turn the strings of a text in triple quotes, as Python has them, into JSON's."""
    marks = list(_TRIPLE.finditer(text))
    # One ends a string where the next thing is a sign of JSON; others are part of the string.
    closing: dict[str, int] = {}
    ends = [0] * len(marks)
    for number in range(len(marks) - 1, -1, -1):
        ends[number] = closing.get(marks[number][0], -1)
        if _next_sign(text, marks[number].end()) in ",}]":
            closing[marks[number][0]] = number
    parts, place = [], 0
    for number, mark in enumerate(marks):
        if mark.start() < place or ends[number] < 0:
            continue
        if _last_sign(text, mark.start()) not in ":,[":
            continue
        end = marks[ends[number]]
        parts += [text[place : mark.start()], json.dumps(text[mark.end() : end.start()])]
        place = end.end()
    return "".join((*parts, text[place:]))


def _next_sign(text: str, place: int) -> str:
    while place < len(text) and text[place].isspace():
        place += 1
    return text[place] if place < len(text) else "}"


def _last_sign(text: str, place: int) -> str:
    while place > 0 and text[place - 1].isspace():
        place -= 1
    return text[place - 1] if place > 0 else "{"


class _Costly(Exception):
    """Repairing a text reads it again and again."""


class _Reads:
    """How much of a text may still be read."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, characters: int) -> None:
        self.left -= 1 + characters // 64
        if self.left < 0:
            raise _Costly


class _Counted(str):
    """A text that counts how often it is read.

    The library's cost grows with the square of some texts and more; how much work is done, and so
    what becomes of a row, must not depend on a clock.
    """

    reads: _Reads

    @classmethod
    def of(cls, text: str, reads: _Reads) -> "_Counted":
        counted = cls(text)
        counted.reads = reads
        return counted

    def __getitem__(self, key: Any) -> str:
        part = str.__getitem__(self, key)
        self.reads.spend(len(part))
        return _Counted.of(part, self.reads) if isinstance(key, slice) else part

    def __add__(self, other: str) -> str:
        self.reads.spend(len(self))
        return _Counted.of(str.__add__(self, other), self.reads)

    def find(self, *arguments: Any) -> int:
        self.reads.spend(len(self))
        return str.find(self, *arguments)
