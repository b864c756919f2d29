"""What the report shows: totals and a handful of rows, however large the tables are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from autoif_assets.reports import queries
from autoif_assets.reports.examples import EXAMPLES


@dataclass(frozen=True)
class Stage:
    """A stage of the method.

    Attributes:
        name: Its table.
        description: One sentence: what a row is.
        section: The paper's section.
        is_gate: Whether the table holds all its candidates with a status and a reason.
    """

    name: str
    description: str
    section: str
    is_gate: bool


@dataclass(frozen=True)
class ReportData:
    """All that the page is made of; the frames are the results of the queries named alike.

    Attributes:
        stages: In the order of the flow, also those whose table is empty.
        funnel: ``stage, status, reason, rows`` over all batches.
        examples: By stage, ``status, reason, about, text, other, note`` and the lengths
            ``about_length, text_length, other_length`` of the texts before they were cut.
        datasets: ``dataset, split, rows, instructions``.
        categories: ``category, seeds, instructions, verified, examples, pairs``.
        pass_rates: ``bin, status, rows``.
        scores: ``bin, status, rows``.
        gallery: ``instruction, category, source, source_length, accuracy, cases,
            back_translation, nli_label``.
        totals: One row: all model calls, and how many ``models`` and ``batches`` there are.
        calls: Model calls by ``asset, model``, those that took the most time.
        batches: The latest batches, newest first.
    """

    stages: Sequence[Stage]
    funnel: pl.DataFrame
    examples: dict[str, pl.DataFrame]
    datasets: pl.DataFrame
    categories: pl.DataFrame
    pass_rates: pl.DataFrame
    scores: pl.DataFrame
    gallery: pl.DataFrame
    totals: pl.DataFrame
    calls: pl.DataFrame
    batches: pl.DataFrame


def gather(query: Callable[[str], pl.DataFrame], stages: Sequence[Stage]) -> ReportData:
    """Ask a database for what the report shows.

    Args:
        query: Returns the result of a SELECT over the tables and views of schema ``autoif``.
        stages: In the order of the flow; those that have examples show some.
    """
    return ReportData(
        stages=stages,
        funnel=query(queries.FUNNEL),
        examples={
            stage.name: query(EXAMPLES[stage.name].sql)
            for stage in stages
            if stage.name in EXAMPLES
        },
        datasets=query(queries.DATASETS),
        categories=query(queries.CATEGORIES),
        pass_rates=query(queries.PASS_RATES),
        scores=query(queries.SCORES),
        gallery=query(queries.GALLERY),
        totals=query(queries.TOTALS),
        calls=query(queries.CALLS),
        batches=query(queries.BATCHES),
    )
