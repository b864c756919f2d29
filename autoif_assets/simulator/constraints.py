"""What constraints are: families of them, and the kinds of parameters that families have."""
# ruff: noqa: D102  (the methods of parameters are documented once, in Parameter)

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from autoif_assets.simulator.drafting import Draft

Values = Mapping[str, Any]

NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip

COMPARE: dict[str, Callable[[int, int], bool]] = {
    "exactly": operator.eq,
    "at least": operator.ge,
    "at most": operator.le,
}
_OPERATOR_SIGNS = {"exactly": "==", "at least": ">=", "at most": "<="}
_RELATION_WORDS = {
    "exactly": ("exactly", "precisely"),
    "at least": ("at least", "no fewer than", "a minimum of"),
    "at most": ("at most", "no more than", "a maximum of"),
}


@dataclass(frozen=True)
class Family:
    """A kind of constraint.

    Attributes:
        name: Its key in the grammar.
        category: The category instructions of the family carry.
        parameters: Parameters by name.
        phrasings: Instructions with ``{parameter}`` places.
        patterns: Regular expressions over normalised instructions; ``@parameter`` is a parameter,
            ``~`` white space with any filler words, ``NOT`` a negation.
        check: The trusted checker, ``(text, values) -> bool``.
        write: Makes a text that satisfies the constraint.
        code: Bodies of right verifiers with ``$parameter`` places; the last line returns a bool.
        buggy: Bodies that look right and fail on some texts.
        siblings: Families a careless reader takes for this one.
        valid: Whether the values make sense together.
        opposite: Name and values of a constraint no text satisfies together with this one.
        canonical: Gives equal demands equal values, where the order of values does not matter.
    """

    name: str
    category: str
    parameters: Mapping[str, Parameter]
    phrasings: tuple[str, ...]
    patterns: tuple[str, ...]
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
                name: given[name] if given and name in given else parameter.draw(rng)
                for name, parameter in self.parameters.items()
            }
            if self.valid(values):
                return self.constraint(values)
            # Values of another family may make no sense here: the next draw is free.
            given = None

    def constraint(self, values: Values) -> Constraint:
        """Return the family's constraint with these values."""
        values = self.canonical(values)
        return Constraint(self.name, tuple((name, values[name]) for name in self.parameters))


@dataclass(frozen=True)
class Constraint:
    """A family's name and its values; equal constraints demand the same."""

    family: str
    items: tuple[tuple[str, Any], ...]

    @property
    def values(self) -> dict[str, Any]:
        """The values by parameter name."""
        return dict(self.items)


class Parameter(Protocol):
    """A parameter of a family: how it is drawn, said, read and written in Python."""

    @property
    def pattern(self) -> str:
        """Regular expression of what ``read`` takes."""

    def draw(self, rng: Random) -> Any:
        """Return a random value."""

    def near(self, rng: Random, value: Any) -> Any:
        """Return another value close to ``value``."""

    def say(self, rng: Random, value: Any) -> str:
        """Return the value as an instruction says it."""

    def read(self, text: str | None, quoted: list[str]) -> Any:
        """Return the value of a match of ``pattern`` in a normalised instruction."""

    def code(self, value: Any) -> str:
        """Return the value as Python source."""

    def decode(self, source: str) -> Any:
        """Return the value of what ``code`` wrote, or None where it is something else."""


@dataclass(frozen=True)
class Number:
    """A whole number of ``low`` to ``high``."""

    low: int
    high: int
    step: int = 1
    default: int | None = None
    pattern: str = r"\d+"

    def draw(self, rng: Random) -> int:
        return rng.randrange(self.low, self.high + 1, self.step)

    def near(self, rng: Random, value: int) -> int:
        return max(value + rng.choice((-1, 1, 2)) * self.step, 1) if value > 1 else value + 1

    def say(self, rng: Random, value: int) -> str:
        if 0 < value < len(NUMBER_WORDS) and rng.random() < 0.5:
            return NUMBER_WORDS[value]
        return str(value)

    def read(self, text: str | None, quoted: list[str]) -> int | None:
        return self.default if text is None else int(text)

    def code(self, value: int) -> str:
        return str(value)

    def decode(self, source: str) -> int | None:
        return int(source) if source.isdecimal() else None


@dataclass(frozen=True)
class Relation:
    """How a count compares with a number; unsaid means ``default``."""

    options: tuple[str, ...] = ("exactly", "at least", "at most")
    default: str = "exactly"
    pattern: str = "exactly|at least|at most"

    def draw(self, rng: Random) -> str:
        return rng.choice(self.options)

    def near(self, rng: Random, value: str) -> str:
        return rng.choice([option for option in COMPARE if option != value])

    def say(self, rng: Random, value: str) -> str:
        return rng.choice(_RELATION_WORDS[value])

    def read(self, text: str | None, quoted: list[str]) -> str:
        return text or self.default

    def code(self, value: str) -> str:
        return _OPERATOR_SIGNS[value]

    def decode(self, source: str) -> str | None:
        return next((name for name, sign in _OPERATOR_SIGNS.items() if sign == source), None)


_BARE_WORD = (
    r"(?:(?<=word )|(?<=term )|(?<=named )|(?<=called ))"
    r"(?!(?:in|of|at|for|that|to|more|longer|number|or|and|is|must|on|with)\b)[^\W\d_][\w']*"
)


def _literal(text: str) -> str:
    quote = "'" if '"' in text else '"'
    return f"{quote}{text}{quote}"


def _unliteral(source: str) -> str | None:
    if len(source) >= 3 and source[0] == source[-1] and source[0] in "'\"":
        return source[1:-1]
    return None


@dataclass(frozen=True)
class Word:
    """A word or phrase of a bank, said in quotes; words of other authors are read too.

    Attributes:
        bank: Values to draw from.
        bare: Whether an unquoted single word is read as well.
        lower: Whether case does not matter, so that values are kept in lower case.
    """

    bank: tuple[str, ...]
    bare: bool = True
    lower: bool = True

    @property
    def pattern(self) -> str:
        # A bare word counts only where "the word ..." announces it.
        return rf"«\d+»|{_BARE_WORD}" if self.bare else r"«\d+»"

    def draw(self, rng: Random) -> str:
        return rng.choice(self.bank)

    def near(self, rng: Random, value: str) -> str:
        return rng.choice([word for word in self.bank if word != value])

    def say(self, rng: Random, value: str) -> str:
        return f"'{value}'" if rng.random() < 0.3 and "'" not in value else f'"{value}"'

    def read(self, text: str | None, quoted: list[str]) -> str | None:
        if text is None:
            return None
        value = quoted[int(text[1:-1])] if text.startswith("«") else text
        value = value.strip() if self.bare else value.strip().rstrip(".,")
        if not value or "\\" in value or '"' in value or "\n" in value:
            return None
        return value.lower() if self.lower else value

    def code(self, value: str) -> str:
        return _literal(value)

    def decode(self, source: str) -> str | None:
        return _unliteral(source)


@dataclass(frozen=True)
class Letter:
    """A letter, kept in lower case."""

    bank: str
    pattern: str = r"«\d+»|[a-z]"

    def draw(self, rng: Random) -> str:
        return rng.choice(self.bank)

    def near(self, rng: Random, value: str) -> str:
        return rng.choice([letter for letter in self.bank if letter != value])

    def say(self, rng: Random, value: str) -> str:
        return rng.choice((f'"{value}"', f"'{value}'", f"'{value.upper()}'"))

    def read(self, text: str | None, quoted: list[str]) -> str | None:
        if text is None:
            return None
        value = quoted[int(text[1:-1])] if text.startswith("«") else text
        return value.lower() if len(value) == 1 and value.isascii() and value.isalpha() else None

    def code(self, value: str) -> str:
        return _literal(value)

    def decode(self, source: str) -> str | None:
        value = _unliteral(source)
        return value if value and len(value) == 1 and value.isalpha() else None


@dataclass(frozen=True)
class Choice:
    """One of a few values, each with the names an instruction may call it by, usual first."""

    names: Mapping[str, tuple[str, ...]]

    @property
    def pattern(self) -> str:
        every = sorted((name for names in self.names.values() for name in names), key=len)
        return "|".join(reversed(every)) + r"|«\d+»"

    def draw(self, rng: Random) -> str:
        return rng.choice(list(self.names))

    def near(self, rng: Random, value: str) -> str:
        return rng.choice([option for option in self.names if option != value])

    def say(self, rng: Random, value: str) -> str:
        return self.names[value][0] if value in self.names else f'"{value}"'

    def read(self, text: str | None, quoted: list[str]) -> str | None:
        if text is None:
            return None
        if text.startswith("«"):
            value = quoted[int(text[1:-1])].strip()
            return value if value in self.names else None
        return next(value for value, names in self.names.items() if text in names)

    def code(self, value: str) -> str:
        return _literal(value)

    def decode(self, source: str) -> str | None:
        value = _unliteral(source)
        return value if value in self.names else None
