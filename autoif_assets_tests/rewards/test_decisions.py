"""What outcomes mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.rewards.decisions import (
    MODES,
    NoVerdict,
    component,
    reward_of,
    vetoed,
    without_none,
)
from autoif_assets.sandbox import Outcome

OUTCOMES = st.lists(st.sampled_from([*(o.value for o in Outcome), "deadline"]), min_size=1)
COMPONENTS = st.dictionaries(st.text(), st.sampled_from(["pass", "fail", "none"]), min_size=1)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (["pass"], "pass"),
        (["fail"], "fail"),
        (["pass", "pass", "fail"], "pass"),
        (["pass", "fail", "fail"], "fail"),
        (["pass", "pass", "error"], "pass"),
        (["pass", "fail"], "none"),
        (["pass", "fail", "timeout"], "none"),
        (["fail", "error", "crash"], "none"),
        (["error"], "none"),
        (["fail", "deadline"], "none"),
    ],
)
def test_the_majority_decides_and_a_failure_is_no_verdict(outcomes, said):
    assert component(outcomes) == said


@given(OUTCOMES)
def test_what_is_decided_has_more_than_half_of_the_verifiers_behind_it(outcomes):
    said = component(outcomes)
    verdicts = outcomes.count("pass") + outcomes.count("fail")
    if said == "none":
        assert 2 * verdicts <= len(outcomes) or outcomes.count("pass") == outcomes.count("fail")
    else:
        assert 2 * outcomes.count(said) > verdicts > len(outcomes) / 2


@pytest.mark.parametrize(
    ("said", "every", "mean", "components"),
    [
        ("pp", 1.0, 1.0, 1.0),
        ("pf", 0.0, 0.5, 0.5),
        ("pn", None, None, 1.0),
        ("fn", 0.0, None, 0.0),
        ("n", None, None, None),
    ],
)
def test_components_become_one_number(said, every, mean, components):
    names = {"p": "pass", "f": "fail", "n": "none"}
    given_ = {str(place): names[one] for place, one in enumerate(said)}
    assert [reward_of(given_, mode) for mode in MODES] == [every, mean, components]


@given(COMPONENTS, st.sampled_from(MODES))
def test_zero_leaves_no_reward_none_and_never_gives_more(components, mode):
    made = {"reward": reward_of(components, mode), "components": components, "reasons": []}
    counted = without_none(made, mode, "zero")["reward"]
    assert counted is not None
    assert counted <= (1.0 if made["reward"] is None else made["reward"])
    assert without_none(made, mode, "none") == made


def test_who_wants_to_be_told_is_told_why():
    made = {"reward": None, "components": {"i": "none"}, "reasons": ["i: no majority (2 crash)"]}
    with pytest.raises(NoVerdict, match="2 crash"):
        without_none(made, "all", "raise")


def test_a_judge_multiplies_and_one_that_fails_decides_nothing():
    made = {"reward": 0.5, "components": {"i": "pass", "j": "fail"}, "reasons": []}
    assert vetoed(made, True, "none") == made
    assert vetoed(made, False, "none")["reward"] == 0.0
    assert vetoed(made, None, "none")["reward"] is None
    assert vetoed(made, None, "zero")["reward"] == 0.0
    with pytest.raises(NoVerdict):
        vetoed(made, None, "raise")
