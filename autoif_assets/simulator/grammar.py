"""Constraints the stand-in model draws and mistakes, and the texts it writes for them."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from random import Random
from typing import Any

from autoif_assets.simulator.constraints import Constraint, Number
from autoif_assets.simulator.drafting import Draft, topic_words
from autoif_assets.simulator.families import FAMILIES, family_of

_NAMES = tuple(FAMILIES)
_ATTEMPTS = 12


def draw(rng: Random) -> Constraint:
    """Return a random constraint of a random family."""
    return FAMILIES[rng.choice(_NAMES)].draw(rng)


def near(constraint: Constraint, rng: Random) -> Constraint:
    """Return another constraint that a careless reader might take for this one."""
    family = family_of(constraint)
    values = constraint.values
    for _ in range(_ATTEMPTS):
        if not values or (family.siblings and rng.random() < 0.3):
            # Words and signs carry over to a sibling; numbers mean something else there.
            kept = {name: value for name, value in constraint.items if isinstance(value, str)}
            return FAMILIES[rng.choice(family.siblings)].draw(rng, kept)
        name = rng.choice(list(values))
        changed = {**values, name: family.parameters[name].near(rng, values[name])}
        if family.valid(changed) and family.constraint(changed) != constraint:
            return family.constraint(changed)
    return far(constraint, rng)


def far(constraint: Constraint, rng: Random) -> Constraint:
    """Return a constraint of another family."""
    return FAMILIES[rng.choice([name for name in _NAMES if name != constraint.family])].draw(rng)


def opposite(constraint: Constraint) -> Constraint | None:
    """Return a constraint that no text satisfies together with this one, if one is known."""
    family, values = family_of(constraint), constraint.values
    if family.opposite is not None:
        name, other = family.opposite(values)
        return FAMILIES[name].constraint(other)
    if "rel" not in values or "n" not in values:
        return None
    if values["rel"] == "at most":
        return family.constraint({**values, "rel": "at least", "n": values["n"] + 1})
    # Nothing is fewer than none, and "exactly n" is broken by n - 1 as "at least n" is.
    if values["n"] < 1:
        return None
    return family.constraint({**values, "rel": "at most", "n": values["n"] - 1})


def holds(constraint: Constraint, text: str) -> bool:
    """Return whether a text satisfies the constraint, by the family's trusted checker."""
    return bool(family_of(constraint).check(text, constraint.values))


def satisfy(constraint: Constraint, rng: Random, query: str = "", size: int = 4) -> str:
    """Return a text about the query that satisfies the constraint.

    Where an instruction of another author leaves no way the text may fail it; ``holds`` says so.
    """
    text = ""
    for attempt in range(_ATTEMPTS):
        # A topic of the query can stand in the way, such as the very word to avoid.
        topics = topic_words(query) if attempt < _ATTEMPTS // 2 else ()
        text = family_of(constraint).write(Draft(rng, topics, size), constraint.values)
        if holds(constraint, text):
            break
    return text


def violate(constraint: Constraint, rng: Random, query: str = "", size: int = 4) -> str:
    """Return a text about the query that breaks the constraint, narrowly where that is easy."""
    text = ""
    for text in _spoilt(constraint, rng, query, size):
        if not holds(constraint, text):
            break
    return text


def _spoilt(constraint: Constraint, rng: Random, query: str, size: int) -> Iterator[str]:
    """Yield texts that may break the constraint, the narrow ones first."""
    draft = Draft(rng, topic_words(query), size)
    other = opposite(constraint)
    # A text that follows it but for one edit is the hardest for a verifier to tell.
    if rng.random() < 0.4:
        good = satisfy(constraint, rng, query, size)
        edits = [f"{draft.sentence()} {good}", f"{good} {draft.sentence()}", good.swapcase()]
        rng.shuffle(edits)
        yield from edits
    # Then what another reading of the instruction leads to.
    for _ in range(2 if other else 4):
        yield satisfy(near(constraint, rng), rng, query, size)
    if other:
        for _ in range(3):
            yield satisfy(other, rng, query, size)
    # At last any text: one of a length or a form of its own breaks nearly every constraint.
    for sentences in (4, 1, 12, 30, 4, 1, 12, 30):
        yield draft.body(sentences)
        yield satisfy(far(constraint, rng), rng, query, size)


def narrow(constraint: Constraint, rng: Random, *, obeys: bool, size: int = 2) -> str:
    """Return a text next to the line between satisfying the constraint and breaking it.

    Where the constraint counts, the count is the bound or the one just beyond it; elsewhere one
    letter more or less would change the verdict. Where an instruction of another author leaves no
    way, the text may lie on the other side; ``holds`` says so.
    """
    family = family_of(constraint)
    for values in _bounds(constraint, rng, obeys):
        text = family.write(Draft(rng, size=size), values)
        if family.check(text, values) and holds(constraint, text) == obeys:
            return text
    for _ in range(_ATTEMPTS):
        good, bad = satisfy(constraint, rng, size=size), violate(constraint, rng, size=size)
        if holds(constraint, good) and not holds(constraint, bad):
            bad, good = closest(bad, good, lambda text: holds(constraint, text), rng)
            break
    return good if obeys else bad


def _bounds(constraint: Constraint, rng: Random, obeys: bool) -> list[dict[str, Any]]:
    """Return values that pin what is counted to a bound, or to the number just beyond it."""
    values = constraint.values
    steps = (0,) if obeys else (-1, 1)
    pins: list[dict[str, Any]] = []
    if {"rel", "n"} <= set(values):
        pins = [{"rel": "exactly", "n": values["n"] + step} for step in steps]
    elif {"low", "high"} <= set(values):
        ends = (values["low"] + min(steps), values["high"] + max(steps))
        pins = [{"low": end, "high": end} for end in ends]
    else:
        for name, parameter in family_of(constraint).parameters.items():
            if isinstance(parameter, Number):
                pins += [{name: values[name] + step} for step in steps]
    # None of something is no close miss of one, and not every family can write it.
    pins = [pin for pin in pins if all(number != 0 for number in pin.values())] * 2
    rng.shuffle(pins)
    return [{**values, **pin} for pin in pins]


def closest(bad: str, good: str, test: Callable[[str], bool], rng: Random) -> tuple[str, str]:
    """Return two texts between a bad and a good one that differ in one letter, if possible.

    Args:
        bad: A text that fails the test.
        good: A text that passes it.
        test: Tells them apart.
        rng: Source of every choice.

    Returns:
        The nearest texts found, the one that fails first.
    """
    bad, good = _flip(_pieces(bad), _pieces(good), "", "", test, rng)
    start = _alike(bad, good)
    end = _alike(bad[start:][::-1], good[start:][::-1])
    first, second = bad[start : len(bad) - end], good[start : len(good) - end]
    return _flip(first, second, bad[:start], bad[len(bad) - end :], test, rng)


def _alike(first: str, second: str) -> int:
    """Return how many letters two texts begin with alike."""
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s+|\S+", text)


def _flip(
    bad: Sequence[str],
    good: Sequence[str],
    head: str,
    tail: str,
    test: Callable[[str], bool],
    rng: Random,
) -> tuple[str, str]:
    """Put the good pieces into the place of the bad ones one by one, and return where it tells."""
    texts = [
        head + "".join(good[:count]) + "".join(bad[count:]) + tail
        for count in range(max(len(bad), len(good)) + 1)
    ]
    verdicts = [test(text) for text in texts]
    turns = [i for i in range(len(texts) - 1) if verdicts[i] != verdicts[i + 1]]
    turn = rng.choice(turns)
    first, second = texts[turn], texts[turn + 1]
    return (second, first) if verdicts[turn] else (first, second)
