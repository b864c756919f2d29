"""What judges say: a label of an inference, a score; read where it is stated, else not at all."""

import re

from autoif_assets.method.json_text import objects, parse_json
from autoif_assets.method.lists import CLOSING

NLI_LABELS = ("entailment", "neutral", "contradiction")

_ANY_LABEL = "|".join(NLI_LABELS)
_LABEL = re.compile(rf"\b(?:{_ANY_LABEL})\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;]*")
_WORD = re.compile(r"[^\W\d_]+")
# None but these words may stand before a label that is stated: a list of all that may turn one
# into its opposite would have holes.
_LEAD = (
    "the a an is it its this that here my your i we so therefore thus hence and as be would say d"
    " s choose answer final label labels relation relationship judgement judgment classification"
    " two verdict result conclusion correct right best chosen appropriate most between of for them"
    " there premise hypothesis instruction instructions pair clear clearly classify classified"
    " think believe json boxed text"
)
_LEAD_WORDS = frozenset(_LEAD.split())
# And this may follow: the reason, or what it is not. A word that a hyphen ties to the label makes
# another one of it: "contradiction-free".
_REST = re.compile(
    r"(?!-\w)[\W_]*(?:\Z|(?<=[(\[,–—-])|(?<=[(\[,–—-]\s)|(?:because|since|as|between|of)\b)",
    re.IGNORECASE,
)
# A reason begins with one of these; what takes the label back ("wrong", "hardly", "if at all")
# with any other.
_REASON = (
    "the a an any all each every whoever whatever whenever both either one it they he she this that"
    " these those there what which who because since as for by due so and thus hence"
    " premise hypothesis instruction instructions answer answers response responses obeying"
    " following i we you between of"
)
_REASON_WORDS = frozenset(_REASON.split())
_NEGATIONS = frozenset(["no", "not", "none", "never", "isn", "doesn", "t", "false", "wrong"])
_SHORT = 4  # words with a negation among them say nothing but that it is not so
_NOT_THE_OTHER = re.compile(
    rf"\b(?:not|rather than|instead of)\s+(?:an?\s+)?[\W_]*(?:{_ANY_LABEL})\b", re.IGNORECASE
)

_MINUS = r"\-−–"
_N = r"(10(?:[.,]0+)?|\d(?:[.,]\d+)?)"
_NUMBER = re.compile(
    rf"{_N}(?!(?![分点점])\w|%|[.,/]\d|\s?(?:[{_MINUS}~]|\b(?:or|to|and|bis|oder)\b)\s?\d)"
)
_OUT_OF_TEN = re.compile(
    rf"(?<![\w.,/{_MINUS}]){_N}\s?(?:/|out of|of)\s?10(?:\.0+)?(?![\w/]|\.\d)", re.IGNORECASE
)
_PLAIN = re.compile(rf"\s*{_N}(?:\s?(?:/|out of)\s?10)?\s*(?:points?|分)?\.?\s*", re.IGNORECASE)
_BARE = re.compile(rf"(?:-\s|[^\w{_MINUS}+]){{0,3}}{_N}(?:[^\w%/]|分){{0,3}}")
_BOXED = re.compile(r"\\boxed\{\s*(?:\\text\{)?([^{}\n]{1,20})\}")
_SCORE_WORD = re.compile(
    r"(?:\b(?:score|rating)\b|评分|得分|分数|スコア|점수)(?:\s?[(\[（][^()\[\]（）\n]{0,40}[)\]）]"
    r"|\s(?:on|from) a scale (?:of|from) \d+\s?(?:to|-|–)\s?10)?",
    re.IGNORECASE,
)
_BETWEEN = (
    "is of for this the response answer would be a an i give it to overall final quality should"
    " assigned as my given s d out 为 是 は"
)
_BETWEEN_WORDS = frozenset(_BETWEEN.split())
_GAP = 40  # characters between the word and the number
_MARKUP = re.compile(r"[*_`$#]+")
_FAREWELLS = 3


def parse_nli_label(text: str) -> str | None:
    """Return the one label that a text states, or None."""
    if found := objects(text, "label"):
        said = [item["label"] for item in found]
        labels = {_stated(label) if isinstance(label, str) else None for label in said}
    elif text.lstrip().startswith("{") and isinstance(parse_json(text), dict):
        return None
    else:
        labels = {_stated(text)}
    return labels.pop() if len(labels) == 1 else None


def _stated(text: str) -> str | None:
    found = {_in_sentence(match[0]) for match in _SENTENCE.finditer(text)} - {None}
    return found.pop() if len(found) == 1 else None


def _in_sentence(sentence: str) -> str | None:
    named = _LABEL.search(sentence)
    if named is None or sentence.endswith("?"):
        return None
    lead = sentence[: named.start()].rpartition(":")[2]
    rest = sentence[named.end() :]
    if not _LEAD_WORDS.issuperset(_WORD.findall(lead.lower())) or not _REST.match(rest):
        return None
    others = len(_LABEL.findall(rest))
    if others != len(_NOT_THE_OTHER.findall(rest)):
        return None
    words = [] if others else _WORD.findall(rest.lower())
    if words and words[0] not in _REASON_WORDS:
        return None
    if len(words) <= _SHORT and not _NEGATIONS.isdisjoint(words):
        return None
    return named[0].lower()


def parse_score(text: str) -> float | None:
    """Return a quality score in 0..10: from JSON, or from the last line as the paper asks.

    A farewell after that line does not count.
    """
    if found := objects(text, "score"):
        return _plain(found[-1]["score"])
    lines = [line.strip() for line in text.splitlines()]
    # Nor does what holds no word: a fence, or a rule drawn below.
    lines = [line for line in lines if re.search(r"\w", line) and not line.startswith("```")]
    for _ in range(_FAREWELLS):
        if len(lines) > 1 and CLOSING.fullmatch(lines[-1]):
            del lines[-1]
    return _in_line(lines[-1]) if lines else None


def _plain(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if 0 <= value <= 10 else None
    if isinstance(value, str) and (number := _PLAIN.fullmatch(value)):
        return _value(number[1])
    return None


def _in_line(line: str) -> float | None:
    if boxed := _BOXED.findall(line):
        return _plain(boxed[-1])
    line = _MARKUP.sub("", line)
    if out_of := _OUT_OF_TEN.findall(line):
        return _value(out_of[-1])
    for word in reversed(list(_SCORE_WORD.finditer(line))):
        if (number := _after(line, word.end())) is not None:
            return _value(number)
    bare = _BARE.fullmatch(line.strip())
    return _value(bare[1]) if bare else None


def _after(line: str, place: int) -> str | None:
    """Return the number that is told of what stands before a place in a line, or None."""
    digit = re.search(r"\d", line[place : place + _GAP])
    if digit is None:
        return None
    gap = line[place : place + digit.start()]
    # A minus that touches the number is its sign; one with space around it is a dash.
    if gap.endswith((".", "-", "−", "–")) or not _BETWEEN_WORDS.issuperset(
        _WORD.findall(gap.lower())
    ):
        return None
    number = _NUMBER.match(line, place + digit.start())
    return number[1] if number else None


def _value(number: str) -> float | None:
    score = float(number.replace(",", "."))
    return score if 0 <= score <= 10 else None
