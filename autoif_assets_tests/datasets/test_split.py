"""The split by instruction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.datasets import eval_instructions

ids = st.sets(st.sampled_from([f"{i:02x}" for i in range(24)]), max_size=12)
shares = st.floats(0, 1, exclude_max=True)
seeds = st.integers(0, 50)


@given(ids, ids, shares, seeds)
def test_two_datasets_agree_and_have_both_sides(first, second, share, seed):
    held = eval_instructions(first, share, seed, second)
    assert held == eval_instructions(second, share, seed, first)
    assert held <= first | second
    for dataset in (first, second):
        if len(dataset) >= 2 and share > 0:
            assert dataset & held
            assert dataset - held
    if share == 0:
        assert not held


@given(ids, shares, seeds)
def test_repeats_and_order_do_not_matter(dataset, share, seed):
    ordered = sorted(dataset)
    assert eval_instructions(ordered, share, seed) == eval_instructions(
        ordered[::-1] * 2, share, seed
    )


def test_an_instruction_keeps_its_side_when_others_come():
    early = [f"instruction {i}" for i in range(200)]
    late = [f"instruction {i}" for i in range(1000)]
    held_early = eval_instructions(early, 0.2, 7)
    held_late = eval_instructions(late, 0.2, 7)
    assert held_early == held_late & set(early)


def test_the_share_is_met_and_the_seed_matters():
    many = [f"instruction {i}" for i in range(10_000)]
    held = eval_instructions(many, 0.1, 0)
    # Five standard deviations of a binomial with n=10,000 and p=0.1.
    assert len(held) == pytest.approx(1000, abs=150)
    other = eval_instructions(many, 0.1, 1)
    assert len(held & other) < 200


def test_a_small_share_grows_into_a_larger_one():
    many = [f"instruction {i}" for i in range(1000)]
    assert eval_instructions(many, 0.1, 3) < eval_instructions(many, 0.3, 3)


def test_one_instruction_is_on_one_side():
    assert eval_instructions(["only"], 0.0001, 0) == frozenset()
    assert eval_instructions([], 0.5, 0) == frozenset()


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"eval_share is .* a share from 0 up to"):
        eval_instructions(["a", "b"], share, 0)
