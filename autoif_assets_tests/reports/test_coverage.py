"""Which kinds of instructions there are."""

import polars as pl

from autoif_assets.assets.back_translations import coverage
from autoif_assets.reports import BANDS, coverage_chart, covered_kinds
from autoif_assets.reports.coverage import COVERAGE, MAX_KINDS

from .warehouses import empty, rows, write

ROWS = pl.DataFrame(
    [
        ("b", "Latin", "unknown", 1),
        ("a", "Latin", "0 to 2 %", 2),
        ("a", "Latin", "90 to 100 %", 3),
        ("a", "Cyrillic", "0 to 2 %", 1),
    ],
    schema=["category", "language", "base_rate", "instructions"],
    orient="row",
)


def test_kinds_are_by_category_and_language_with_a_number_for_each_band():
    assert [tuple(kind.values()) for kind in covered_kinds(ROWS)] == [
        ("a", "Latin", [2, 0, 0, 0, 3, 0], 5),
        ("a", "Cyrillic", [1, 0, 0, 0, 0, 0], 1),
        ("b", "Latin", [0, 0, 0, 0, 0, 1], 1),
    ]
    assert covered_kinds(ROWS.clear()) == []


def test_the_chart_is_of_categories_whatever_their_language():
    chart = coverage_chart(ROWS)
    # 2 and 1 of the lowest band are one bar; the first rectangle is of the key.
    assert chart.count('<rect class="kept"') == 1 + 3
    assert ">0–2<" in chart
    assert coverage_chart(ROWS.clear()) == ""


def test_the_page_reads_the_largest_kinds_and_one_more(tmp_path):
    warehouse = empty(tmp_path)
    names = [f"c{n:03}" for n in range(60)] + ["most", "most"]
    frame = rows(
        "verified_instructions", count=62, category=names, status="accepted", base_rate=0.5
    )
    write(warehouse, "verified_instructions", frame)
    kinds = covered_kinds(warehouse.query(COVERAGE))
    assert len(kinds) == MAX_KINDS + 1
    assert (kinds[0]["category"], kinds[0]["bands"]) == ("most", [0, 0, 2, 0, 0, 0])


def test_the_metadata_of_a_batch_is_a_table_and_a_chart(tmp_path):
    warehouse = empty(tmp_path)
    assert coverage(_with(warehouse, []), {"batch": "b1"}) == {}
    found = coverage(_with(warehouse, ["a\u202eb", "c"]), {"batch": "b1"})
    assert set(found) == {"coverage", "chart/coverage"}
    records = [record.data for record in found["coverage"].records]
    assert [record["category"] for record in records] == ["ab", "c"]
    assert [list(record) for record in records] == [["category", "language", *BANDS]] * 2
    assert coverage(warehouse, {"batch": "b2"}) == {}


def _with(warehouse, categories):
    count = len(categories)
    frame = rows("verified_instructions", count=count, category=categories, status="accepted")
    write(warehouse, "verified_instructions", frame)
    return warehouse
