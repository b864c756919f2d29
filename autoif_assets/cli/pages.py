"""Pages for a terminal: tables, code and texts, of which none can direct the terminal."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from autoif_assets.display import displayed

_WIDTH = 100  # where there is no terminal to ask
TEXT_CHARS = 1_200
"""Most characters that are shown of a response."""


def console(*, err: bool = False) -> Console:
    """Return what prints pages: in colour on a terminal, plain elsewhere."""
    found = Console(stderr=err, highlight=False, soft_wrap=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = _WIDTH
    return found


def plain(value: object, chars: int | None = None, style: str = "") -> Text:
    """Return a text as it is, without what would direct the terminal; nothing is markup in it.

    Args:
        value: What is shown; nothing of None.
        chars: Most characters; what is left out is counted.
        style: Rich's.
    """
    text = "" if value is None else displayed(str(value))
    if chars is not None and len(text) > chars:
        text = f"{text[:chars]}… ({len(text) - chars} more characters)"
    return Text(text, style)


def python(source: str) -> Syntax:
    """Return Python with its colours."""
    return Syntax(displayed(source.strip("\n")), "python", theme="ansi_dark", word_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], chars: int = 120) -> Table:
    """Return a table.

    Args:
        columns: Their names; those that begin with ``#`` are of numbers, and shown without it.
        rows: Their values: texts, numbers, None, or what Rich renders.
        chars: Most characters of a text.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        is_number = name.startswith("#")
        made.add_column(
            plain(name.removeprefix("#")),
            justify="right" if is_number else "left",
            overflow="fold",
        )
    for row in rows:
        made.add_row(*(one if isinstance(one, Text) else plain(one, chars) for one in row))
    return made


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Return names and what they stand for, below each other."""
    made = Table.grid(padding=(0, 2))
    for name, value in facts:
        made.add_row(plain(name, style="bold"), plain(value))
    return made


def panel(title: str, *parts: RenderableType, style: str = "") -> Panel:
    """Return parts in a frame."""
    return Panel(
        Group(*parts),
        title=plain(title),
        title_align="left",
        border_style=style or "none",
        box=box.ROUNDED,
    )


def pair_page(title: str, row: Mapping[str, Any]) -> RenderableType:
    """Return a preference pair with its sides beside each other.

    Args:
        title: What is said above it.
        row: ``prompt``, ``chosen``, ``rejected`` and their pass rates.
    """
    sides = [
        panel(
            f"{side}, passes {row[f'{side}_pass_rate']:.0%}",
            plain(row[side], TEXT_CHARS),
            style=colour,
        )
        for side, colour in (("chosen", "green"), ("rejected", "red"))
    ]
    return panel(title, plain(row["prompt"], TEXT_CHARS), Columns(sides, equal=True, expand=True))
