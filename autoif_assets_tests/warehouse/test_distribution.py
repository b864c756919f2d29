import polars as pl
import pytest

from autoif_assets.charts import Bar
from autoif_assets.warehouse import TABLES, distribution
from autoif_assets.warehouse.distribution import Distribution


@pytest.fixture
def drawn(monkeypatch):
    """What the chart is drawn of, in its place."""
    monkeypatch.setattr(distribution, "histogram_chart", lambda bars, axis: (bars, axis))

    def of(what, *frames):
        counted = Distribution("x", what)
        for frame in frames:
            counted.count(frame)
        return *counted.chart(), *counted.mean()

    return of


def gate(accepted, rejected):
    values = [*accepted, *rejected]
    status = ["accepted"] * len(accepted) + ["rejected"] * len(rejected)
    return pl.DataFrame({"x": values, "status": status})


def test_shares_are_counted_by_tenths_and_the_whole_is_apart(drawn):
    frames = gate([1.0, 1.0, 0.95, 0.3], [0.0, None]), gate([0.7], [0.1 + 0.2])
    bars, axis, name, mean = drawn("share", *frames)
    assert axis == "x"
    assert [bar for bar in bars if bar.kept or bar.dropped] == [
        Bar("0", 0, 1),
        Bar("0.3", 1, 1),
        Bar("0.7", 1, 0),
        Bar("0.9", 1, 0),
        Bar("1", 2, 0),
    ]
    assert len(bars) == 11
    assert (name, mean) == ("x/mean", round((1 + 1 + 0.95 + 0.3 + 0.7 + 0.3) / 7, 4))


def test_scores(drawn):
    bars, _, name, mean = drawn("score", gate([10.0, 8.5], [0.0]))
    assert bars[10] == Bar("10", 1, 0)
    assert bars[8] == Bar("8", 1, 0)
    assert bars[0] == Bar("0", 0, 1)
    assert (name, mean) == ("x/mean", round(18.5 / 3, 4))


def test_lengths_are_counted_by_powers_of_two_from_the_least_to_the_greatest(drawn):
    frame = pl.DataFrame({"x": ["", "ä" * 16, "b" * 17, "c" * 100, None]})
    bars, axis, name, mean = drawn("length", frame)
    assert bars == [Bar("≤ 16", 2, 0), Bar("≤ 32", 1, 0), Bar("≤ 64", 0, 0), Bar("≤ 128", 1, 0)]
    assert axis == "x, characters"
    assert (name, mean) == ("x/mean_chars", 133 / 4)


def test_what_the_warehouse_refuses_is_not_counted():
    for frame in (pl.DataFrame({"y": [1.0]}), pl.DataFrame({"x": ["text"]}), pl.DataFrame()):
        counted = Distribution("x", "share")
        counted.count(frame)
        assert counted.chart() == b""


def test_charts_and_origins_name_columns_that_are_there():
    for table in TABLES.values():
        columns = {column.name: column for column in table.columns}
        for column, what in table.charts:
            text = columns[column].type == "VARCHAR"
            assert what in (("length",) if text else ("share", "score")), (table.name, column)
        names = list(TABLES)
        for column, origin in table.origins:
            assert column in columns, (table.name, column)
            parent, _, theirs = origin.partition(".")
            assert theirs in {one.name for one in TABLES[parent].columns}, (table.name, origin)
            assert names.index(parent) < names.index(table.name), (table.name, origin)
