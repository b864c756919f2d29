"""Small charts for asset metadata: numbers in, PNG bytes out."""

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Between black and white, so that it can be read on a light and on a dark page.
_INK = "#8a8a8a"
_CALLS, _TOKENS = "#3b82c4", "#d9822b"
_KEPT, _DROPPED = _CALLS, _TOKENS
_ROW_IN = 0.24  # height of a horizontal bar, in inches


class Bar(NamedTuple):
    """A bar: its name on the axis, and the rows kept and dropped in it."""

    label: str
    kept: int
    dropped: int


def in_markdown(png: bytes, alt: str) -> str:
    """Return a PNG as an image in Markdown; ``alt`` is read to those who cannot see it."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"


def histogram_chart(bars: Sequence[Bar], axis: str) -> bytes:
    """Draw rows by bin, the kept ones below the dropped ones.

    Args:
        bars: From left to right.
        axis: What the labels of the bars are.

    Returns:
        A transparent PNG of 600 by 200 pixels; empty where there is no row.
    """
    if not any(bar.kept + bar.dropped for bar in bars):
        return b""
    figure, axes = _figure(2.0)
    places = range(len(bars))
    kept = [bar.kept for bar in bars]
    axes.bar(places, kept, color=_KEPT, label="accepted")
    axes.bar(places, [bar.dropped for bar in bars], bottom=kept, color=_DROPPED, label="rejected")
    axes.set_xticks(places, [bar.label for bar in bars])
    axes.set_xlabel(axis, color=_INK)
    axes.set_ylabel("rows", color=_INK)
    _short_numbers(axes)
    _legend(axes, bars)
    return _png(figure)


def funnel_chart(bars: Sequence[Bar]) -> bytes:
    """Draw what stages kept and dropped, from the first at the top to the last.

    Args:
        bars: One a stage; the numbers are on a logarithmic axis, for a stage may have a thousand
            times the rows of another.

    Returns:
        A transparent PNG of 600 pixels' width; empty where there is no row.
    """
    if not any(bar.kept + bar.dropped for bar in bars):
        return b""
    figure, axes = _figure(0.6 + _ROW_IN * len(bars), left=0.4)
    places = range(len(bars))
    rows = [bar.kept + bar.dropped for bar in bars]
    axes.barh(places, [bar.kept for bar in bars], color=_KEPT, label="accepted", zorder=2)
    axes.barh(places, rows, color=_DROPPED, label="rejected", zorder=1)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yticks(places, [f"{bar.label}  {bar.kept}" for bar in bars])
    axes.invert_yaxis()
    axes.set_xlabel("rows", color=_INK)
    _legend(axes, bars)
    return _png(figure)


def throughput_chart(points: Sequence[tuple[float, int, int]]) -> bytes:
    """Draw how fast calls and tokens came, over the time of a run.

    Args:
        points: Seconds since the start, calls done and completion tokens so far, in order of time.

    Returns:
        A transparent PNG of 600 by 200 pixels, below 30 kB; empty for fewer than two points.
    """
    spans = [
        (start, end, (calls - earlier) / (end - start), (tokens - fewer) / (end - start))
        for (start, earlier, fewer), (end, calls, tokens) in itertools.pairwise(points)
        if end > start
    ]
    if not spans:
        return b""
    figure, left = _figure(2.0, right=0.9)
    right = left.twinx()
    right.patch.set_alpha(0)
    _ink(right)
    edges = [spans[0][0], *(end for _, end, _, _ in spans)]
    for axes, rates, colour, label in (
        (left, [calls for *_, calls, _ in spans], _CALLS, "calls/s"),
        (right, [tokens for *_, tokens in spans], _TOKENS, "tokens/s"),
    ):
        axes.stairs(rates, edges, color=colour, linewidth=1.5, baseline=None)
        axes.set_ylabel(label, color=colour)
        axes.set_ylim(bottom=0)
        _short_numbers(axes)
    left.set_xlabel("seconds", color=_INK)
    left.margins(x=0)
    return _png(figure)


def policies_chart(cards: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw pass@1 and pass@K of successive policies, with their intervals.

    Args:
        cards: Rows of ``policy_scorecard`` of one category, in the order of the policies.

    Returns:
        A transparent PNG of 600 by 300 pixels; empty where nothing is known.
    """
    known = [card for card in cards if card["pass_at_1"] is not None]
    if not known:
        return b""
    figure, axes = _figure(3.0)
    for name, label, colour, aside in (
        ("pass_at_1", "pass@1", _CALLS, -0.05),
        ("pass_at_k", f"pass@{known[0]['k']}", _TOKENS, 0.05),
    ):
        shown = [(place, card) for place, card in enumerate(known) if card[name] is not None]
        values = [card[name] for _, card in shown]
        # Rounding may put a bound on the wrong side of the value by 1e-16.
        below = [max(0.0, card[name] - card[f"{name}_low"]) for _, card in shown]
        above = [max(0.0, card[f"{name}_high"] - card[name]) for _, card in shown]
        places = [place + aside for place, _ in shown]
        bounds = [below, above]
        axes.errorbar(places, values, bounds, color=colour, marker="o", capsize=3, label=label)
    axes.set_xticks(range(len(known)), [str(card["policy"]) for card in known])
    axes.set_ylim(0, 1)
    axes.set_ylabel("held-out instructions", color=_INK)
    axes.legend(labelcolor=_INK, frameon=False, fontsize=8)
    return _png(figure)


def _figure(height_in: float, left: float = 0.1, right: float = 0.98) -> "tuple[Figure, Axes]":
    """Return a transparent figure; its margins are given, for finding them costs a second draw."""
    # Heavy, so only those who draw wait for it. A figure of its own needs no global backend.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, height_in), dpi=100)
    figure.subplots_adjust(left, 0.46 / height_in, right, 1 - 0.1 / height_in)
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    _ink(axes)
    return figure, axes


def _ink(axes: "Axes") -> None:
    axes.tick_params(colors=_INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(_INK)


def _short_numbers(axes: "Axes") -> None:
    """Write 60 k for 60,000, which the margin has room for."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))


def _legend(axes: "Axes", bars: Sequence[Bar]) -> None:
    """Name the colours, where there are two."""
    if any(bar.dropped for bar in bars):
        axes.legend(labelcolor=_INK, frameon=False, fontsize=8)


def _png(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    # Not savefig: it draws twice.
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
