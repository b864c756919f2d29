"""Whether what verifiers say can be trusted: what the gates reject, and who is left in doubt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from autoif_assets.charts import bar
from autoif_assets.reports import formatting
from autoif_assets.reports.examples import MAX_CHARS
from autoif_assets.reports.reasons import explain

# In the order of the method: what an earlier one rejects, no later one sees.
GATES = {
    "verifiers": (
        *("load_error", "nondeterministic", "constant", "auditor_disagrees", "too_few_verifiers"),
        *("too_few_cases", "no_surviving_case", "few_cases_survive", "unbalanced_cases"),
        *("low_agreement", "outvoted", "fragile"),
    ),
    "verifier_audits": ("mutant_survives", "contradiction"),
    "verified_instructions": (
        *("contradiction", "no_verifier", "no_case", "no_back_translation", "vacuous"),
        "impossible",
    ),
}
"""Stage → its gates; those of the second judge what the first has let through."""
_DOUBTFUL = 10
_TEXTS = 3  # cases of each, and as many texts on which its instruction's verifiers differ
_TEXT_CHARS = 1000

_AUDITS = """
SELECT (SELECT count(*) FROM autoif.verifier_repairs) AS repairs,
    (SELECT count(*) FROM autoif.verifiers WHERE origin = 'repair') AS mended,
    (SELECT count(*) FROM autoif.verifiers v
        SEMI JOIN (FROM autoif.verifier_audits WHERE status = 'accepted') a
            USING (batch, verifier_id)
        WHERE v.origin = 'repair') AS mended_in_use,
    count(*) AS asked,
    count(*) FILTER (status = 'accepted') AS answered,
    count(*) FILTER (status = 'accepted' AND passing <> failing) AS decided,
    count(*) FILTER (status = 'accepted' AND passing <> failing
        AND (passing > failing) = obeys) AS with_majority,
    (SELECT CAST(coalesce(sum(answers), 0) AS BIGINT) FROM autoif.verifier_audits
        WHERE status = 'accepted') AS executed,
    (SELECT CAST(coalesce(sum(answers_agreed), 0) AS BIGINT) FROM autoif.verifier_audits
        WHERE status = 'accepted') AS executed_agreed
FROM autoif.auditor_answers
"""

_MUTANTS = """
SELECT CASE
        WHEN mutants = 0 THEN 'none were made'
        WHEN told_apart >= mutants THEN 'all told apart'
        WHEN told_apart = 0 THEN 'none told apart'
        WHEN 2 * told_apart >= mutants THEN 'half or more told apart'
        ELSE 'less than half told apart'
    END AS mutants, count(*) AS verifiers
FROM autoif.verifier_audits WHERE status = 'accepted' GROUP BY ALL ORDER BY 2 DESC, 1
"""

# Of verifiers that decide about training data; what is not known of one is no doubt.
_PICKED = f"""
picked AS (
    SELECT batch, verifier_id, instruction_id, row_number() OVER (
        ORDER BY coalesce(sibling_agreement, 1),
            CASE WHEN answers > 0 THEN answers_agreed / answers ELSE 1 END,
            mutants - told_apart DESC, batch, verifier_id
    ) AS place
    FROM autoif.verifier_audits a
    SEMI JOIN (FROM autoif.verified_instructions WHERE status = 'accepted') i
        USING (batch, instruction_id)
    WHERE status = 'accepted'
    QUALIFY place <= {_DOUBTFUL}
)"""

_DOUBTS = f"""
WITH {_PICKED}
SELECT place, left(i.instruction, {MAX_CHARS}) AS instruction,
    length(i.instruction) AS instruction_length, left(a.source, {MAX_CHARS}) AS source,
    length(a.source) AS source_length, a.samples, a.sibling_agreement, a.answers, a.answers_agreed,
    a.mutants, a.told_apart
FROM picked
JOIN autoif.verifier_audits a USING (batch, verifier_id)
JOIN autoif.verified_instructions i ON i.batch = a.batch AND i.instruction_id = a.instruction_id
ORDER BY place
"""

# Those that it fails come first, then the short ones.
_CASES = f"""
WITH {_PICKED}, tried AS (
    SELECT place, c.input, expected, case_id,
        list_filter(outcomes, lambda one: one.verifier_id = picked.verifier_id)[1].outcome AS said
    FROM picked JOIN autoif.verifier_cases c USING (batch, instruction_id)
    WHERE c.status = 'accepted'
)
SELECT place, left(input, {_TEXT_CHARS}) AS input, length(input) AS input_length, expected, said
FROM tried
QUALIFY row_number() OVER (
    PARTITION BY place
    ORDER BY said IS DISTINCT FROM if(expected, 'pass', 'fail') DESC, length(input), case_id
) <= {_TEXTS}
ORDER BY place, said IS DISTINCT FROM if(expected, 'pass', 'fail') DESC, length(input), case_id
"""

# What each verifier says of a probe is not kept, only the shares of the votes.
_CONTESTED = f"""
WITH {_PICKED}
SELECT place, left(input, {_TEXT_CHARS}) AS input, length(input) AS input_length, passing,
    failing, obeys, t.reason
FROM picked JOIN autoif.auditor_answers t USING (batch, instruction_id)
QUALIFY row_number() OVER (
    PARTITION BY place ORDER BY least(passing, failing) DESC, input_id
) <= {_TEXTS}
ORDER BY place, least(passing, failing) DESC, input_id
"""


@dataclass(frozen=True)
class Trust:
    """What the report shows of the verifiers in use.

    Attributes:
        audits: One row: how many ``repairs`` were asked for, functions ``mended`` and of these
            ``mended_in_use``; texts the auditor was ``asked`` about and ``answered``, of these
            ``decided`` by the votes and ``with_majority``; its answers on texts that verifiers in
            use were ``executed`` on, and those ``executed_agreed``.
        mutants: ``mutants`` (in words), ``verifiers`` in use.
        doubts: The most doubtful verifiers in use, by ``place``.
        cases: ``place, input, input_length, expected, said``.
        contested: ``place, input, input_length, passing, failing, obeys, reason``.
    """

    audits: pl.DataFrame
    mutants: pl.DataFrame
    doubts: pl.DataFrame
    cases: pl.DataFrame
    contested: pl.DataFrame


def gather_trust(query: Callable[[str], pl.DataFrame]) -> Trust:
    """Ask a database for what the report shows of verifiers; ``query`` as of ``gather``."""
    return Trust(query(_AUDITS), query(_MUTANTS), query(_DOUBTS), query(_CASES), query(_CONTESTED))


def gates(funnel: pl.DataFrame) -> list[dict[str, Any]]:
    """Return for each stage of ``GATES`` what its gates rejected and what each of them left.

    Args:
        funnel: ``stage, status, reason, rows``.
    """
    shown = []
    for stage, order in GATES.items():
        counts = funnel.filter(pl.col("stage") == stage)
        left = total = int(counts["rows"].sum())
        rejected = dict(
            counts.filter(pl.col("status") == "rejected").select("reason", "rows").iter_rows()
        )
        rows = []
        # A recipe that has no such gate rejects nothing by it; what is not known here comes last.
        for reason in dict.fromkeys([*order, *sorted(map(str, rejected))]):
            count = rejected.get(reason, 0)
            left -= count
            if count:
                share = formatting.percent(left, total)
                rows.append(
                    {
                        "name": reason,
                        "meaning": explain(stage, reason),
                        "rejected": count,
                        "left": left,
                        "bar": bar(left, total, f"{share} left"),
                    }
                )
        shown.append({"title": formatting.title(stage), "rows": rows, "total": total, "left": left})
    return shown


def doubts(trust: Trust) -> list[dict[str, Any]]:
    """Return the most doubtful verifiers with their texts, ready for the page."""
    shown = []
    for row in trust.doubts.iter_rows(named=True):
        cases = trust.cases.filter(place=row["place"])
        contested = trust.contested.filter(place=row["place"])
        shown.append(
            {
                "instruction": formatting.excerpt(row["instruction"], row["instruction_length"]),
                "source": formatting.excerpt(row["source"], row["source_length"], 1200, 30),
                "why": "; ".join(_why(row)),
                "cases": [
                    (_of_case(case), formatting.excerpt(case["input"], case["input_length"]))
                    for case in cases.iter_rows(named=True)
                ],
                "contested": [
                    (_of_text(text), formatting.excerpt(text["input"], text["input_length"]))
                    for text in contested.iter_rows(named=True)
                ],
            }
        )
    return shown


def _why(row: dict[str, Any]) -> list[str]:
    """Say what is known of a verifier."""
    siblings = row["sibling_agreement"]
    said = [
        "no text tells it from its siblings"
        if siblings is None
        else f"agrees with its siblings on {100 * siblings:.0f} % of the texts they are clear about"
    ]
    if row["answers"]:
        said.append(f"with the auditor on {row['answers_agreed']} of {row['answers']}")
    if row["mutants"]:
        apart = f"{row['told_apart']} of {row['mutants']}"
        said.append(f"its cases tell {apart} slightly changed copies from it")
    return [*said, f"written by {row['samples']} of the completions"]


def _of_case(case: dict[str, Any]) -> str:
    meant = "meant to follow it" if case["expected"] else "meant to break it"
    verdict = {"pass": "it says yes", "fail": "it says no"}.get(case["said"], "it gives no verdict")
    return f"Test case, {meant}: {verdict}"


def _of_text(text: dict[str, Any]) -> str:
    nothing = "neither" if text["reason"] == "undecided" else "nothing that could be read"
    said = {True: "yes", False: "no"}.get(text["obeys"], nothing)
    yes, no = 100 * text["passing"], 100 * text["failing"]
    return f"Contested text: {yes:.0f} % of the votes say yes, {no:.0f} % no; the auditor {said}"
