"""Completions, and tolerant readers of what they hold; the raw text is kept beside it."""

import json
import re
from dataclasses import dataclass
from typing import Any

import json_repair
import polars as pl

from autoif_assets.method.guard import UNREADABLE
from autoif_assets.method.readable import Unreadable, readable

# One row per completion beside the columns of the request; a refused call has one row whose
# `raw` is null and whose `error` holds the server's words.
COMPLETION_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "call_id": pl.String,
    "sample": pl.Int64,
    "raw": pl.String,
    "reasoning": pl.String,
    "finish_reason": pl.String,
    "error": pl.String,
}

NLI_LABELS = ("entailment", "neutral", "contradiction")

_FENCE = re.compile(r"```[\w+-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•+]|\(?\d{1,3}[.):])\s+")
_SPOKEN_PREFIX = re.compile(r"^(?:the\s+)?(?:instruction|answer|output)\s*(?:is)?\s*:\s*", re.I)
_NUMBER = r"(\d{1,3}(?:\.\d+)?)"
_SCORE = re.compile(rf"\bscore\b[^\d\n]{{0,20}}{_NUMBER}(?!\d)", re.IGNORECASE)
_OUT_OF_TEN = re.compile(rf"(?<!\d){_NUMBER}\s*(?:/|out of)\s*10\b", re.IGNORECASE)
_BARE_NUMBER = re.compile(rf"\D{{0,3}}{_NUMBER}\D{{0,3}}")
# Of a text that is no JSON; the longest answers that are asked for are well below.
_REPAIR_CHARS = 20_000
_REPAIR_READS = 50_000  # an honest text needs one a character or two
_ESCAPE = re.compile(r"\\(n|t|r|\"|'|\\)")
_UNESCAPED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_QUOTES = {'"': '"', "'": "'", "“": "”", "`": "`", "‘": "’"}


def unusable() -> dict[str, pl.Expr]:
    """Return the rules that reject a completion before anyone parses it.

    A truncated completion is kept and flagged but never parsed as if it were whole.
    """
    return {
        # What `guard.row_by_row` found that raises.
        UNREADABLE: pl.col("error")
        .cast(pl.String)
        .str.starts_with(f"{UNREADABLE}: ")
        .fill_null(False),
        "call_refused": pl.col("error").is_not_null(),
        "truncated": pl.col("finish_reason") == "length",
        "empty": pl.col("raw").fill_null("").str.strip_chars() == "",
    }


def usable(frame: pl.DataFrame) -> pl.Series:
    """Return which completions may be parsed."""
    return frame.select(~pl.any_horizontal(unusable().values())).to_series()


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


def parse_json(text: str) -> Any:
    """Return the JSON value in a completion, or None.

    Looks into code fences first, then from the first brace or bracket on, and repairs what
    models get wrong (trailing commas, single quotes, raw newlines, Python literals), as far as
    that costs little. Parts that no table can hold are `Unreadable`.
    """
    bodies = [match[1] for match in _FENCE.finditer(text)] + [text]
    reads = _Reads(_REPAIR_READS)
    for body in bodies:
        start = min((i for i in (body.find("{"), body.find("[")) if i >= 0), default=-1)
        if start < 0:
            continue
        candidate = body[start:]
        try:
            return readable(json.JSONDecoder(strict=False).raw_decode(candidate)[0])
        except (ValueError, RecursionError):
            pass
        if len(candidate) > _REPAIR_CHARS:
            continue
        try:
            value = json_repair.loads(_Counted.of(candidate, reads), skip_json_loads=True)
        except (ValueError, RecursionError, IndexError, _Costly):
            continue
        if isinstance(value, dict | list) and value:
            return readable(value)
    return None


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
    """A verifier completion as read; ``problem`` says why there is no source."""

    source: str | None
    cases: tuple[ParsedCase, ...]
    problem: str | None = None


def parse_verifier(text: str) -> ParsedVerifier:
    """Read ``{"func": source, "cases": [{"input": text, "output": bool}, ...]}``.

    A case may have a ``query`` too, that its input answers.
    """
    value = parse_json(text)
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict) and "func" in item), None)
    if not isinstance(value, dict):
        return ParsedVerifier(None, (), "no JSON object")
    cases = value.get("cases", [])
    parsed = tuple(_case(case) for case in cases) if isinstance(cases, list) else ()
    source = value.get("func")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "\n".join(source)
    if isinstance(source, Unreadable):
        return ParsedVerifier(None, parsed, f'the text under "func" {source.why}')
    if not isinstance(source, str) or not source.strip():
        return ParsedVerifier(None, parsed, 'no text under "func"')
    return ParsedVerifier(clean_source(source), parsed)


def _case(case: object) -> ParsedCase:
    if not isinstance(case, dict):
        return ParsedCase(None, None, "a case is not a JSON object")
    if "input" not in case or "output" not in case:
        return ParsedCase(None, None, 'a case lacks "input" or "output"')
    text, expected = case["input"], parse_bool(case["output"])
    if isinstance(text, Unreadable):
        return ParsedCase(None, expected, f"the input {text.why}")
    if not isinstance(text, str):
        return ParsedCase(None, expected, "the input is not a text")
    query = case.get("query") or None  # "" is how one says that there is none
    if isinstance(query, Unreadable):
        return ParsedCase(text, expected, f"the query {query.why}")
    if query is not None and not isinstance(query, str):
        return ParsedCase(text, expected, "the query is not a text")
    if expected is None:
        return ParsedCase(text, None, "the output is not true or false", query)
    return ParsedCase(text, expected, query=query)


def clean_source(source: str) -> str:
    r"""Strip a code fence and undo a second level of escaping.

    A function on one physical line that holds the two characters ``\n`` was escaped once too
    often. One that has real line breaks keeps its ``\n``: they stand inside string literals.
    """
    fenced = _FENCE.search(source)
    if fenced:
        source = fenced[1]
    source = source.strip("\r\n").rstrip()
    if "\n" not in source and "\\n" in source:
        source = _unescape(source)
    return source


def _unescape(source: str) -> str:
    def one(match: re.Match[str]) -> str:
        before = source[match.start() - 1 : match.start()]
        after = source[match.end() : match.end() + 1]
        in_literal = before and before in "\"'" and after == before
        return match[0] if in_literal and match[1] in "ntr" else _UNESCAPED[match[1]]

    return _ESCAPE.sub(one, source)


def parse_instruction_lines(text: str) -> list[str]:
    """Return the instructions of a self-instruct completion, one a line.

    Where any line is a list item only the items count, so that an introduction or a farewell is
    not taken for an instruction.
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("```")]
    items = [_BULLET.sub("", line) for line in lines if _BULLET.match(line)]
    cleaned = (_unquote(line.replace("**", "").strip()) for line in items or lines)
    return [line for line in cleaned if line]


def parse_back_translation(text: str) -> str | None:
    """Return the sentence of a back-translation: its first line of words."""
    for line in text.splitlines():
        line = _unquote(_SPOKEN_PREFIX.sub("", _BULLET.sub("", line.replace("**", "").strip())))
        if line and not line.startswith(("```", "def ", "import ")) and not line.endswith(":"):
            return line
    return None


def parse_nli_label(text: str) -> str | None:
    """Return one of the three labels, or None where the text names none or several."""
    value = parse_json(text)
    if isinstance(value, dict) and isinstance(value.get("label"), str):
        text = value["label"]
    named = [label for label in NLI_LABELS if re.search(rf"\b{label}", text, re.IGNORECASE)]
    return named[0] if len(named) == 1 else None


def parse_score(text: str) -> float | None:
    """Return a quality score in 0..10: from JSON, or from the last line as the paper asks."""
    value = parse_json(text)
    if isinstance(value, dict) and "score" in value:
        try:
            return _in_range(float(value["score"]))
        except (TypeError, ValueError, OverflowError):
            return None
    lines = [line.strip().replace("*", "") for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    for pattern in (_OUT_OF_TEN, _SCORE):
        found = pattern.findall(lines[-1])
        if found:
            return _in_range(float(found[-1]))
    bare = _BARE_NUMBER.fullmatch(lines[-1])
    return _in_range(float(bare[1])) if bare else None


def _in_range(score: float) -> float | None:
    return score if 0 <= score <= 10 else None


def _unquote(text: str) -> str:
    text = text.strip()
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[-1] not in text[1:-1]:
        text = text[1:-1].strip()
    return text
