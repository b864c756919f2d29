"""Even lengths: pairs that do not teach a policy to write longer or shorter answers.

DPO learns what tells chosen from rejected, and length is the easiest thing to learn. Where the
prompts of an instruction have more responses than their pairs need, those are taken whose lengths
differ least on average; where the instruction is about length, length is what a pair shall teach
and is left alone. What one instruction lacks no other makes up for: it would have to prefer longer
answers for no reason of its own.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from math import comb, prod

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


def balanced(
    prompts: Iterable[tuple[str, Sequence[int], Sequence[int], tuple[int, int]]],
) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Choose what is paired of the prompts of one instruction, so that lengths come out even.

    Those with the fewest ways to choose come first, and each takes the way that brings the sum of
    all differences so far closest to zero; so what some prompts lack others make up for, and a
    prompt alone gets the smallest difference there is.

    Args:
        prompts: Of each prompt its key, the lengths of what may be chosen and of what may be
            rejected, and how many to take of each; at most as many as there are.

    Yields:
        The key, and the places of those taken on each side; of equally good ones the first. Of
        more than twelve on a side only the first twelve are looked at.
    """

    def ways(prompt: tuple[str, Sequence[int], Sequence[int], tuple[int, int]]) -> tuple[int, str]:
        key, *sides, sizes = prompt
        counts = (
            comb(min(len(side), _COMPARED), size) for side, size in zip(sides, sizes, strict=True)
        )
        return prod(counts), key

    balance = 0
    for key, chosen, rejected, sizes in sorted(prompts, key=ways):
        balance, first, second = _closest(chosen, rejected, sizes, balance)
        yield key, first, second


def _closest(
    chosen: Sequence[int], rejected: Sequence[int], sizes: tuple[int, int], balance: int
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return the sum closest to zero of ``balance`` and all differences, and how to get it."""
    of_chosen, of_rejected = sizes
    sums: dict[int, tuple[int, ...]] = {}
    for picked in combinations(range(min(len(rejected), _COMPARED)), of_rejected):
        sums.setdefault(of_chosen * sum(rejected[i] for i in picked), picked)
    ascending = sorted(sums)
    found = []
    for picked in combinations(range(min(len(chosen), _COMPARED)), of_chosen):
        total = balance + of_rejected * sum(chosen[i] for i in picked)
        place = bisect_left(ascending, total)
        found += [
            (abs(total - near), picked, sums[near], total - near)
            for near in ascending[max(place - 1, 0) : place + 1]
        ]
    _, first, second, balance = min(found)
    return balance, first, second
