"""Whether a batch can be trusted: gates, audits, and the verifiers most in doubt."""

import polars as pl
import pytest

from autoif_assets.reports import render_page
from autoif_assets.reports.trust import doubts, gates, gather_trust

from .warehouses import Page, empty, report_data, rows, write

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(tmp_path):
    return empty(tmp_path)


def audits(warehouse, count, **columns):
    """Write verifiers in use, each of an accepted instruction of its own, ``0000`` and so on."""
    ids = [f"{n:04d}" for n in range(count)]
    known = {"verifier_id": [f"v{one}" for one in ids], "instruction_id": ids, "nli_label": None}
    numbers = {"mutants": 4, "told_apart": 4, "answers": 0, "answers_agreed": 0, "samples": 2}
    known = {"status": "accepted", **known, **numbers, **columns}
    frame = rows("verifier_audits", count=count, **known)
    write(warehouse, "verifier_audits", frame)
    accepted = rows("verified_instructions", count=count, status="accepted", instruction_id=ids)
    write(warehouse, "verified_instructions", accepted)


def test_each_gate_says_what_it_left_in_the_order_of_the_method():
    funnel = pl.DataFrame(
        [
            ("verifiers", "accepted", None, 50),
            ("verifiers", "rejected", "outvoted", 10),
            ("verifiers", "rejected", "constant", 30),
            ("verifiers", "rejected", "never_heard_of", 9),
            ("verifiers", "rejected", "load_error", 1),
            ("verifier_audits", "accepted", None, 50),
        ],
        schema=["stage", "status", "reason", "rows"],
        orient="row",
    )
    verifiers, audited, instructions = gates(funnel)
    assert (verifiers["total"], verifiers["left"]) == (100, 50)
    assert [(row["name"], row["rejected"], row["left"]) for row in verifiers["rows"]] == [
        ("load_error", 1, 99),
        ("constant", 30, 69),
        ("outvoted", 10, 59),
        ("never_heard_of", 9, 50),
    ]
    assert (audited["rows"], audited["left"]) == ([], 50)
    assert instructions["total"] == 0


def test_what_repairs_and_the_auditor_came_to(warehouse):
    audits(warehouse, 2, answers=[4, 1], answers_agreed=[3, 1])
    write(warehouse, "verifier_repairs", rows("verifier_repairs", count=5))
    mended = rows("verifiers", count=3, verifier_id=["v0000", "x", "y"], origin="repair")
    write(warehouse, "verifiers", mended)
    answers = rows(
        "auditor_answers",
        count=6,
        passing=[0.8, 0.8, 0.2, 0.5, 0.9, 0.1],
        failing=[0.2, 0.2, 0.8, 0.5, 0.1, 0.9],
        obeys=[True, False, False, True, None, False],
        status=["accepted", "accepted", "accepted", "accepted", "rejected", "accepted"],
        reason=[None, None, None, None, "unparsed", None],
    )
    write(warehouse, "auditor_answers", answers)
    assert gather_trust(warehouse.query).audits.to_dicts() == [
        {
            "repairs": 5,
            "mended": 3,
            "mended_in_use": 1,
            "asked": 6,
            "answered": 5,
            "decided": 4,
            "with_majority": 3,
            "executed": 5,
            "executed_agreed": 4,
        }
    ]
    text = " ".join(Page(render_page(report_data(warehouse))).text.split())
    assert "5 failed functions were sent back to be mended; 3 other functions came of it, 1" in text
    assert "75 % of them" in text and "80 % of 5 comparisons" in text


def test_verifiers_are_counted_by_the_mutants_that_cases_tell_from_them(warehouse):
    audits(warehouse, 6, mutants=[0, 4, 4, 4, 4, 4], told_apart=[0, 0, 1, 2, 4, 4])
    assert dict(gather_trust(warehouse.query).mutants.iter_rows()) == {
        "none were made": 1,
        "none told apart": 1,
        "less than half told apart": 1,
        "half or more told apart": 1,
        "all told apart": 2,
    }


def test_the_most_doubtful_come_first_and_ten_are_shown(warehouse):
    audits(
        warehouse,
        14,
        sibling_agreement=[None, 0.9, 0.9, 0.9, 0.95, *[1.0] * 9],
        answers=[0, 4, 4, 4, *[0] * 10],
        answers_agreed=[0, 4, 1, 4, *[0] * 10],
        told_apart=[4, 4, 4, 3, *[4] * 10],
    )
    shown = doubts(gather_trust(warehouse.query))
    assert [one["instruction"].head for one in shown] == [
        *("0002", "0003", "0001", "0004", "0000", "0005", "0006", "0007", "0008", "0009")
    ]
    assert shown[0]["why"] == (
        "agrees with its siblings on 90 % of the texts they are clear about; with the auditor on "
        "1 of 4; its cases tell 4 of 4 slightly changed copies from it; written by 2 of the "
        "completions"
    )


def test_verifiers_of_rejected_instructions_and_rejected_ones_are_in_no_doubt(warehouse):
    audits(warehouse, 2, status=["accepted", "rejected"], reason=[None, "mutant_survives"])
    rejected = rows("verified_instructions", count=1, status="rejected", instruction_id="0000")
    write(warehouse, "verified_instructions", rejected)
    assert doubts(gather_trust(warehouse.query)) == []
    html = render_page(report_data(warehouse))
    assert "No verifier of an accepted instruction yet." in Page(html).text


def test_cases_that_it_fails_and_contested_texts_stand_beside_it(warehouse):
    audits(warehouse, 1)
    passes = [{"verifier_id": "v0000", "outcome": "pass"}, {"verifier_id": "w", "outcome": "fail"}]
    cases = rows(
        "verifier_cases",
        count=6,
        instruction_id=["0000"] * 5 + ["else"],
        input=["long " * 600, "short", "wrong " * 9, "rejected", "unseen", "other"],
        expected=[True, True, False, True, True, True],
        outcomes=[passes, passes, passes, passes, passes[1:], passes],
        status=["accepted"] * 3 + ["rejected"] + ["accepted"] * 2,
        reason=[None] * 3 + ["low_agreement"] + [None] * 2,
    )
    write(warehouse, "verifier_cases", cases)
    texts = rows(
        "auditor_answers",
        count=5,
        instruction_id="0000",
        input=[f"text {n}" for n in range(5)],
        passing=[0.9, 0.8, 0.5, 0.6, 0.7],
        failing=[0.1, 0.2, 0.5, 0.4, 0.3],
        obeys=[True, True, None, None, True],
        status=["accepted"] * 2 + ["rejected"] * 2 + ["accepted"],
        reason=[None, None, "undecided", "unparsed", None],
    )
    write(warehouse, "auditor_answers", texts)
    (one,) = doubts(gather_trust(warehouse.query))
    assert [(label, text.head) for label, text in one["cases"]] == [
        ("Test case, meant to follow it: it gives no verdict", "unseen"),
        ("Test case, meant to break it: it says yes", "wrong " * 9),
        ("Test case, meant to follow it: it says yes", "short"),
    ]
    assert [(label, text.head) for label, text in one["contested"]] == [
        ("Contested text: 50 % of the votes say yes, 50 % no; the auditor neither", "text 2"),
        (
            "Contested text: 60 % of the votes say yes, 40 % no; the auditor nothing that could "
            "be read",
            "text 3",
        ),
        ("Contested text: 70 % of the votes say yes, 30 % no; the auditor yes", "text 4"),
    ]


HOSTILE = "</code></pre><script>alert(1)</script>{{ 7 * 7 }}\u202e\x1b[31m"


def test_hostile_code_and_texts_stay_text_and_long_ones_are_cut(warehouse):
    audits(warehouse, 1, source=HOSTILE + "#" * 50_000)
    outcomes = [[{"verifier_id": "v0000", "outcome": "pass"}]]
    cases = rows(
        "verifier_cases",
        count=1,
        instruction_id="0000",
        input=HOSTILE + "c" * 50_000,
        outcomes=outcomes,
        status="accepted",
    )
    write(warehouse, "verifier_cases", cases)
    html = render_page(report_data(warehouse))
    section = html.partition('<h3 id="doubts">')[2].partition("</section>")[0]
    assert "<script" not in html and "\u202e" not in html and "\x1b" not in html
    assert section.count("&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}") == 2
    assert "more characters are not on this page." in section
    assert len(section) < 10_000
