"""How far a run is: on a terminal a bar over the whole batch, elsewhere lines."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autoif_assets.cli.output import say
from autoif_assets.endpoint import Progress
from autoif_assets.resources.telling import News, Remark, Step, Told

_QUIET_S = 10.0  # without a word, at most
_BAR = 30
_TELLING = 0.02  # of the expected tokens


class Board:
    """What is known of a run under way; told in its thread, shown in another."""

    def __init__(self, of: str, stages: int, expected: Mapping[str, float] | None = None) -> None:
        """Begin.

        Args:
            of: What is made, such as the name of a batch.
            stages: How many steps there will be.
            expected: Tokens that a step is expected to have written for it, by its name.
        """
        self._of = of
        self._stages = stages
        self._expected = dict(expected or {})
        self._began = time.time()
        self._calls: dict[tuple[str, str], Progress] = {}
        self._rows: dict[str, int] = {}
        self._ended: dict[str, float] = {}
        self._step, self._step_began = "", self._began
        self._now: Told | None = None

    def told(self, told: News) -> str:
        """Take note; return a line on what ended or went wrong, if something did."""
        if isinstance(told, Remark):
            return told.text
        if isinstance(told, Told):
            self._now = told
            if told.calls is not None:
                self._calls[told.asset, told.work] = told.calls
            return ""
        # Of a run that is watched from later on.
        self._began = min(self._began, told.at)
        if told.what == "made":
            self._rows[told.name] = self._rows.get(told.name, 0) + told.rows
            return ""
        if told.what == "begun":
            self._step, self._step_began, self._now = told.name, told.at, None
            return ""
        self._ended[told.name] = told.at - self._step_began
        self._step, self._now = "", None
        return self._line(told) if told.what == "done" else ""

    def _line(self, told: Step) -> str:
        rows = f", {self._rows[told.name]:,} rows" if told.name in self._rows else ""
        seconds = _seconds(self._ended[told.name])
        return f"stage {len(self._ended)} of {self._stages}, {told.name}{rows}, {seconds}"

    def where(self) -> str:
        """Say which stage it is at, and since when."""
        if not self._step:
            return f"{len(self._ended)} of {self._stages} stages are done"
        since = _seconds(time.time() - self._step_began)
        at = f"stage {len(self._ended) + 1} of {self._stages}, {self._step}, {since}"
        if self._now is not None and self._now.total:
            what = "verifiers run" if self._now.work == "sandbox" else f"{self._now.work} calls"
            at += f": {self._now.done:,} of {self._now.total:,} {what}"
        return at

    def totals(self) -> str:
        """Say what it came to so far, and how long it may take."""
        # Copied whole, for the run goes on meanwhile.
        calls = list(self._calls.values())
        tokens = sum(c.prompt_tokens + c.completion_tokens for c in calls)
        cost = sum(c.cost for c in calls)
        parts = [f"{sum(list(self._rows.values())):,} rows"] if self._rows else []
        parts += [f"{tokens:,} tokens"] if tokens else []
        parts += [f"cost {cost:,.4g}"] if cost else []
        parts += [_seconds(time.time() - self._began)]
        left = self.left_s()
        parts += [] if left is None else [f"about {_seconds(left)} left"]
        return ", ".join(parts)

    def left_s(self) -> float | None:
        """Return the seconds that are likely left of the whole run; None while nothing tells.

        What is still to be written goes by the tokens written so far, and what asks nobody by the
        stages that did not.
        """
        written: dict[str, int] = {}
        asked, ended = dict(self._calls), dict(self._ended)
        for (name, _), calls in asked.items():
            written[name] = written.get(name, 0) + calls.completion_tokens
        asking_s = sum(c.elapsed_s for c in asked.values() if c.completion_tokens)
        # What a handful of answers took says little.
        enough = sum(written.values()) >= _TELLING * sum(self._expected.values())
        rate = sum(written.values()) / asking_s if asking_s and enough else 0.0
        open_tokens = sum(
            max(tokens - written.get(name, 0), 0)
            for name, tokens in self._expected.items()
            if name not in ended
        )
        if len(ended) >= self._stages or (open_tokens and not rate):
            return None
        others = [s for name, s in ended.items() if name not in written]
        if not others and not rate:
            return None
        each = sum(others) / len(others) if others else 0.0
        open_stages = max(self._stages - len(ended) - bool(self._step), 0)
        return (open_tokens / rate if open_tokens else 0.0) + each * open_stages

    def __rich__(self) -> RenderableType:
        """Show it in three lines."""
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(self._of, style="bold"),
            ProgressBar(self._stages, min(len(self._ended), self._stages), width=_BAR),
            Text(f"{len(self._ended)}/{self._stages}"),
        )
        return Group(bar, Text(self.where()), Text(self.totals(), style="dim"))


@contextmanager
def showing(board: Board, terminal: Console) -> Iterator[bool]:
    """Show a board while the context lasts; yields whether it is on a terminal.

    Args:
        board: It is told what happens.
        terminal: Where; no terminal gets a line for each stage, and one whenever nothing was said
            for ten seconds.
    """
    from autoif_assets.resources.telling import listening

    if terminal.is_terminal:
        # Dagster takes the streams away while a step runs, to keep what it prints.
        with (
            os.fdopen(os.dup(terminal.file.fileno()), "w", encoding="utf-8") as own,
            Live(
                board,
                console=Console(file=own, highlight=False, force_terminal=True),
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            ) as live,
        ):

            def print_above(told: News) -> None:
                if line := board.told(told):
                    live.console.print(Text(line))

            with listening(print_above):
                yield True
        return
    said = [time.monotonic()]
    over = Event()

    def print_line(told: News) -> None:
        if isinstance(told, Remark):
            # The log beside says it.
            return
        line = board.told(told)
        if line:
            say(f"{line}; {board.totals()}", err=True)
        if line or isinstance(told, Told):
            said[0] = time.monotonic()

    def keep_saying() -> None:
        while not over.wait(1.0):
            if time.monotonic() >= said[0] + _QUIET_S:
                said[0] = time.monotonic()
                print(f"{board.where()}; {board.totals()}", file=sys.stderr, flush=True)

    saying = Thread(target=keep_saying, name="autoif-progress", daemon=True)
    saying.start()
    try:
        with listening(print_line):
            yield False
    finally:
        over.set()
        saying.join()


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
