"""Charts as inline SVG; colours come from the page's style, so that they follow its theme."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 340, 170, 2, 22, 14


class Bin(NamedTuple):
    """A bar of a histogram: its name on the axis, and the rows kept and dropped in it."""

    label: str
    kept: int
    dropped: int


def bar(part: float, whole: float, label: str, colour: str = "kept") -> Markup:
    """Draw a share as a part of a line.

    Args:
        part: How much is filled.
        whole: The full length; a bar of nothing where it is 0.
        label: What the bar says, in words.
        colour: ``kept`` or ``dropped``.
    """
    share = part / whole if whole else 0
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img">'
        '<title>{}</title><rect class="track" width="100" height="10"/>'
        '<rect class="{}" width="{:.2f}" height="10"/></svg>'
    ).format(label, colour, 100 * share)


def histogram(name: str, title: str, description: str, bins: Sequence[Bin]) -> Markup:
    """Draw rows by bin, the kept ones below the dropped ones.

    Args:
        name: Unique on the page; a word.
        title: What is counted.
        description: The chart in words.
        bins: From left to right; at least one.
    """
    highest = max(max(one.kept + one.dropped for one in bins), 1)
    step = (_WIDTH - 2 * _LEFT) / len(bins)
    width = step * 0.8
    floor = _HEIGHT - _BOTTOM
    parts = [
        Markup(
            '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">'
            '<title id="{}-t">{}</title><desc id="{}-d">{}</desc>'
            '<line class="axis" x1="0" y1="{}" x2="{}" y2="{}"/>'
        ).format(
            *(_WIDTH, _HEIGHT, name, name, name, title, name, description),
            *(floor, _WIDTH, floor),
        )
    ]
    for place, one in enumerate(bins):
        # Each bar is in the middle of its share of the axis.
        left = _LEFT + place * step + (step - width) / 2
        top = float(floor)
        for colour, rows in (("kept", one.kept), ("dropped", one.dropped)):
            # A few rows among many are still to be seen.
            height = max((floor - _TOP) * rows / highest, 1.5) if rows else 0
            top -= height
            if rows:
                parts.append(
                    Markup(
                        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                    ).format(colour, left, top, width, height)
                )
        middle = left + width / 2
        parts.append(
            Markup('<text x="{:.1f}" y="{}">{}</text>').format(middle, _HEIGHT - 7, one.label)
        )
        if one.kept + one.dropped:
            parts.append(
                Markup('<text class="count" x="{:.1f}" y="{:.1f}">{}</text>').format(
                    middle, top - 3, _short(one.kept + one.dropped)
                )
            )
    return Markup("").join([*parts, Markup("</svg>")])


def _short(rows: int) -> str:
    """Return a count in at most four characters."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if rows >= size:
            return f"{rows / size:.0f}{unit}" if rows >= 10 * size else f"{rows / size:.1f}{unit}"
    return str(rows)
