"""Lists as models write them: JSON, bullets, numbers, labels, or a line each.

The text of an item is what was written. Only what makes it an item is taken off: its mark, and
bold type or quotes around the whole of it.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from autoif_assets.method.json_text import value_at
from autoif_assets.method.readable import Unreadable

_SIGNS = "•‣⁃◦▪▫●○■□◆◇★☆►▶▸→⇒➢➤✓✔✦∙·–—"
_CIRCLED = "①-⑳⑴-⒛⓪-⓿❶-❿➀-➓㉑-㉟㊀-㊉㊱-㊿🄀-🄊"
_ROMAN = r"(?:x{0,3}(?:ix|iv|v?i{0,3}))"
_NAME = (
    r"(?:instruction|constraint|rule|requirement|task|item"
    r"|anweisung|instruktion|aufgabe|regel|consigne|contrainte|règle|instrucción|regla|tarea"
    r"|指令|指示|要求|规则|約束|约束|지시)"
)
_HAN_NUMBER = "[一二三四五六七八九十]"
_BULLET = re.compile(rf"(?:[-*+](?:\s+\[[ xX]?\])?(?:\s+|$)|[{_SIGNS}]\s*)")
_NUMBER = re.compile(
    rf"""
    (?:\*\*|__)?
    (?:
        {_NAME}\s*(?:no\.?\s*)?\#?\s*\d{{1,3}}\s*(?:[:：.)\-–—]|(?=\*\*|$))
      | \(\d{{1,3}}\) | （\d{{1,3}}） | \[\d{{1,3}}\](?=\s) | \#\d{{1,3}}[:.)]?(?=\s)
      | \d{{1,3}}(?:[、．。，]|\\?[.:)]\)?(?=\s|$|\*\*|[^\W\d_])|\uff09|\s+[-–—](?=\s+[^\W\d]))
      | {_HAN_NUMBER}{{1,3}}、(?!{_HAN_NUMBER})
      | 第(?:{_HAN_NUMBER}{{1,3}}|\d{{1,3}})[条條项項][:：、]
      | \d\ufe0f?\u20e3 | 🔟 | [{_CIRCLED}]
      | [a-zA-Z]\)(?=\s) | \([a-zA-Z]\)(?=\s) | (?=[ivx]){_ROMAN}[.)](?=\s) | [a-zA-Z]\.(?=\s)
    )
    (?:\*\*|__)?[:：]?\s*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WEAK = re.compile(r"[a-zA-Z][.)]|[–—→⇒·∙\[]|#\d|(?![01]\D)\d{1,3}[.)]")
_BEFORE = re.compile(r"(?:#{1,6}\s+|(?:>\s?)+)?")  # of a heading, or a quotation
_RULE = re.compile(r"([-*_=])(?:\s*\1){2,}")
_FENCE = ("```", "~~~")
_QUOTES = {'"': '"', "'": "'", "“": "”", "`": "`", "‘": "’", "「": "」", "«": "»"}
_WRAPPING = {*_QUOTES, "*", "_"}
_BULLETED = "bullet"
_BOLD = ("**", "__")
_INDENT = 2  # from which on a line belongs to the one above

# What models say before and after; a line of a list without marks is an item but for these.
_OPENING = re.compile(
    r"(?:sure|certainly|of course|absolutely|okay|ok|great)[,.!:;–—-].*"
    r"|(?:here (?:are|is)|here's|below (?:are|is))\b.*|(?:好的|当然|以下|下面|もちろん|다음).*"
    r"|.*[:：]",
    re.IGNORECASE | re.DOTALL,
)
CLOSING = re.compile(
    r"(?:(?:thanks|thank you|good luck|enjoy|bye|goodbye|cheers|best regards|you're welcome)"
    r"(?:[,.!\s]*|[,.!].*|\s+for\b.*)|(?:let me know|i hope|hope (?:this|these|that)|feel free to"
    r"|would you like (?:me|more)|if you (?:need|want|would like|have) (?:any|more|further|other|me"
    r"|additional|help)|these (?:instructions|constraints|rules) (?:are|can|cover|should|all))\b.*"
    r"|(?:谢谢|希望这|如果[你您]需要).*)",
    re.IGNORECASE | re.DOTALL,
)
# Where a JSON list may begin, and how one begins that is none and was meant to be.
_LIST_START = re.compile(r"^[ \t]*([\[{])(?=\s*[\"'“‘{\[])", re.MULTILINE)
_LIST_MEANT = re.compile(
    r"""\{|\[\s*\{|\[\s*(["'“‘])[^\n]*?["'”’]\s*(?:,|\]\s*(?:\n|\Z|```)|\Z)|\[\s*["'][^\n]*\Z"""
)
# A second mark behind a bullet: a name, or a number where each bullet has the one that is due.
_NAMED = re.compile(rf"(?:\*\*)?{_NAME}\s*\#?\d{{1,3}}\s*[:：.)](?:\*\*)?\s*", re.I)
_COUNTED = re.compile(r"(?:\*\*)?(\d{1,3})[.)](?=\s|\*\*)(?:\*\*)?\s*")


def undressed(text: str, *, counted: bool = False) -> str:
    """Take off a line what makes it an item, and bold type and quotes around the whole of it.

    Args:
        text: The line.
        counted: Whether a number behind a bullet is a mark, too, and no part of the text, as in
            German "3. Person Singular".
    """
    text = _unquote(text)
    if mark := _BULLET.match(text):
        text = text[mark.end() :]
        if second := _NAMED.match(text) or (counted and _COUNTED.match(text)):
            text = text[second.end() :]
    elif mark := _NUMBER.match(text):
        text = text[mark.end() :]
    return _unquote(text)


def is_list(text: str) -> bool:
    """Whether every line is an item of a list, or indented below one."""
    lines = [_Line.of(line) for line in text.splitlines() if line.strip()]
    return bool(lines) and all(line.mark or line.indent >= _INDENT for line in lines)


def parse_instruction_lines(text: str) -> list[str]:
    """Return the instructions of a self-instruct completion.

    A JSON list counts as it is. Where any line is a list item only items count, so that an
    introduction or a farewell is not taken for an instruction; what is indented below an item, or
    listed after one that ends with a colon, belongs to it. Otherwise each line is one.
    """
    lines = [_Line.of(line) for line in text.splitlines() if line.strip()]
    items = None if any(line.mark for line in lines) else _in_json(text)
    if items is None:
        items = _in_lines([line for line in lines if not line.is_rule])
    return [item for item in items if item.strip()]


def _in_json(text: str) -> list[str] | None:
    """Return the texts of JSON that begins a line, between prose or alone; None without any."""
    texts: list[str | None] = []
    place = 0
    while start := _LIST_START.search(text, place):
        found = value_at(text, start.start(1), repair=bool(_LIST_MEANT.match(text, start.start(1))))
        if found is None:
            return None
        value, place = found
        # What stands on beside prose is part of a line.
        if not re.match(r"[ \t]*(?:[,;`]|\n|\Z)", text[place : place + 100]):
            return None
        texts += _texts_of(value)
    return None if None in texts or not texts else [part.strip() for part in texts if part]


def _texts_of(value: Any) -> list[str | None]:
    if isinstance(value, dict):
        part = value.get("instruction", value.get("text"))
        if part is not None:
            return _texts_of([part])
        value = next((part for part in value.values() if isinstance(part, list)), [None])
    parts = [
        part.get("instruction", part.get("text")) if isinstance(part, dict) else part
        for part in value
    ]
    # What cannot be held is left out; anything else that is no text is no list of instructions.
    texts = ("" if isinstance(part, Unreadable) else part for part in parts)
    return [part if isinstance(part, str) else None for part in texts]


@dataclass
class _Item:
    """An instruction as it stands in a list: its first line and what belongs to it."""

    indent: int
    is_bullet: bool
    first: str
    below: list[str] = field(default_factory=list)

    def opens_a_list(self) -> bool:
        return self.first.endswith((":", "：")) or not self.first

    def text(self) -> str:
        # The mark may have had a line of its own.
        lines = (self.first, *self.below) if self.first else self.below
        return _unquote("\n".join(lines))


class _Line(NamedTuple):
    """A line that is not blank.

    Attributes:
        bare: It without the space around it.
        indent: Columns before it.
        mark: The kind of mark that makes it an item, if one does.
        is_rule: Whether it is drawn between paragraphs.
    """

    bare: str
    indent: int
    mark: str | None
    is_rule: bool

    @classmethod
    def of(cls, line: str) -> "_Line":
        bare = line.strip()
        indent = len(line[: line.index(bare[0])].expandtabs(4))
        is_rule = bare[0] in "-*_=" and _RULE.fullmatch(bare) is not None
        return cls(bare, indent, None if is_rule else _item_mark(bare), is_rule)


def _in_lines(lines: list[_Line]) -> list[str]:
    marked = [line for line in lines if line.mark]
    # A letter with a point, a dash or an arrow may also begin a sentence.
    rare = len(marked) == 1 or 2 * len(marked) < len(lines)
    if not marked or (rare and all(_WEAK.match(line.bare) for line in marked)):
        return _unmarked([line.bare for line in lines])
    items: list[_Item] = []
    counted = _are_counted(marked)
    fence: list[str] | None = None
    for line in lines:
        last = items[-1] if items else None
        if fence is not None:
            fence.append(" " * line.indent + line.bare)
            fence = None if line.bare.startswith(_FENCE) else fence
        elif line.bare.startswith(_FENCE):
            # A fence around the list says nothing; one that an item announces is part of it.
            if last is not None and (last.opens_a_list() or line.indent >= last.indent + _INDENT):
                last.below.append(line.bare)
                fence = last.below
        else:
            _place(items, line, counted)
    # A list whose first line lost its indentation, as the beginning of a completion does.
    if len(items) == 1 and not items[0].opens_a_list():
        below = [line for line in lines[lines.index(marked[0]) + 1 :] if not line.is_rule]
        if all(line.mark for line in below):
            return [_content(line.bare, counted) for line in marked]
    return [item.text() for item in items]


def _are_counted(marked: list[_Line]) -> bool:
    """Whether the outermost bullets of a list have the numbers from 1 on behind them."""
    outer = min(line.indent for line in marked)
    contents = [
        _without_heading(line.bare)
        for line in marked
        if line.indent == outer and line.mark == _BULLETED
    ]
    found = [_COUNTED.match(_BULLET.sub("", content, count=1)) for content in contents]
    numbers = [int(match[1]) if match else 0 for match in found]
    return numbers == list(range(1, len(numbers) + 1))


def _place(items: list[_Item], line: _Line, counted: bool) -> None:
    """Make a line an item, or a part of the last one, or leave it out."""
    last = items[-1] if items else None
    if last is not None:
        deeper = line.indent >= last.indent + _INDENT
        is_other = line.mark is not None and (line.mark == _BULLETED) != last.is_bullet
        is_first = line.mark is None and not last.first and not last.below
        if deeper or is_first or (is_other and last.opens_a_list()):
            last.below.append(" " * max(line.indent - last.indent, 0) + line.bare)
            return
    if line.mark is not None:
        is_bullet = line.mark == _BULLETED
        items.append(_Item(line.indent, is_bullet, _content(line.bare, counted)))


def _content(bare: str, counted: bool) -> str:
    return undressed(_without_heading(bare), counted=counted)


def _without_heading(bare: str) -> str:
    if not bare.startswith(("#", ">")):
        return bare
    before = _BEFORE.match(bare)
    return bare[before.end() :] if before else bare


def _item_mark(bare: str) -> str | None:
    bare = _without_heading(bare)
    if _BULLET.match(bare):
        return _BULLETED
    return "number" if _NUMBER.match(_unbold(bare)) else None


def _unmarked(found: list[str]) -> list[str]:
    found = [line for line in found if not line.startswith(_FENCE)]
    if found and _OPENING.fullmatch(found[0]):
        del found[0]
    if len(found) > 1 and CLOSING.fullmatch(found[-1]):
        del found[-1]
    return [_unquote(line) for line in found]


def _unquote(text: str) -> str:
    """Take off bold type and quotes where they are around the whole of a text, and only there."""
    text = text.strip()
    while text[:1] in _WRAPPING:
        bare = _unbold(text)
        if len(bare) > 1 and _QUOTES.get(bare[0]) == bare[-1] and bare[-1] not in bare[1:-1]:
            bare = bare[1:-1].strip()
        if bare == text:
            break
        text = bare
    return text


def _unbold(text: str) -> str:
    if text[:2] not in _BOLD:
        return text
    for mark in _BOLD:
        inner = text[2:-2]
        if text.startswith(mark) and text.endswith(mark) and inner.strip(mark[0]) == inner != "":
            if mark in inner or inner != inner.strip():
                continue
            return inner
    return text
