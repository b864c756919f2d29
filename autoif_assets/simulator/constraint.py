"""The grammar's parts: families of constraints, and one constraint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from autoif_assets.simulator.parameters import Slot

if TYPE_CHECKING:
    from autoif_assets.simulator.drafting import Draft

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A kind of constraint.

    Attributes:
        name: Its key in the grammar.
        category: The category instructions of the family carry.
        slots: Parameters by name.
        phrasings: Instructions with ``{slot}`` places.
        readings: Regular expressions over normalised instructions; ``@slot`` is a parameter,
            ``~`` white space with any filler words, ``NOT`` a negation.
        check: The trusted checker, ``(text, values) -> bool``.
        write: Makes a text that satisfies the constraint.
        code: Bodies of right verifiers; ``$slot`` is a parameter, the last line returns a bool.
        buggy: Bodies that look right and fail on some texts.
        siblings: Families a careless reader takes for this one.
        valid: Whether the values make sense together.
        opposite: Name and values of a constraint no text satisfies together with this one.
        canonical: Gives equal demands equal values, where the order of values does not matter.
    """

    name: str
    category: str
    slots: Mapping[str, Slot]
    phrasings: tuple[str, ...]
    readings: tuple[str, ...]
    check: Callable[[str, Values], bool]
    write: Callable[[Draft, Values], str]
    code: tuple[str, ...]
    buggy: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    valid: Callable[[Values], bool] = lambda values: True
    opposite: Callable[[Values], tuple[str, Values]] | None = None
    canonical: Callable[[Values], Values] = lambda values: values

    def draw(self, rng: Random, given: Values | None = None) -> Constraint:
        """Return a random constraint of the family that keeps the given values it has."""
        while True:
            values = {
                name: given[name] if given and name in given else slot.draw(rng)
                for name, slot in self.slots.items()
            }
            if self.valid(values):
                return self.constraint(values)
            given = None

    def constraint(self, values: Values) -> Constraint:
        """Return the family's constraint with these values."""
        values = self.canonical(values)
        return Constraint(self.name, tuple((name, values[name]) for name in self.slots))


@dataclass(frozen=True)
class Constraint:
    """A family's name and its values; equal constraints demand the same."""

    family: str
    items: tuple[tuple[str, Any], ...]

    @property
    def values(self) -> dict[str, Any]:
        """The values by slot name."""
        return dict(self.items)


def by_name(groups: Iterable[Iterable[Family]]) -> dict[str, Family]:
    """Return the families of several groups by name."""
    return {family.name: family for group in groups for family in group}
