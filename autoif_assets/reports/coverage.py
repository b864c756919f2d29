"""Which kinds of instructions there are: by category, base rate and language, from the view."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from autoif_assets.charts import grid, grid_chart

BANDS = ("0 to 2 %", "2 to 20 %", "20 to 60 %", "60 to 90 %", "90 to 100 %", "unknown")
"""The bands of the view, in order."""
MAX_KINDS = 40
_CHARTED = 20  # categories
# An axis has room for a few characters.
_SHORT = (*(band.replace(" to ", "–").removesuffix(" %") for band in BANDS[:-1]), "n/a")

# One more than is shown tells that there are more.
COVERAGE = f"""
WITH kinds AS (
    SELECT left(category, 100) AS category, left(language, 60) AS language, base_rate, batch,
        accepted
    FROM autoif.coverage WHERE accepted > 0
), most AS (
    SELECT category, language FROM kinds GROUP BY ALL
    ORDER BY sum(accepted) DESC, category, language LIMIT {MAX_KINDS + 1}
)
SELECT category, language, base_rate, CAST(sum(accepted) AS BIGINT) AS instructions
FROM kinds SEMI JOIN most USING (category, language)
GROUP BY ALL ORDER BY ALL
"""


def covered_kinds(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row a category and language, those of the most instructions first.

    Args:
        rows: ``category``, ``language``, ``base_rate``, ``instructions``.

    Returns:
        ``category``, ``language``, ``bands`` (a number for each of ``BANDS``) and ``total``.
    """
    counts: dict[tuple[str, str], Counter[str]] = {}
    for category, language, band, number in rows.select(
        "category", "language", "base_rate", "instructions"
    ).iter_rows():
        counts.setdefault((category, language), Counter())[band] += number
    kinds = [
        {
            "category": category,
            "language": language,
            "bands": [bands[band] for band in BANDS],
            "total": bands.total(),
        }
        for (category, language), bands in counts.items()
    ]
    return sorted(kinds, key=lambda kind: (-kind["total"], kind["category"], kind["language"]))


def coverage_figure(rows: pl.DataFrame) -> Markup:
    """Draw categories by base rate, for a page; arguments as of ``covered_kinds``."""
    names, counts = _by_category(rows)
    total = sum(counts.values())
    return grid(
        "coverage",
        "Verified instructions by category and base rate, in percent",
        f"{total:,} instructions of {len(names)} categories. The numbers are in the table below.",
        names,
        _SHORT,
        counts,
    )


def coverage_chart(rows: pl.DataFrame) -> str:
    """Draw categories by base rate; arguments as of ``covered_kinds``."""
    names, counts = _by_category(rows)
    return grid_chart(names, _SHORT, counts, "base rate, percent")


def _by_category(rows: pl.DataFrame) -> tuple[list[str], Mapping[tuple[str, str], int]]:
    """Return the categories of the most instructions, and the counts by category and band."""
    totals: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for kind in covered_kinds(rows):
        totals[kind["category"]] += kind["total"]
        for band, number in zip(_SHORT, kind["bands"], strict=True):
            counts[kind["category"], band] += number
    names = sorted(totals, key=lambda name: (-totals[name], name))[:_CHARTED]
    return names, {key: number for key, number in counts.items() if key[0] in names and number}
