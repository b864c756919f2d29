"""Numbers, times and the model's texts as a person reads them, and what reasons mean."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

_REASONS = {
    "call_refused": "The server refused the call.",
    "truncated": "The answer was cut at the length limit.",
    "empty": "There was no text.",
    "too_short": "It is shorter than the recipe allows.",
    "too_long": "It is longer than allowed.",
    "duplicate": "The same was there before.",
    "duplicate_of_seed": "It repeats a seed.",
    "duplicate_of_batch": "Another batch has it.",
    "near_duplicate": "It says the same as an earlier one in other words.",
    "no_human_turn": "The conversation has no turn of a person.",
    "no_instruction": "The answer holds no instruction.",
    "over_limit": "The model wrote more than it was asked for.",
    "no_function": "The answer holds no Python function.",
    "source_too_long": "The source is too long.",
    "too_deep": "The source is nested too deeply.",
    "syntax_error": "The source is not Python.",
    "forbidden_import": "It imports a module that is not allowed.",
    "no_evaluate": "It defines no function named evaluate.",
    "wrong_arity": "Its evaluate does not take one argument.",
    "load_error": "It failed while it was loaded.",
    "nondeterministic": "It judged the same text differently when run again.",
    "unparsed": "The answer could not be read.",
    "no_surviving_case": "No test case of the instruction survived.",
    "too_few_verifiers": "The instruction has fewer verifiers than the recipe asks for.",
    "too_few_cases": "The instruction has fewer test cases than the recipe asks for.",
    "no_label": "The judge gave no label.",
    "contradiction": "What the verifier checks contradicts the instruction.",
    "no_verifier": "No verifier of the instruction was left.",
    "no_case": "No test case of the instruction was left.",
    "no_back_translation": "No verifier could be put back into words.",
    "no_verdict": "No verifier gave a verdict.",
    "few_verdicts": "Half or more of the verifiers gave no verdict.",
    "low_pass_rate": "Too few verifiers pass it.",
    "low_score": "The judge scored it below the bound.",
    "failing": "It passes no verifier; it was scored for the pairs in which it is rejected.",
    "not_missed": "It was to break the instruction, and a verifier passes it.",
    "identical": "Chosen and rejected are the same.",
    "near_identical": "Chosen and rejected hardly differ.",
    "no_response": "No response came.",
    "no_passing_response": "No response passed verification.",
    "no_good_response": "No response that passed was scored well enough.",
}
_OF_STAGE = {
    ("verifiers", "low_agreement"): "It agreed with too few test cases.",
    ("verifier_cases", "low_agreement"): "Too few verifiers agreed with it.",
}

# What a page cannot show as it is: control characters, as their symbols.
_CONTROLS: Mapping[int, int] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


class Text(NamedTuple):
    """A text in two parts, the second to be shown on demand.

    Attributes:
        head: What is shown at once.
        rest: What follows it; empty for a short text.
        missing: Characters after that which are not there.
    """

    head: str
    rest: str
    missing: int


def visible(text: str) -> str:
    """Return a text without characters that HTML does not allow."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def excerpt(text: str | None, length: int | None, chars: int = 400, lines: int = 12) -> Text | None:
    """Divide a text into what is shown at once and the rest.

    Args:
        text: The text, or as much of it as was read.
        length: Its length in characters before it was cut.
        chars: Most characters of the head.
        lines: Most lines of the head.

    Returns:
        None for no text.
    """
    if text is None:
        return None
    missing = max((length or 0) - len(text), 0)
    text = visible(text)
    end = min(chars, len(text))
    for number, line in enumerate(_ends(text[:end]), start=1):
        if number == lines:
            end = line
    if end < len(text):
        # At a line's or a word's end if there is one not far back.
        near = [text.rfind(mark, end * 2 // 3, end) + 1 for mark in "\n "]
        end = next((cut for cut in near if cut), end)
    return Text(text[:end], text[end:], missing)


def _ends(text: str) -> list[int]:
    return [place + 1 for place, char in enumerate(text) if char == "\n"]


def explain(stage: str, reason: str) -> str:
    """Return what a reason means at a stage, or nothing for an unknown one."""
    return _OF_STAGE.get((stage, reason)) or _REASONS.get(reason, "")


def title(name: str) -> str:
    """Return the name of a stage or reason as words."""
    words = name.replace("_", " ")
    return (words[:1].upper() + words[1:]).replace("Sft", "SFT").replace("Kto", "KTO")


def number(value: int | None) -> str:
    """Return a count with its thousands apart; a dash for none."""
    return "–" if value is None else f"{value:,}"


def percent(part: int, whole: int) -> str:
    """Return a share in whole percent, never as 0 or 100 where it is not."""
    if whole == 0:
        return "–"
    share = 100 * part / whole
    if 0 < share < 1:
        return "<1 %"
    if 99 < share < 100:
        return ">99 %"
    return f"{share:.0f} %"


def duration(seconds: float | None) -> str:
    """Return a duration in the two units that matter."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


def money(value: float | None) -> str:
    """Return an amount; no currency is known, it is that of the prices."""
    if value is None:
        return "–"
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.2g}"


def moment(value: datetime | None) -> str:
    """Return a time to the minute."""
    return "–" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
