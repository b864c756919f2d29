"""What the reasons mean."""

from autoif_assets.reports.reasons import explain


def test_a_reason_may_mean_another_thing_at_another_stage():
    assert explain("verifiers", "low_agreement") != explain("verifier_cases", "low_agreement")
    assert explain("responses", "truncated")
    assert explain("responses", "never_heard_of") == ""
