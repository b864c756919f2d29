"""Even lengths: pairs that do not teach a policy to write longer or shorter answers.

DPO learns what tells chosen from rejected, and length is the easiest thing to learn. Where a
prompt has more responses than its pairs need, those are taken whose lengths are closest; where its
instruction is about length, length is what the pair shall teach and is left alone.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import combinations

import polars as pl

_CATEGORY = "length"
_NUMBER = (
    r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty"
    r"|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|a|single)"
)
_UNIT = r"(?:words?|characters?|letters|sentences?|lines?|paragraphs?|stanzas?|tokens?|pages?)"
# "Five words that begin with m" or "two sentences in bold" says nothing of the whole.
_NARROWED = (
    r"(?: \w+ly)?,? (?:that|which|whose|beginning|starting|ending|containing|written|with|from"
    r"|of a|in (?:bold|italics?|capitals?|upper|lower|all|cyrillic|greek))\b"
)
_COUNTED = rf"\b{_NUMBER}[ -](?:\w+[ -])?{_UNIT}\b"
_SAID = (
    r"\b(?:(?:very |as )?(?:short(?:er)?|brief(?:ly)?|concise(?:ly)?|terse(?:ly)?|succinct(?:ly)?"
    r"|lengthy|longer|at length|word count|character (?:count|limit)|word limit)"
    r"|(?:length|long|size) of (?:the|your|each|every)|in (?:great )?detail|in[- ]depth)\b"
)

# Of more candidates the first twelve, which are any twelve, are compared: all ways to take two
# of twelve are 66, of a hundred 4,950.
_COMPARED = 12


def constrains_length(instruction: pl.Expr, category: pl.Expr) -> pl.Expr:
    """Return whether an instruction constrains how long the answer, or a part of it, is.

    It does if its category is ``length``, or if its text counts words, characters, letters,
    sentences, lines, paragraphs, tokens or pages (unless only those of some kind: "five words
    that begin with m"), or asks for something short, long or detailed. Category alone does not
    do: instructions that a model wrote have none.

    Args:
        instruction: Text of the instruction.
        category: Its category or null.
    """
    text = instruction.str.to_lowercase()
    counted = text.str.replace_all(_COUNTED + _NARROWED, "").str.contains(_COUNTED)
    said = counted | text.str.contains(_SAID)
    return (category == _CATEGORY).fill_null(False) | said.fill_null(False)


def closest(
    chosen: Sequence[int], rejected: Sequence[int], sizes: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Choose from two sides so that their mean lengths are as close as can be.

    Args:
        chosen: Lengths of what may be chosen.
        rejected: Lengths of what may be rejected.
        sizes: How many to take of each, at most as many as there are.

    Returns:
        Indices on each side; of equally close ones those that come first. Where a side has more
        than twelve, the first twelve.
    """
    of_chosen, of_rejected = sizes
    sums: dict[int, tuple[int, ...]] = {}
    for picked in combinations(range(min(len(rejected), _COMPARED)), of_rejected):
        sums.setdefault(of_chosen * sum(rejected[i] for i in picked), picked)
    ascending = sorted(sums)
    best: tuple[int, tuple[int, ...], tuple[int, ...]] | None = None
    for picked in combinations(range(min(len(chosen), _COMPARED)), of_chosen):
        total = of_rejected * sum(chosen[i] for i in picked)
        place = bisect_left(ascending, total)
        for near in ascending[max(place - 1, 0) : place + 1]:
            found = (abs(total - near), picked, sums[near])
            best = found if best is None else min(best, found)
    if best is None:
        raise ValueError(f"{sizes} cannot be taken of {len(chosen)} and {len(rejected)}")
    return best[1:]
