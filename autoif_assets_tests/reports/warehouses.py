"""Small warehouses, the report of one, and what a browser's parser makes of it."""

import atexit
import shutil
import tempfile
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl

from autoif_assets.reports import ReportData, Stage, gather
from autoif_assets.warehouse import TABLES, Warehouse

from ..warehouse.samples import sample

STAGES = [Stage(t.name, t.description, t.section, t.is_gate) for t in TABLES.values() if t.is_stage]
VALUES = {"batch": "b1", "asset": "responses", "dataset": "sft", "policy": "sft-0", "hash": "5"}
ROWS = 5


def rows(table: str, tag: str = "", count: int = ROWS, **columns: Any) -> pl.DataFrame:
    """Return rows of one slice, their columns replaced by values or lists of values."""
    if columns.get("status") == "rejected":
        columns = {"reason": "too_short"} | columns
    if columns.get("status") == "accepted":
        columns["reason"] = None
    partition = {name: VALUES[name] for name in TABLES[table].partitions}
    frame = sample(TABLES[table], count, tag, **partition)
    return frame.with_columns(
        pl.Series(name, values, dtype=frame.schema[name])
        if isinstance(values, list)
        else pl.lit(values, dtype=frame.schema[name]).alias(name)
        for name, values in columns.items()
    )


def write(warehouse: Warehouse, table: str, frame: pl.DataFrame) -> None:
    partition = {name: VALUES[name] for name in TABLES[table].partitions}
    warehouse.write(table, frame, partition or None)


def filled(folder, tag: str = "", count: int = ROWS, shuffled: bool = False) -> Warehouse:
    """Return a warehouse with rows in every table; every text holds ``tag``."""
    warehouse = empty(folder)
    for table, declared in TABLES.items():
        one_row = declared.key == declared.partitions
        left = {"excluded": False} if table == "batches" else {}
        if table == "dataset_left_out":
            left = {"prompt_id": [f"{tag}of no row {i}" for i in range(count)]}
        frame = rows(table, tag, 1 if one_row else count, **left)
        write(
            warehouse, table, frame.sample(fraction=1, shuffle=True, seed=1) if shuffled else frame
        )
    return warehouse


def empty(folder) -> Warehouse:
    shutil.copytree(_migrated(), folder, dirs_exist_ok=True)
    return Warehouse(folder)


@cache
def _migrated() -> Path:
    """Make a folder with empty tables, which all tests begin with a copy of."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    Warehouse(folder).migrate()
    return folder


def report_data(warehouse: Warehouse) -> ReportData:
    return gather(warehouse.query, STAGES)


class Page(HTMLParser):
    """The elements of a page, checked to be nested right while they are read.

    Attributes:
        elements: Tag, attributes and the tag around it, in order.
        headings: Levels, in order.
        text: All text outside of style.
    """

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr", "rect", "line"})

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _, _ in self.elements if tag in ("h1", "h2", "h3", "h4")]

    @property
    def text(self) -> str:
        return "".join(t for tag, texts in self.texts.items() if tag != "style" for t in texts)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), self._open[-1] if self._open else ""))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), self._open[-1]))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)
