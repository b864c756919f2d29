"""Tolerant readers of what completions hold; the raw text is kept beside it."""

import re
from dataclasses import dataclass

from autoif_assets.method.completions import control_reason
from autoif_assets.method.json_text import objects, parse_json
from autoif_assets.method.lists import undressed
from autoif_assets.method.readable import Unreadable
from autoif_assets.method.sources import clean_source, python_block

_SPOKEN_PREFIX = re.compile(
    r"^\**(?:the\s+)?(?:instruction|answer|output)\s*(?:is)?\s*:\s*(?:\*\*\s+)?", re.I
)


def parse_bool(value: object) -> bool | None:
    """Read a verdict that may be a string: ``True``, ``"True"``, ``"true"``, ``1``, ``"no"``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().strip("\"'`.").casefold()
        if word in ("true", "yes", "1"):
            return True
        if word in ("false", "no", "0"):
            return False
    return None


@dataclass(frozen=True)
class ParsedCase:
    """A test case as read; ``problem`` says why it is unusable."""

    input: str | None
    expected: bool | None
    problem: str | None = None
    query: str | None = None


@dataclass(frozen=True)
class ParsedVerifier:
    """A verifier completion as read; ``problem`` says why there is no source.

    ``note`` says what had to be done to the source.
    """

    source: str | None
    cases: tuple[ParsedCase, ...]
    problem: str | None = None
    note: str | None = None


def parse_verifier(text: str) -> ParsedVerifier:
    """Read ``{"func": source, "cases": [{"input": text, "output": bool}, ...]}``.

    A case may have a ``query`` too, that its input answers. A function that stands in a block of
    its own, beside the JSON or without any, is read, too.
    """
    value = next(iter(objects(text, "func")), None)
    if value is None:
        return _in_blocks(text)
    parsed = _cases(value)
    source = value["func"]
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "\n".join(source)
    if isinstance(source, Unreadable):
        return ParsedVerifier(None, parsed, f'the text under "func" {source.why}')
    if not isinstance(source, str) or not source.strip():
        return ParsedVerifier(None, parsed, 'no text under "func"')
    source, note = clean_source(source)
    return ParsedVerifier(source, parsed, note=note)


def _in_blocks(text: str) -> ParsedVerifier:
    source = python_block(text)
    if source is None:
        is_object = isinstance(parse_json(text), dict)
        return ParsedVerifier(None, (), 'no text under "func"' if is_object else "no JSON object")
    return ParsedVerifier(source.strip("\r\n").rstrip(), parse_cases(text))


def parse_cases(text: str) -> tuple[ParsedCase, ...]:
    """Read the cases of a completion that holds no function."""
    found: dict[str, object] = {"cases": objects(text, "input")}
    return _cases(next(iter(objects(text, "cases")), found))


def _cases(value: dict[str, object]) -> tuple[ParsedCase, ...]:
    cases = value.get("cases")
    return tuple(parse_case(case) for case in cases) if isinstance(cases, list) else ()


def parse_case(case: object) -> ParsedCase:
    """Read ``{"input": text, "output": bool}``, perhaps with the ``query`` that it answers."""
    if not isinstance(case, dict):
        return ParsedCase(None, None, "a case is not a JSON object")
    if "input" not in case or "output" not in case:
        return ParsedCase(None, None, 'a case lacks "input" or "output"')
    text, expected = case["input"], parse_bool(case["output"])
    if isinstance(text, Unreadable):
        return ParsedCase(None, expected, f"the input {text.why}")
    if not isinstance(text, str):
        return ParsedCase(None, expected, "the input is not a text")
    if (marks := control_reason(text)) is not None:
        return ParsedCase(text, expected, f"the input holds {marks.replace('_', ' ')}")
    query = case.get("query") or None  # "" is how one says that there is none
    if isinstance(query, Unreadable):
        return ParsedCase(text, expected, f"the query {query.why}")
    if query is not None and not isinstance(query, str):
        return ParsedCase(text, expected, "the query is not a text")
    if expected is None:
        return ParsedCase(text, None, "the output is not true or false", query)
    return ParsedCase(text, expected, query=query)


def parse_back_translation(text: str) -> str | None:
    """Return the sentence of a back-translation: its first line of words."""
    for line in filter(None, map(str.strip, text.splitlines())):
        line = undressed(_SPOKEN_PREFIX.sub("", undressed(line)))
        if line and not line.startswith(("```", "def ", "import ")) and not line.endswith(":"):
            return line
    return None
