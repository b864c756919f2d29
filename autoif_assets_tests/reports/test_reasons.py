"""What the reasons mean."""

import re

import pytest

from autoif_assets.method.auditor import parse_answers
from autoif_assets.method.audits import audit_verifiers
from autoif_assets.method.back_translation import verify_instructions
from autoif_assets.method.completions import unusable
from autoif_assets.method.cross_validation import judge
from autoif_assets.method.probes import parse_probes
from autoif_assets.method.repairs import parse_repairs
from autoif_assets.reports.reasons import explain
from autoif_assets.reports.trust import GATES


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


def reasons_of(function) -> list[str]:
    """Return the reasons that a function's docstring names, in their order."""
    said = function.__doc__.partition("Reasons")[2].partition("Reasons of a case")[0]
    return [name for name in re.findall(r"``(\w+)``", said) if name != "parse_candidates"]


@pytest.mark.parametrize(
    ("stage", "function"),
    [
        ("verifiers", judge),
        ("verifier_audits", audit_verifiers),
        ("verified_instructions", verify_instructions),
        ("verifier_repairs", parse_repairs),
        ("auditor_answers", parse_answers),
        ("probe_texts", parse_probes),
    ],
)
def test_each_reason_that_the_method_gives_is_explained(stage, function):
    reasons = reasons_of(function)
    assert reasons
    assert [reason for reason in reasons if not explain(stage, reason)] == []
    # The page has the gates in the order in which they are tried.
    assert list(GATES.get(stage, reasons)) == reasons
