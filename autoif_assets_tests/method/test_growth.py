import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.growth import batches_missing


@pytest.mark.parametrize(
    ("wanted", "yields", "unmade", "missing"),
    [
        (100, [10], 0, 9),
        (100, [10, 30], 0, 3),
        (100, [10, 30], 2, 1),
        (100, [10, 30], 9, 0),
        (100, [10, 0], 0, 18),
        (40, [10, 30], 0, 0),
        (41, [10, 30], 0, 1),
    ],
)
def test_missing_batches(wanted, yields, unmade, missing):
    assert batches_missing(wanted, yields, unmade) == missing


@pytest.mark.parametrize("yields", [[], [0, 0]])
def test_nothing_is_said_where_nothing_is_known(yields):
    with pytest.raises(ValueError, match="autoif run"):
        batches_missing(10, yields, 3)


@given(st.integers(1, 10**6), st.lists(st.integers(1, 10**4), min_size=1, max_size=20))
def test_the_batches_suffice_and_one_fewer_would_not(wanted, yields):
    missing = batches_missing(wanted, yields, 0)
    mean = sum(yields) / len(yields)
    assert sum(yields) + missing * mean >= wanted - 1e-6
    assert missing == 0 or sum(yields) + (missing - 1) * mean < wanted
