"""Small charts for asset metadata: numbers in, PNG bytes out."""

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

# Between black and white, so that it can be read on a light and on a dark page.
_INK = "#8a8a8a"
_CALLS, _TOKENS = "#3b82c4", "#d9822b"


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
    # Heavy, so only those who draw wait for it. A figure of its own needs no global backend.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    right = left.twinx()
    edges = [spans[0][0], *(end for _, end, _, _ in spans)]
    for axes, rates, colour, label in (
        (left, [calls for *_, calls, _ in spans], _CALLS, "calls/s"),
        (right, [tokens for *_, tokens in spans], _TOKENS, "tokens/s"),
    ):
        axes.stairs(rates, edges, color=colour, linewidth=1.5, baseline=None)
        axes.set_ylabel(label, color=colour)
        axes.set_ylim(bottom=0)
        axes.tick_params(colors=_INK, labelsize=8)
        for spine in axes.spines.values():
            spine.set_color(_INK)
    left.set_xlabel("seconds", color=_INK)
    left.margins(x=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return buffer.getvalue()


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
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
    axes.tick_params(colors=_INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(_INK)
    axes.legend(frameon=False, labelcolor=_INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return buffer.getvalue()
