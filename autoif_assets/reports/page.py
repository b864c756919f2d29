"""The page: one HTML file that needs no network, no script and no other file."""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from autoif_assets.charts import Bar, bar, histogram
from autoif_assets.display import displayed
from autoif_assets.reports import formatting
from autoif_assets.reports.coverage import BANDS, MAX_KINDS, coverage_figure, covered_kinds
from autoif_assets.reports.data import (
    MAX_CALLS,
    MAX_CATEGORIES,
    ReportData,
    Stage,
    rows_by_dataset,
)
from autoif_assets.reports.examples import EXAMPLES
from autoif_assets.reports.reasons import explain
from autoif_assets.reports.trust import doubts, gates

_ACCEPTED = "accepted"

# Bins as the charts' axes and the tables name them.
_RATES = (
    ("0", "0 %"),
    ("≤10", "above 0 to 10 %"),
    *((f"≤{10 * i + 10}", f"above {10 * i} to {10 * i + 10} %") for i in range(1, 9)),
    ("<100", "above 90, below 100 %"),
    ("100", "100 %"),
)
_SCORES = tuple((str(score), str(score)) for score in range(11))

_ENVIRONMENT = formatting.environment("autoif_assets.reports")


@dataclass(frozen=True)
class _Reason:
    name: str
    meaning: str
    rows: int
    share: str
    bar: Markup


@dataclass(frozen=True)
class _Group:
    """Examples of a stage that were kept, or dropped for one reason."""

    heading: str
    meaning: str
    rows: int
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class _StageView:
    stage: Stage
    title: str
    rows: int
    kept: int
    share: str
    bar: Markup
    reasons: list[_Reason]
    groups: list[_Group]


@dataclass(frozen=True)
class _Histogram:
    name: str
    title: str
    chart: Markup
    bins: list[Bar]
    unjudged: int


def render_page(data: ReportData) -> str:
    """Return the report as HTML; the same data gives the same text.

    Args:
        data: From ``gather``.
    """
    stages = list(_stages(data))
    kept = {stage.stage.name: stage.kept for stage in stages}
    totals = data.totals.row(0, named=True)
    tokens = totals["prompt_tokens"] + totals["completion_tokens"]
    page = _ENVIRONMENT.get_template("page.html.jinja").render(
        stages=stages,
        is_empty=not any(stage.rows for stage in stages),
        kept=kept,
        datasets=_datasets(data.datasets),
        categories=_with_bars(data.categories.head(MAX_CATEGORIES), "examples"),
        more_categories=data.categories.height > MAX_CATEGORIES,
        max_categories=MAX_CATEGORIES,
        bands=BANDS,
        kinds=covered_kinds(data.coverage)[:MAX_KINDS],
        more_kinds=len(covered_kinds(data.coverage)) > MAX_KINDS,
        coverage=coverage_figure(data.coverage),
        histograms=[
            _histogram("pass-rates", "Responses by pass rate, in percent", data.pass_rates, _RATES),
            _histogram("scores", "Responses by quality score", data.scores, _SCORES),
        ],
        gates=gates(data.funnel),
        audits=data.trust.audits.row(0, named=True),
        mutants=_with_bars(data.trust.mutants, "verifiers"),
        doubts=doubts(data.trust),
        gallery=[
            row
            | {
                "instruction": formatting.excerpt(row["instruction"], None),
                "source": formatting.excerpt(row["source"], row["source_length"], 1200, 30),
                "back_translation": formatting.excerpt(row["back_translation"], None),
                "agreement": formatting.percent(round(row["accuracy"] * row["cases"]), row["cases"])
                if row["accuracy"] is not None
                else "–",
            }
            for row in data.gallery.iter_rows(named=True)
        ],
        calls=_with_bars(data.calls.head(MAX_CALLS), "seconds", formatting.duration),
        more_calls=data.calls.height > MAX_CALLS,
        batches=_with_bars(data.batches, "examples"),
        totals=totals,
        tokens_each=round(tokens / max(kept["sft_examples"], 1)),
        models=sorted(set(data.calls["model"])),
    )
    # Models' texts are in it: none may turn what is written around them.
    return displayed(page)


def _stages(data: ReportData) -> Iterator[_StageView]:
    """Count what each stage kept, and what it dropped by reason; both are shares of its rows."""
    for stage in data.stages:
        counts = data.funnel.filter(pl.col("stage") == stage.name)
        rows = int(counts["rows"].sum())
        reasons = {
            reason or "": count
            for reason, status, count in counts.select("reason", "status", "rows").iter_rows()
            if status != _ACCEPTED
        }
        # Also of a stage without a gate, whose rows have no status.
        kept = rows - sum(reasons.values())
        share = formatting.percent(kept, rows)
        yield _StageView(
            stage,
            formatting.title(stage.name),
            rows,
            kept,
            share,
            bar(kept, rows, f"{share} kept"),
            [
                _Reason(
                    name,
                    explain(stage.name, name),
                    count,
                    formatting.percent(count, rows),
                    bar(count, rows, f"{formatting.percent(count, rows)} dropped", "dropped"),
                )
                for name, count in reasons.items()
            ],
            _groups(stage.name, data.examples.get(stage.name), kept, reasons),
        )


def _groups(
    stage: str, examples: pl.DataFrame | None, kept: int, reasons: dict[str, int]
) -> list[_Group]:
    """Group the examples of a stage: those kept, and those dropped for each reason."""
    if examples is None or examples.is_empty():
        return []
    shown: dict[str | None, list[dict[str, Any]]] = {}
    for row in examples.iter_rows(named=True):
        group = None if row["status"] == _ACCEPTED else row["reason"] or ""
        shown.setdefault(group, []).append(_example(stage, row))
    groups = []
    # The kept ones first, then from the most frequent reason to the rarest; ties by name, so that
    # the same data gives the same page.
    for group in sorted(shown, key=lambda g: (g is not None, -reasons.get(g or "", 0), g or "")):
        heading = "Kept" if group is None else f"Dropped: {formatting.title(group).lower()}"
        meaning = "" if group is None else explain(stage, group)
        count = kept if group is None else reasons.get(group, 0)
        groups.append(_Group(heading, meaning, count, shown[group]))
    return groups


def _example(stage: str, row: dict[str, Any]) -> dict[str, Any]:
    spec = EXAMPLES[stage]
    parts = [
        ("about", spec.about_label, False),
        ("text", spec.text_label, spec.is_code),
        ("other", spec.other_label, False),
    ]
    # A stage without the label of a text has no such text.
    return {
        "note": formatting.excerpt(row["note"], None),
        "parts": [
            (label, formatting.excerpt(row[name], row[f"{name}_length"]), is_code)
            for name, label, is_code in parts
            if label
        ],
    }


def _datasets(rows: pl.DataFrame) -> list[dict[str, Any]]:
    named = {
        "sft": "SFT examples",
        "preference": "Preference pairs",
        "kto": "KTO examples",
        "reward": "Prompts for RL",
    }
    totals = rows_by_dataset(rows)
    return [
        {
            "name": name,
            "rows": totals.get(dataset, 0),
            "splits": rows.filter(dataset=dataset).to_dicts(),
        }
        for dataset, name in named.items()
    ]


def _histogram(
    name: str, title: str, rows: pl.DataFrame, labels: Sequence[tuple[str, str]]
) -> _Histogram:
    """Count kept and dropped rows by bin; a bin of null is of rows without a value."""
    counts: Counter[tuple[int | None, bool]] = Counter()
    for place, status, count in rows.select("bin", "status", "rows").iter_rows():
        counts[place, status == _ACCEPTED] += count
    # The axis has room for a few characters, the table below it for words.
    drawn, bins = (
        [Bar(label, counts[place, True], counts[place, False]) for place, label in enumerate(names)]
        for names in zip(*labels, strict=True)
    )
    total = sum(one.kept + one.dropped for one in bins)
    most = max(bins, key=lambda one: one.kept + one.dropped)
    number = formatting.number
    description = (
        f"{number(total)} responses, {number(sum(one.kept for one in bins))} of them kept. "
        f"The most are in the bin {most.label}: {number(most.kept + most.dropped)}. "
        f"The numbers are in the table below."
    )
    return _Histogram(
        name,
        title,
        histogram(name, title, description, drawn),
        bins,
        sum(count for (place, _), count in counts.items() if place is None),
    )


def _with_bars(
    rows: pl.DataFrame, column: str, formatted: Callable[[Any], str] = formatting.number
) -> list[dict[str, Any]]:
    """Add a bar to each row, as long as the column is beside its highest value."""
    values = [value or 0 for value in rows[column]]
    return [
        row | {"bar": bar(value, max(values), formatted(value))}
        for row, value in zip(rows.iter_rows(named=True), values, strict=True)
    ]


def write_page(html: str, path: Path) -> None:
    """Put a page in the place of the one at ``path``; readers see the old or the new one.

    Processes that write the same page take turns, and what a killed one left is overwritten.

    Args:
        html: The page.
        path: Its folder is made if absent.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the page, since a file is replaced at once only within one file system.
    new = path.with_name(f".{path.name}.new")
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with new.open("w", encoding="utf-8", newline="\n") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def report_url(port: int) -> str:
    """Return the address of the report while `autoif dev` serves it at a port."""
    return f"http://127.0.0.1:{port}/report.html"
