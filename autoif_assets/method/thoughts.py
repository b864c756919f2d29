"""Thoughts and answer told apart, in all the marks that models in use put between them."""

import json
import re

from autoif_assets.method.readable import trimmed

# What stands for a thought's end by itself: tokens of the models' own, which chat templates write
# and servers without a parser hand on. A maker's prefix may come first, as in <seed:think>.
TAG = r"(?:\w{1,20}:|longcat_)?think(?:ing)?"
_OPENINGS = (
    rf"<{TAG}>",
    r"\[THINK\]",
    "◁think▷",
    r"<\|START_THINKING\|>",
    r"<\|begin_of_thought\|>",
    r"<\|channel>thought\b",
    r"<unused94>thought\b",
)
_CLOSINGS = (
    rf"</{TAG}>",
    r"\[/THINK\]",
    "◁/think▷",
    r"<\|END_THINKING\|>",
    r"<\|end_of_thought\|>",
    r"<channel\|>",
    "<unused95>",
    r"\[BEGIN FINAL RESPONSE\]",
)
_CLOSE = re.compile("|".join(_CLOSINGS), re.IGNORECASE)
_LEADING = re.compile(rf"\s*(?:{'|'.join(_OPENINGS)})", re.IGNORECASE)
_MARK = re.compile("|".join((*_OPENINGS, *_CLOSINGS)), re.IGNORECASE)
# What stands around an answer. An element of XML may be the answer's own, but behind thoughts.
_AROUND = (
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("", "[END FINAL RESPONSE]"),
)
_AROUND_BEHIND = ("<answer>", "</answer>")
# Words that are used for other things, too: a thought only as a block that the text begins with.
_NAMED = re.compile(r"\s*<(reasoning|thoughts?)>(.*?)(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)

# OpenAI's harmony: messages with a header, of which those of the channel `final` are the answer.
_FORM = r"[^<\n]{0,200}(?:<\|constrain\|>[^<\n]{0,200})?<\|message\|>"
_HEADER = rf"(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*\w{{1,20}}{_FORM}"
_HARMONY = re.compile(rf"\s*{_HEADER}")
_FINAL = re.compile(rf"<\|channel\|>\s*final{_FORM}")
_HARMONY_MARK = re.compile(rf"{_HEADER}|<\|(?:start|end|return|call)\|>(?:\s*assistant\b)?")
_ENDS = ("<|end|>", "<|return|>")
# The same where the server has taken the tokens out of the text.
_BARE_HARMONY = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=\S)")
_BARE_FINAL = "assistantfinal"

_JSON_TRIES = 4
_FENCED = re.compile(r"\A```\w*\n(.*)\n```\Z", re.DOTALL)


def split_reasoning(text: str) -> tuple[str, str | None]:
    """Separate thoughts from an answer.

    The answer is what follows the last closing mark, also where the opening one was part of the
    prompt. A thought that was never closed is all thought: the completion ended before its answer
    began. A text that is JSON, as a whole or after a closing mark, holds what it holds as data.

    Returns:
        The answer, and the reasoning or None.
    """
    if found := _harmony(text):
        return found
    rest, thoughts = text, list[str]()
    if (end := _thought_end(text)) is not None:
        thoughts.append(text[:end])
        rest = text[end:]
    while block := _NAMED.match(rest):
        thoughts.append(block[2])
        rest = rest[block.end() :]
    if _LEADING.match(rest):
        thoughts.append(rest)
        rest = ""
    bare = _without_marks(rest, behind_thoughts=bool(thoughts))
    if not thoughts and bare == trimmed(text):
        return text, None
    parts = (part.strip() for thought in thoughts for part in _MARK.split(thought))
    return bare, "\n".join(filter(None, parts)) or None


def _without_marks(answer: str, *, behind_thoughts: bool) -> str:
    """Take off what models put around an answer as a whole; the answer's own text stays."""
    answer = trimmed(answer)
    for opening, closing in _AROUND:
        if answer.startswith(opening) and (opening or answer.endswith(closing)):
            # The closing one may be a token that the server has kept to itself.
            answer = trimmed(answer.removeprefix(opening).removesuffix(closing))
    opening, closing = _AROUND_BEHIND
    inner = answer.removeprefix(opening).removesuffix(closing)
    if behind_thoughts and answer == f"{opening}{inner}{closing}" and closing not in inner:
        answer = trimmed(inner)
    return answer


def _thought_end(text: str) -> int | None:
    """Return where the answer begins, or None where no thought ends."""
    ends = [mark.end() for mark in _CLOSE.finditer(text)]
    if not ends or _is_json(text):
        return None
    # Of several marks the later ones may be part of an answer in JSON.
    return next((end for end in ends[:_JSON_TRIES] if _is_json(text[end:])), ends[-1])


def _is_json(text: str) -> bool:
    text = _FENCED.sub(r"\1", text.strip())
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _harmony(text: str) -> tuple[str, str | None] | None:
    """Split the channels of a text in OpenAI's harmony; None where it is in no such form."""
    if _HARMONY.match(text):
        finals = [mark.span() for mark in _FINAL.finditer(text)]
        start, end = finals[-1] if finals else (len(text), len(text))
        thoughts, answer = text[:start], trimmed(text[end:])
        while answer.endswith(_ENDS):
            answer = answer[: answer.rindex("<|")].rstrip()
    elif (head := _BARE_HARMONY.match(text)) and _BARE_FINAL in text:
        thoughts, _, answer = text[head.end() :].rpartition(_BARE_FINAL)
    else:
        return None
    parts = (part.strip() for part in _HARMONY_MARK.split(thoughts))
    return trimmed(answer), "\n".join(filter(None, parts)) or None
