"""Small charts for asset metadata: numbers in, PNG bytes out."""

import io
import itertools
from collections.abc import Sequence

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
