"""Numbers, times and the model's texts as a person reads them, and the templates they are in."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

# What a page cannot show as it is: control characters, as their symbols.
_CONTROLS: Mapping[int, int] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


class Text(NamedTuple):
    """A text in two parts, the second to be shown on demand.

    Attributes:
        head: What is shown at once.
        rest: What follows it; empty for a short text.
        missing: Characters after that which are not there.
    """

    head: str
    rest: str
    missing: int


def visible(text: str) -> str:
    """Return a text without characters that HTML does not allow."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def excerpt(text: str | None, length: int | None, chars: int = 400, lines: int = 12) -> Text | None:
    """Divide a text into what is shown at once and the rest.

    Args:
        text: The text, or as much of it as was read.
        length: Its length in characters before it was cut.
        chars: Most characters of the head.
        lines: Most lines of the head.

    Returns:
        None for no text.
    """
    if text is None:
        return None
    missing = max((length or 0) - len(text), 0)
    text = visible(text)
    end = min(chars, len(text))
    for number, line in enumerate(_ends(text[:end]), start=1):
        if number == lines:
            end = line
    if end < len(text):
        # At a line's or a word's end if there is one not far back.
        near = [text.rfind(mark, end * 2 // 3, end) + 1 for mark in "\n "]
        end = next((cut for cut in near if cut), end)
    return Text(text[:end], text[end:], missing)


def _ends(text: str) -> list[int]:
    return [place + 1 for place, char in enumerate(text) if char == "\n"]


def title(name: str) -> str:
    """Return the name of a stage or reason as words."""
    words = name.replace("_", " ")
    return (words[:1].upper() + words[1:]).replace("Sft", "SFT").replace("Kto", "KTO")


def number(value: int | None) -> str:
    """Return a count with its thousands apart; a dash for none."""
    return "–" if value is None else f"{value:,}"


def percent(part: int, whole: int) -> str:
    """Return a share in whole percent, never as 0 or 100 where it is not."""
    if whole == 0:
        return "–"
    share = 100 * part / whole
    if 0 < share < 1:
        return "<1 %"
    if 99 < share < 100:
        return ">99 %"
    return f"{share:.0f} %"


def duration(seconds: float | None) -> str:
    """Return a duration in the two units that matter."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


def money(value: float | None) -> str:
    """Return an amount; no currency is known, it is that of the prices."""
    if value is None:
        return "–"
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.2g}"


def moment(value: datetime | None) -> str:
    """Return a time to the minute."""
    return "–" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def in_words(value: Any) -> str:
    """Return a value of a table as text: of a list its members, of a verdict whose it is."""
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    if isinstance(value, dict):
        return " ".join(in_words(one) for one in value.values() if one is not None)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def environment(*packages: str) -> Environment:
    """Return the templates of some packages, which may use these functions as filters.

    All texts are a model's or a user's: nothing but the packages' own markup is not escaped.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, ".") for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (duration, moment, money, number, percent, title, visible)
    made.filters.update({one.__name__: one for one in filters})
    return made
