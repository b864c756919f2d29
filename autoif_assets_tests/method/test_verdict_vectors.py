"""Which instructions demand the same, by the verdicts on texts that both were tried on."""

import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.verdict_vectors import MIN_OF_EACH, MIN_TEXTS, SAME, same_verdicts
from autoif_assets_tests.method.frames import matrix

HALF = "1" * 10 + "0" * 10


def pairs(vectors):
    return [(one, other) for _, one, other in same_verdicts(matrix(vectors)).rows()]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (HALF, HALF, True),
        (HALF, HALF[:-1] + "1", False),
        (HALF, HALF[::-1], False),
        # What all say of nearly all texts tells nothing.
        ("1" * 3 + "0" * 17, "1" * 3 + "0" * 17, True),
        ("1" * 2 + "0" * 18, "1" * 2 + "0" * 18, False),
        ("1" * 18 + "0" * 2, "1" * 18 + "0" * 2, False),
        (HALF[1:], HALF[1:], False),
        # Where one has no verdict nothing is said.
        (HALF + "?1", HALF + "0?", True),
        (HALF + "?", "?" + HALF[1:] + "0", False),
        ("?" * 20, HALF, False),
        ("", "", False),
    ],
)
def test_what_the_same_texts_obey_demands_the_same(one, other, told):
    assert pairs({"j": other, "i": one}) == ([("i", "j")] if told else [])


@given(st.data())
def test_pairs_are_found_as_by_hand(data):
    """Few vectors with few gaps, so that there is something to find."""
    sources = data.draw(st.lists(st.text("01", min_size=30, max_size=30), min_size=1, max_size=3))
    vectors = {}
    for number in range(data.draw(st.integers(0, 6))):
        gaps = data.draw(st.sets(st.integers(0, 29), max_size=12))
        signs = data.draw(st.sampled_from(sources))
        vectors[f"i{number}"] = "".join("?" if n in gaps else s for n, s in enumerate(signs))

    def same(one, other):
        both = [pair for pair in zip(vectors[one], vectors[other], strict=True) if "?" not in pair]
        agreed = [both.count(("1", "1")), both.count(("0", "0"))]
        return len(both) == sum(agreed) >= MIN_TEXTS and min(agreed) >= MIN_OF_EACH

    found = pairs(vectors)
    assert found == [pair for pair in itertools.combinations(sorted(vectors), 2) if same(*pair)]


def test_batches_are_not_compared():
    both = pl.concat([matrix({"i": HALF, "j": HALF}, "b2"), matrix({"i": HALF, "k": HALF}, "b1")])
    assert same_verdicts(both).rows() == [("b1", "i", "k"), ("b2", "i", "j")]
    assert same_verdicts(both.clear()).schema == SAME
