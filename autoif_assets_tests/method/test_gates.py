"""Yields are compared with those of other batches."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.gates import yields


def counts(accepted: list[int], rows: int = 100) -> pl.DataFrame:
    names = [f"b{i:03}" for i in range(len(accepted))]
    return pl.DataFrame(
        {"batch": names, "rows": [rows] * len(names), "accepted": accepted},
        schema={"batch": pl.String, "rows": pl.Int64, "accepted": pl.Int64},
    )


def unusual(frame: pl.DataFrame) -> list[str]:
    return yields(frame).filter(~pl.col("usual"))["batch"].to_list()


def test_bounds_are_three_deviations_of_the_others():
    frame = yields(counts([40, 60, 40, 60, 40, 60, 99]))
    last = frame.row(6, named=True)
    assert (last["share"], last["usual"]) == (0.99, False)
    assert (last["low"], last["high"]) == (pytest.approx(0.2), pytest.approx(0.8))
    assert frame["usual"].to_list() == [True] * 6 + [False]


@pytest.mark.parametrize(("accepted", "expected"), [(55, []), (56, ["b005"])])
def test_equal_batches_leave_some_room(accepted, expected):
    assert unusual(counts([50] * 5 + [accepted])) == expected


def test_fewer_than_five_others_say_nothing():
    frame = yields(counts([50, 50, 50, 50, 0]))
    assert frame.select("low", "high", "usual").null_count().row(0) == (5, 5, 5)


def test_a_batch_without_rows_has_no_share():
    empty = pl.DataFrame({"batch": ["none"], "rows": [0], "accepted": [0]})
    assert yields(pl.concat([counts([50] * 5), empty]))["batch"].to_list() == [
        f"b{i:03}" for i in range(5)
    ]


@given(st.integers(0, 1000), st.integers(6, 40))
def test_batches_that_are_all_the_same_are_usual(accepted, batches):
    assert unusual(counts([accepted] * batches, 1000)) == []


@given(st.lists(st.integers(0, 100), min_size=6, max_size=20))
def test_the_order_of_batches_does_not_matter(accepted):
    frame = counts(accepted)
    one, other = yields(frame), yields(frame.reverse()).reverse()
    for bound in ("low", "high"):
        assert one[bound].to_list() == pytest.approx(other[bound].to_list())
