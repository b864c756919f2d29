"""Charts as SVG: numbers in, pictures out, for the report's page and for assets' metadata.

On the page, colours are those of its style and follow its theme. As a picture of its own
(`in_markdown`), a chart has colours that can be read on a light and on a dark page.
"""

import base64
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 340, 170, 2, 22, 14
# Standing alone, a chart is this many pixels wide and has a line for the names of its colours.
_PIXELS = 600
_KEY = 14
_MARGIN = 44  # for the numbers of an axis
_LINE = 15  # height of a stage of the funnel, and of a row of a grid
_NAME = 16  # characters of such a row's name
_STYLE = Markup(
    "<style>text{font:10px system-ui,sans-serif;fill:#8a8a8a;text-anchor:middle}"
    ".start{text-anchor:start}.end{text-anchor:end}"
    ".kept{fill:#3b82c4}.dropped{fill:#d9822b}.axis{stroke:#8a8a8a}"
    "polyline,.interval{fill:none;stroke-width:1.5}"
    "polyline.kept,.interval.kept{stroke:#3b82c4;fill:none}"
    "polyline.dropped,.interval.dropped{stroke:#d9822b;fill:none}</style>"
)


class Bar(NamedTuple):
    """A bar: its name on the axis, and the rows kept and dropped in it."""

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


def histogram(name: str, title: str, description: str, bars: Sequence[Bar]) -> Markup:
    """Draw rows by bin, the kept ones below the dropped ones, for a page.

    Args:
        name: Unique on the page; a word.
        title: What is counted.
        description: The chart in words.
        bars: From left to right; at least one.
    """
    return (
        Markup(
            '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">'
            '<title id="{}-t">{}</title><desc id="{}-d">{}</desc>'
        ).format(*(_WIDTH, _HEIGHT, name, name, name, title, name, description))
        + _columns(bars)
        + Markup("</svg>")
    )


def histogram_chart(bars: Sequence[Bar], axis: str) -> str:
    """Draw rows by bin, the kept ones below the dropped ones.

    Args:
        bars: From left to right.
        axis: What the labels of the bars are.

    Returns:
        An SVG of 600 pixels' width; empty where there is no row.
    """
    if not any(bar.kept + bar.dropped for bar in bars):
        return ""
    return _alone(_columns(bars), _HEIGHT, _names(bars), axis)


def funnel_chart(bars: Sequence[Bar]) -> str:
    """Draw what stages kept and dropped, from the first at the top to the last.

    Args:
        bars: One a stage; lengths are logarithmic, for a stage may have a thousand times the
            rows of another.

    Returns:
        An SVG of 600 pixels' width; empty where there is no row.
    """
    most = max((bar.kept + bar.dropped for bar in bars), default=0)
    if not most:
        return ""
    start, room = _WIDTH * 0.38, _WIDTH * 0.5
    drawn = []
    for place, one in enumerate(bars):
        top = place * _LINE
        whole, kept = (
            room * math.log1p(rows) / math.log1p(most)
            for rows in (one.kept + one.dropped, one.kept)
        )
        drawn += [
            _text(start - 4, top + 10, one.label, "end"),
            _rect("dropped", start + kept, top + 2, whole - kept, _LINE - 4),
            _rect("kept", start, top + 2, kept, _LINE - 4),
            _text(start + whole + 4, top + 10, _short(one.kept), "start"),
        ]
    return _alone(Markup("").join(drawn), len(bars) * _LINE + 2, _names(bars), "rows kept")


def grid(
    name: str,
    title: str,
    description: str,
    rows: Sequence[str],
    columns: Sequence[str],
    counts: Mapping[tuple[str, str], int],
) -> Markup:
    """Draw counts by two kinds, for a page.

    Args:
        name: Unique on the page; a word.
        title: What is counted.
        description: The chart in words.
        rows: From top to bottom.
        columns: From left to right; at least one.
        counts: By row and column; what is not there is none.
    """
    return (
        Markup(
            '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">'
            '<title id="{}-t">{}</title><desc id="{}-d">{}</desc>'
        ).format(_WIDTH, (len(rows) + 1) * _LINE, name, name, name, title, name, description)
        + _cells(rows, columns, counts)
        + Markup("</svg>")
    )


def grid_chart(
    rows: Sequence[str], columns: Sequence[str], counts: Mapping[tuple[str, str], int], axis: str
) -> str:
    """Draw counts by two kinds.

    Args:
        rows: From top to bottom.
        columns: From left to right; at least one.
        counts: By row and column; what is not there is none.
        axis: What the columns are.

    Returns:
        An SVG of 600 pixels' width; empty where there is nothing to count.
    """
    if not any(counts.values()):
        return ""
    height = (len(rows) + 1) * _LINE
    return _alone(_cells(rows, columns, counts), height, {"kept": "accepted"}, axis)


def throughput_chart(points: Sequence[tuple[float, int, int]]) -> str:
    """Draw how fast calls and tokens came, over the time of a run.

    Args:
        points: Seconds since the start, calls done and completion tokens so far, in order of time.

    Returns:
        An SVG of 600 pixels' width; empty for fewer than two points.
    """
    spans = [
        (start, end, (calls - earlier) / (end - start), (tokens - fewer) / (end - start))
        for (start, earlier, fewer), (end, calls, tokens) in itertools.pairwise(points)
        if end > start
    ]
    if not spans:
        return ""
    first, last = spans[0][0], spans[-1][1]
    left, right, floor = _MARGIN, _WIDTH - _MARGIN, _HEIGHT - _BOTTOM
    drawn = [
        _axis(left, floor, right, floor),
        _text(left, floor + 14, f"{first:.0f} s"),
        _text(right, floor + 14, f"{last:.0f} s"),
    ]
    for colour, edge, anchor, rates in (
        ("kept", left - 4, "end", [calls for *_, calls, _ in spans]),
        ("dropped", right + 4, "start", [tokens for *_, tokens in spans]),
    ):
        most = max(rates) or 1
        # Each span is a step: what is known of it is its mean.
        steps = [
            (
                left + (right - left) * (second - first) / (last - first),
                floor - (floor - _TOP) * rate / most,
            )
            for (start, end, *_), rate in zip(spans, rates, strict=True)
            for second in (start, end)
        ]
        drawn += [
            _polyline(colour, steps),
            _text(edge, _TOP + 4, _short(most), anchor),
            _text(edge, floor, "0", anchor),
        ]
    names = {"kept": "calls/s (left)", "dropped": "tokens/s (right)"}
    return _alone(Markup("").join(drawn), _HEIGHT, names)


def policies_chart(cards: Sequence[Mapping[str, Any]]) -> str:
    """Draw pass@1 and pass@K of successive policies, with their intervals.

    Args:
        cards: Rows of ``policy_scorecard`` of one category, in the order of the policies.

    Returns:
        An SVG of 600 pixels' width; empty where nothing is known.
    """
    known = [card for card in cards if card["pass_at_1"] is not None]
    if not known:
        return ""
    left, floor = _MARGIN, _HEIGHT - _BOTTOM
    step = (_WIDTH - left - _LEFT) / len(known)

    def height(share: float) -> float:
        return floor - (floor - _TOP) * share

    drawn = [_axis(left, floor, _WIDTH - _LEFT, floor)]
    drawn += [_text(left - 4, height(share) + 3, f"{share:g}", "end") for share in (0, 0.5, 1)]
    for place, card in enumerate(known):
        drawn.append(_text(left + step * (place + 0.5), floor + 14, str(card["policy"])))
    for name, colour, aside in (("pass_at_1", "kept", -2), ("pass_at_k", "dropped", 2)):
        marks = []
        for place, card in enumerate(known):
            if card[name] is None:
                continue
            across = left + step * (place + 0.5) + aside
            marks.append((across, height(card[name])))
            low, high = height(card[f"{name}_low"]), height(card[f"{name}_high"])
            drawn.append(
                Markup(
                    '<line class="interval {}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
                    '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"/>'
                ).format(colour, across, low, across, high, colour, *marks[-1])
            )
        drawn.append(_polyline(colour, marks))
    names = {"kept": "pass@1", "dropped": f"pass@{known[0]['k']}"}
    return _alone(Markup("").join(drawn), _HEIGHT, names, "held-out instructions")


def in_markdown(svg: str, alt: str) -> str:
    """Return a chart as an image in Markdown; ``alt`` is read to those who cannot see it."""
    return f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _columns(bars: Sequence[Bar]) -> Markup:
    """Draw the bars of a histogram with their labels and numbers."""
    highest = max(max(one.kept + one.dropped for one in bars), 1)
    step = (_WIDTH - 2 * _LEFT) / len(bars)
    width = step * 0.8
    floor = _HEIGHT - _BOTTOM
    drawn = [_axis(0, floor, _WIDTH, floor)]
    for place, one in enumerate(bars):
        # Each bar is in the middle of its share of the axis.
        left = _LEFT + place * step + (step - width) / 2
        top = float(floor)
        for colour, rows in (("kept", one.kept), ("dropped", one.dropped)):
            # A few rows among many are still to be seen.
            height = max((floor - _TOP) * rows / highest, 1.5) if rows else 0
            top -= height
            if rows:
                drawn.append(_rect(colour, left, top, width, height))
        middle = left + width / 2
        drawn.append(_text(middle, _HEIGHT - 7, one.label))
        if rows := one.kept + one.dropped:
            drawn.append(_text(middle, top - 3, _short(rows), "count"))
    return Markup("").join(drawn)


def _cells(
    rows: Sequence[str], columns: Sequence[str], counts: Mapping[tuple[str, str], int]
) -> Markup:
    """Draw a bar a cell, with the names of rows and columns."""
    start = _WIDTH * 0.28
    step = (_WIDTH - start) / len(columns)
    most = max(counts.values(), default=0)
    drawn = [
        _text(start + place * step, 10, column, "start") for place, column in enumerate(columns)
    ]
    for line, row in enumerate(rows, start=1):
        top = line * _LINE
        drawn.append(_text(0, top + 10, row[:_NAME], "start"))
        for place, column in enumerate(columns):
            left, count = start + place * step, counts.get((row, column), 0)
            if count:
                # Beside the bar is room for the number.
                width = max((step - 26) * count / most, 1.5)
                drawn.append(_rect("kept", left, top + 2, width, _LINE - 4))
            drawn.append(
                _text(left + step - 24, top + 10, _short(count) if count else "–", "start")
            )
    return Markup("").join(drawn)


def _alone(drawing: Markup, height: float, names: Mapping[str, str], axis: str = "") -> str:
    """Return a drawing as a picture of its own, with what its colours and its axis are above it."""
    key = []
    across = float(_LEFT)
    for colour, name in names.items():
        key += [_rect(colour, across, 2, 8, 8), _text(across + 11, 10, name, "start")]
        across += 24 + 5.5 * len(name)
    key.append(_text(_WIDTH - _LEFT, 10, axis, "end"))
    whole = height + _KEY
    return (
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{:.0f}" '
            'viewBox="0 0 {} {:.0f}">'
        ).format(_PIXELS, whole * _PIXELS / _WIDTH, _WIDTH, whole)
        + _STYLE
        + Markup("").join(key)
        + Markup('<g transform="translate(0 {})">{}</g></svg>').format(_KEY, drawing)
    )


def _names(bars: Iterable[Bar]) -> dict[str, str]:
    """Name the colours that are there."""
    dropped = {"dropped": "rejected"} if any(one.dropped for one in bars) else {}
    return {"kept": "accepted", **dropped}


def _axis(left: float, top: float, right: float, bottom: float) -> Markup:
    return Markup('<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        left, top, right, bottom
    )


def _rect(colour: str, left: float, top: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        colour, left, top, width, height
    )


def _text(across: float, down: float, text: str, name: str = "") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        name, across, down, text
    )


def _polyline(colour: str, points: Iterable[tuple[float, float]]) -> Markup:
    places = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
    return Markup('<polyline class="{}" points="{}"/>').format(colour, places)


def _short(number: float) -> str:
    """Return a number in at most four characters."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size:
            whole = number >= 10 * size
            return f"{number / size:.0f}{unit}" if whole else f"{number / size:.1f}{unit}"
    return f"{number:.0f}" if number == int(number) or number >= 100 else f"{number:.1f}"
