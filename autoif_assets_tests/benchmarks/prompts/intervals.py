"""Shares and their 95 % intervals by a bootstrap that draws whole units.

Answers to one instruction are not independent, so instructions are drawn and not answers. All
variants are estimated by the same draws: the interval of a difference is that of what changes on
equal instructions.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
"""A figure by the units as they are, then by each draw of them."""

_DRAWS = 4_000


class Draws:
    """Draws of units with replacement; the first is the units themselves."""

    def __init__(self, units: int, seed: int = 0):
        drawn = np.random.default_rng(seed).multinomial(units, [1 / units] * units, _DRAWS)
        self._weights = np.vstack([np.ones(units), drawn])

    def share(self, part: npt.ArrayLike, whole: npt.ArrayLike) -> Values:
        """Return the sum of one count over the sum of another, both given by unit."""
        return _divided(self._weights @ np.asarray(part), self._weights @ np.asarray(whole))

    def auc(self, good: list[list[float]], bad: list[list[float]]) -> Values:
        """Return the chance that a good one's score is the higher; equal scores count half.

        Args:
            good: Scores by unit.
            bad: The same.
        """
        pairs = np.array([[len(g) * len(b) for b in bad] for g in good], dtype=float)
        higher = np.array([[_higher(g, b) for b in bad] for g in good])

        def total(of: Values) -> Values:
            return np.einsum("di,ij,dj->d", self._weights, of, self._weights, optimize=True)

        return _divided(total(higher), total(pairs))


def _higher(good: list[float], bad: list[float]) -> float:
    return sum((g > b) + (g == b) / 2 for g in good for b in bad)


def _divided(part: Any, whole: Any) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part / whole, dtype=np.float64)


class Form(NamedTuple):
    """How a figure is written: its number's format, what is put behind it, and in which units."""

    spec: str
    unit: str = ""
    scale: int = 1

    def __call__(self, value: float) -> str:
        """Write a number without its unit."""
        return "∞" if math.isinf(value) else format(self.scale * value, self.spec)


PERCENT = Form(".0f", " %", 100)
POINTS = Form("+.0f", "", 100)
NUMBER = Form(".0f")
FRACTION = Form(".2f")
DIFFERENCE = Form("+.2f")


def shown(values: Values, form: Form) -> str:
    """Return a figure with its interval, or a dash where there is none.

    Args:
        values: As ``Draws`` estimates them.
        form: How they are written.
    """
    if math.isnan(values[0]):
        return "–"
    drawn = values[1:][~np.isnan(values[1:])]
    # Some draws of few units have nothing to divide by: infinity cannot be interpolated.
    low, high = np.quantile(drawn, (0.025, 0.975), method="inverted_cdf")
    return f"{form(values[0])}{form.unit} ({form(low)} to {form(high)})"
