"""What the reasons mean."""

import pytest

from autoif_assets.method.completions import unusable
from autoif_assets.reports.reasons import explain


@pytest.mark.parametrize(
    "reason", ["unknown_role", "tool_turn", "not_only_text", "empty_turn", "unpaired_turns"]
)
def test_why_a_conversation_is_not_kept_is_explained(reason):
    assert explain("seed_queries", reason)


def test_a_reason_may_mean_another_thing_at_another_stage():
    assert explain("verifiers", "low_agreement") != explain("verifier_cases", "low_agreement")
    assert explain("responses", "never_heard_of") == ""


@pytest.mark.parametrize("reason", list(unusable()))
def test_each_way_in_which_a_completion_is_unusable_is_explained(reason):
    assert explain("responses", reason)
