"""Constraints the stand-in model draws and mistakes, and the texts it writes for them."""

from collections.abc import Iterator
from random import Random

from autoif_assets.simulator.constraints import Constraint
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
