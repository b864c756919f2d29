"""Sensible ways to read a text: what its words, sentences and paragraphs are.

People disagree on them (is "well-known" one word, does "3.5" end a sentence?). So a reference
checker asks every reading and answers only where all agree.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Verdict = bool | None  # None where sensible readers could disagree
Check = Callable[[str], Verdict]


@dataclass(frozen=True)
class Reference:
    """One seed instruction as a person understands it.

    Attributes:
        instruction: As the packaged seeds have it.
        check: Whether a text obeys; None where that is not clear.
        obeys: Texts that obey beyond doubt.
        breaks: Texts that do not, beyond doubt.
    """

    instruction: str
    check: Check
    obeys: tuple[str, ...]
    breaks: tuple[str, ...]

    @property
    def labelled(self) -> list[tuple[str, bool]]:
        """The clear texts with whether each obeys."""
        return [*((text, True) for text in self.obeys), *((text, False) for text in self.breaks)]


def agreed(verdicts: Iterable[bool]) -> Verdict:
    """The verdict of all readings, or None where they differ or there is none."""
    found = set(verdicts)
    return found.pop() if len(found) == 1 else None


def word_lists(text: str) -> list[list[str]]:
    """The words by blanks, by word characters, and with compounds and short forms taken apart."""
    by_blanks = [word.strip(_AROUND) for word in text.split()]
    return [
        [word for word in by_blanks if any(map(str.isalnum, word))],
        re.findall(r"\w+(?:['’.,:/-]\w+)*", text),
        re.findall(r"\w+", text),
    ]


_AROUND = "\"'“”‘’.,;:!?()[]{}<>*_`~#|-–—…"


def words(text: str) -> list[str]:
    """The words by blanks, without the signs around them."""
    return word_lists(text)[0]


_SHORT = r"\b(?:[Dd]r|[Mm]rs?|[Mm]s|[Ss]t|vs|etc|e\.g|i\.e|cf|approx|[A-Za-z])\.|^\s*\d+\."
_END = r"(?<=[.!?])[\"'”’)\]*_]*\s+"


def sentence_lists(text: str) -> list[list[str]]:
    """The sentences by an end sign before a blank, by lines too, by any end sign."""
    whole = re.sub(_SHORT, lambda found: found[0].replace(".", "\0"), text, flags=re.MULTILINE)
    readings = [
        re.split(_END, text),
        [part for line in text.splitlines() for part in re.split(_END, line)],
        [part.replace("\0", ".") for part in re.split(_END, whole)],
        re.split(r"(?<=[.!?])(?![.!?\"'”’)\]*_])", text),
    ]
    return [[part.strip() for part in parts if any(map(str.isalnum, part))] for parts in readings]


def paragraphs(text: str) -> list[str]:
    """The parts between blank lines."""
    parts = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n"))
    return [part.strip() for part in parts if part.strip()]


def lines(text: str) -> list[str]:
    """The lines that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


def word_counts(text: str, word: str) -> list[int]:
    """How often a word occurs: as a word, between blanks, and with an ending or in a compound."""
    return [
        len(re.findall(rf"\b{word}\b", text, re.IGNORECASE)),
        sum(found.lower() == word.lower() for found in words(text)),
        len(re.findall(rf"\b{word}(?:e?s|['’]s)?\b", text, re.IGNORECASE)),
    ]


_STORY = (
    "The old mill stood at the end of a narrow lane. Nobody had lived there for many years. "
    "Every spring the children walked past it on their way to school. They told stories about "
    "a miller who never slept. One morning a girl named Clara found the door open. She looked "
    "inside and saw a small black cat. The cat sat on a sack of flour and did not move. Clara "
    "gave it half of her bread. The next day she came back with a bowl of milk. Soon the cat "
    "followed her all the way to the school. The teacher laughed and let it sleep beside the "
    "stove. When winter came the river froze and the lane was hidden under snow. The cat stayed "
    "with Clara and her family. In March they went to the mill together. They swept the floor "
    "and mended the roof. By summer the wheel turned again and the village had fresh flour. "
    "People came from far away to buy it. Clara grew up and became the new miller. She never "
    "slept much either. On winter evenings she sat by the fire and told the children about the "
    "cat. Its grandchildren still guard the flour today."
)


def prose(count: int) -> str:
    """Plain prose of so many words."""
    found = _STORY.split()[:count]
    assert len(found) == count
    return " ".join(found).rstrip(".") + "."
