"""How far the running assets are, for who listens in the same process: a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg

from autoif_assets.endpoint import Progress


@dataclass(frozen=True)
class Told:
    """How far an asset is.

    Attributes:
        asset: Its name.
        work: What it does: the role that is asked, or ``sandbox``.
        done: Of what is to be done, how much is.
        total: How much is to be done in this go; an asset may have several.
        calls: The account of the model calls, where it asks.
    """

    asset: str
    work: str
    done: int
    total: int
    calls: Progress | None = None


@dataclass(frozen=True)
class Step:
    """A step of the run that began, made rows or ended.

    Attributes:
        name: Its name: that of the asset, or of the function that makes several.
        what: ``begun``, ``made``, ``done`` or ``failed``.
        rows: Rows of the asset that was made.
        at: When, in seconds since 1970.
    """

    name: str
    what: str
    rows: int = 0
    at: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Remark:
    """A warning or an error of the run, for who shows no log beside."""

    text: str


News = Told | Step | Remark
_listeners: list[Callable[[News], None]] = []


@contextmanager
def listening(listener: Callable[[News], None]) -> Iterator[None]:
    """Have a listener told how far the assets of this process are, while the context lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(told: News) -> None:
    """Tell all who listen."""
    for listener in _listeners:
        listener(told)


def asset_of(context: dg.AssetExecutionContext) -> str:
    """Return the name of the running asset, or of the function that makes several at once."""
    name: str = context.op_execution_context.op.name
    return name
