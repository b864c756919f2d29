"""Which rows of a stage the page shows, and what of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

# Texts are cut in the database; the page says how much is missing.
MAX_CHARS = 3000
EACH = 2  # rows for each status and reason

_INSTRUCTION = """
LEFT JOIN (
    SELECT batch, instruction_id, instruction
    FROM autoif.augmented_instructions WHERE status = 'accepted'
) i USING (batch, instruction_id)"""
_PROMPT = "LEFT JOIN autoif.augmented_queries q USING (batch, prompt_id)"
_RESPONSE = """
LEFT JOIN (
    SELECT batch, response_id, response FROM autoif.responses WHERE status = 'accepted'
) r USING (batch, response_id)"""
# The name of the file only: a report is passed on, the folders of this machine are not.
_PLACE = r"regexp_extract(source, '[^/\\]+$') || ', line ' || line"
_EXPECTED = "CASE WHEN expected THEN 'meant to follow it' ELSE 'meant to break it' END"


def _asked(column: str) -> str:
    """Return SQL of a prompt or query with what was said before it, if something was."""
    messages = f"TRY_CAST({column.partition('.')[0]}.context AS JSON)"
    turns = f"""from_json({messages}, '[{{"role": "VARCHAR", "content": "VARCHAR"}}]')"""
    told = f"list_transform({turns}, lambda turn: '[' || turn.role || '] ' || turn.content)"
    return f"{column} || coalesce(E'\\n\\nSaid before:\\n' || array_to_string({told}, E'\\n'), '')"


@dataclass(frozen=True)
class Examples:
    """How to read examples of one stage.

    Attributes:
        stage: The table, called ``t`` in the expressions.
        key: Its columns that identify a row; their hash chooses the rows.
        text: SQL of the text that is judged, and ``text_label`` its name.
        note: SQL of a remark on it.
        about: SQL of what it is judged against.
        other: SQL of a second text.
        joins: What the expressions need besides the table.
        groups: SQL of what examples are wanted of each; a stage without a gate has no status.
        is_code: Whether ``text`` is Python.
    """

    stage: str
    key: tuple[str, ...]
    text: str
    text_label: str
    note: str
    about: str = "CAST(NULL AS VARCHAR)"
    about_label: str = ""
    other: str = "CAST(NULL AS VARCHAR)"
    other_label: str = ""
    joins: str = ""
    groups: tuple[str, ...] = ("status", "reason")
    is_code: bool = False

    @property
    def sql(self) -> str:
        """Some rows of each group, the same ones whenever the table holds the same rows.

        The rows are chosen by the hash of their key in one pass that keeps a few row numbers a
        group; only the texts of these are then read.
        """
        order = f"md5(concat_ws(' ', {', '.join(f't.{column}' for column in self.key)}))"
        groups = ", ".join(f"{group} AS g{number}" for number, group in enumerate(self.groups))
        is_gate = "status" in self.groups
        verdict = (
            "t.status, split_part(t.reason, ':', 1) AS reason"
            if is_gate
            else "'accepted' AS status, CAST(NULL AS VARCHAR) AS reason"
        )
        texts = ", ".join(
            f"left({sql}, {MAX_CHARS}) AS {name}, length({sql}) AS {name}_length"
            for name, sql in (("about", self.about), ("text", self.text), ("other", self.other))
        )
        return f"""
WITH picked AS (
    SELECT unnest(numbers) AS picked_row
    FROM (
        SELECT {groups}, arg_min(t.rowid, {order}, {EACH}) AS numbers
        FROM autoif.{self.stage} t GROUP BY ALL
    )
)
SELECT {verdict}, {texts}, left({self.note}, {MAX_CHARS}) AS note
FROM picked JOIN autoif.{self.stage} t ON t.rowid = picked_row {self.joins}
ORDER BY status, reason, {order}
"""


_OF_RESPONSES = (
    Examples(
        "responses",
        ("batch", "prompt_id", "sample"),
        "t.response",
        "Response",
        "concat_ws('; ', t.detail, 'ended by: ' || finish_reason)",
        about=_asked("q.prompt"),
        about_label="Prompt",
        joins=_PROMPT,
    ),
    Examples(
        "response_verdicts",
        ("batch", "response_id"),
        "r.response",
        "Response",
        "format('{} verifiers ran: {} pass, {} fail', verifiers, passed, failed)",
        about=_asked("q.prompt"),
        about_label="Prompt",
        joins=_PROMPT + _RESPONSE,
    ),
    Examples(
        "response_scores",
        ("batch", "response_id"),
        "r.response",
        "Response",
        "format('score {:.0f} of 10', score)",
        about=_asked("q.prompt"),
        about_label="Prompt",
        other="t.raw",
        other_label="The judge's answer",
        joins=_PROMPT + _RESPONSE,
    ),
)


def _further(of_responses: Examples) -> Examples:
    """Return the examples of the same stage of further responses."""
    stage = {
        "responses": "further_responses",
        "response_verdicts": "further_verdicts",
        "response_scores": "further_scores",
    }[of_responses.stage]
    return replace(
        of_responses,
        stage=stage,
        note=f"concat_ws('; ', replace(t.origin, '_', ' '), {of_responses.note})",
        joins=of_responses.joins.replace("autoif.responses", "autoif.further_responses"),
    )


_ALL = (
    Examples("seed_instructions", ("source", "line"), "t.instruction", "Instruction", _PLACE),
    Examples("seed_queries", ("source", "line"), _asked("t.query"), "Query", _PLACE),
    Examples(
        "augmented_instructions",
        ("batch", "position"),
        "t.instruction",
        "Instruction",
        "CASE origin WHEN 'seed' THEN 'a seed' ELSE 'written by the model' END",
    ),
    Examples(
        "verifier_candidates",
        ("batch", "instruction_id", "sample"),
        "coalesce(t.source, t.raw)",
        "Verifier",
        "t.detail",
        about="i.instruction",
        about_label="Instruction",
        joins=_INSTRUCTION,
        is_code=True,
    ),
    Examples(
        "test_cases",
        ("batch", "instruction_id", "origin", "sample", "position"),
        "t.input",
        "Test case",
        f"concat_ws('; ', CASE WHEN expected IS NOT NULL THEN {_EXPECTED} END, t.detail)",
        about="i.instruction",
        about_label="Instruction",
        joins=_INSTRUCTION,
    ),
    Examples(
        "verifiers",
        ("batch", "verifier_id"),
        "t.source",
        "Verifier",
        "concat_ws('; ', format('agreed with {} of {} test cases', agreed, cases), t.detail)",
        about="i.instruction",
        about_label="Instruction",
        joins=_INSTRUCTION,
        is_code=True,
    ),
    Examples(
        "verifier_cases",
        ("batch", "case_id"),
        "t.input",
        "Test case",
        f"{_EXPECTED} || format('; {{}} of {{}} verifiers agree', agreed, functions)",
        about="i.instruction",
        about_label="Instruction",
        joins=_INSTRUCTION,
    ),
    Examples(
        "back_translations",
        ("batch", "verifier_id"),
        "coalesce(t.back_translation, t.raw)",
        "Back-translation of a verifier",
        "'label: ' || nli_label",
        about="i.instruction",
        about_label="Instruction",
        joins=_INSTRUCTION,
    ),
    Examples(
        "verifier_audits",
        ("batch", "verifier_id"),
        "t.source",
        "Verifier",
        "concat_ws('; ', format('{} of {} mutants told apart', told_apart, mutants), "
        "CASE WHEN answers > 0 THEN "
        "format('agrees with the auditor on {} of {} texts', answers_agreed, answers) END, "
        "'back-translation: ' || nli_label)",
        about="i.instruction",
        about_label="Instruction",
        joins=_INSTRUCTION,
        is_code=True,
    ),
    Examples(
        "verified_instructions",
        ("batch", "instruction_id"),
        "t.instruction",
        "Instruction",
        "format('{} verifiers, {} test cases; back-translations: {} entailment, {} neutral, "
        "{} contradiction', verifiers, cases, entailments, neutrals, contradictions)",
    ),
    *_OF_RESPONSES,
    *map(_further, _OF_RESPONSES),
    Examples(
        "filtered_queries",
        ("batch", "prompt_id"),
        _asked("q.prompt"),
        "Prompt",
        "format('{} responses: {} pass, {} pass no verifier, {} kept', "
        "responses, passing, failing, kept)",
        joins=_PROMPT,
    ),
    Examples(
        "sft_examples",
        ("batch", "example_id"),
        "t.response",
        "Response",
        "format('pass rate {:.0f} %, score {:.0f} of 10', 100 * pass_rate, score)",
        about=_asked("t.prompt"),
        about_label="Prompt",
    ),
    Examples(
        "preference_pairs",
        ("batch", "pair_id"),
        "t.chosen",
        "Chosen",
        "format('{} level, {}; pass rates {:.0f} % and {:.0f} %; {} and {} characters', level, "
        "replace(origin, '_', ' '), 100 * chosen_pass_rate, 100 * rejected_pass_rate, "
        "chosen_length, rejected_length)",
        about=_asked("t.prompt"),
        about_label="Prompt",
        other="t.rejected",
        other_label="Rejected",
        groups=("status", "reason", "level"),
    ),
)

EXAMPLES: Mapping[str, Examples] = MappingProxyType({one.stage: one for one in _ALL})
