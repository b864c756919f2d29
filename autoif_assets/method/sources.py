r"""The source of a verifier as a model hands it over, made Python where it cannot be Python.

What can be Python stays as it is.
"""

import re
import textwrap

from autoif_assets.method.json_text import blocks

_ESCAPE = re.compile(r"\\(n|t|r|\"|'|\\)")
_UNESCAPED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
# A line on which backslashes stand inside of string literals and comments only, as in Python.
_PLAIN_LINE = re.compile(r"""(?:[^\\"'\#]|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')*+(?:\#[^\\]*)?""")
_FENCED_LINE = re.compile(r"\s*```(?:\w+(?=[\\ ]))?([^\n]*?)```\s*")
# JSON knows these two escapes as well: a pattern's \b is lost unless its backslash is doubled.
_LOST = {"\b": r"\b", "\f": r"\f"}


def clean_source(source: str) -> tuple[str, str | None]:
    r"""Return a source that may be Python, and what had to be done for that.

    A fence is taken off. A function on one physical line that has the two characters ``\n`` where
    no string literal is was escaped once too often; any other keeps them. A backspace and a form
    feed are the escapes ``\b`` and ``\f``, read by JSON.
    """
    notes = []
    if fenced := _in_fence(source):
        source = fenced
    source = source.strip("\r\n").rstrip()
    if "\n" not in source and "\\" in source and not _PLAIN_LINE.fullmatch(source):
        source = _unescape(source).strip("\r\n").rstrip()
    for lost, escape in _LOST.items():
        if lost in source:
            source = source.replace(lost, escape)
            notes.append(f"a lost backslash was put back ({escape})")
    return source, "; ".join(notes) or None


def python_block(text: str) -> str | None:
    """Return the last fenced block of a text that defines ``evaluate``, or None."""
    found = [body for _, body in blocks(text) if "def evaluate(" in body]
    return textwrap.dedent(found[-1]) if found else None


def _in_fence(source: str) -> str | None:
    """Return what stands in a fence, where that is all of the Python there is."""
    before, _, _ = source.partition("```")
    if before == source or "def " in before:
        return None
    if before.strip():
        return python_block(source)
    # No Python begins so.
    if line := _FENCED_LINE.fullmatch(source):
        return line[1]
    return next((body for _, body in blocks(source)), None)


def _unescape(source: str) -> str:
    def one(match: re.Match[str]) -> str:
        before = source[match.start() - 1 : match.start()]
        after = source[match.end() : match.end() + 1]
        in_literal = before and before in "\"'" and after == before
        return match[0] if in_literal and match[1] in "ntr" else _UNESCAPED[match[1]]

    return _ESCAPE.sub(one, source)
