"""What commands print: the one place where texts of servers and models reach a terminal."""

from typing import Any

import click

from autoif_assets.display import displayed


def say(text: str = "", *, err: bool = False, **style: Any) -> None:
    """Print a text without what would direct the terminal.

    Args:
        text: What is printed; styles in it are lost.
        err: Whether it goes to standard error.
        style: See `click.style`.
    """
    click.secho(displayed(text), err=err, **style)
