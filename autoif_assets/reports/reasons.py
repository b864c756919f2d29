"""What the reasons mean for which the gates reject rows, in a sentence each.

A reason that is not listed is shown by its name alone.
"""

import polars as pl

_REASONS = {
    "call_refused": "The server refused the call.",
    "unreadable": "The answer could not be read: reading it raised an error.",
    "truncated": "The answer was cut at the length limit.",
    "aborted": "The server broke the answer off.",
    "server_error": "The server broke the answer off: it failed.",
    "content_filter": "The server's filter ended the answer.",
    "tool_calls": "The model called a tool in place of an answer.",
    "unfinished": "The server ended the answer for a reason that is not known to leave it whole.",
    "empty": "There was no text.",
    "control_tokens": "It holds tokens of a chat template or a tokenizer, which are no text.",
    "control_characters": "It holds control characters, which are no text.",
    "too_short": "It is shorter than the recipe allows.",
    "too_long": "It is longer than allowed.",
    "duplicate": "The same was there before.",
    "duplicate_of_seed": "It repeats a seed.",
    "duplicate_of_batch": "Another batch has it.",
    "near_duplicate": "It says the same as an earlier one in other words.",
    "no_human_turn": "The conversation has no turn of a person.",
    "multi_turn": "The first turn of the person needs what was said before it.",
    "unknown_role": "A turn of the conversation is of nobody that is known.",
    "tool_turn": "The conversation calls tools.",
    "not_only_text": "A turn of the conversation is more than text, such as a picture.",
    "empty_turn": "A turn of the conversation says nothing.",
    "unpaired_turns": "User and assistant do not take turns, or the assistant begins.",
    "no_text": "The record has neither text nor turns where they were looked for.",
    "not_json": "The record is not JSON.",
    "not_text": "It holds bytes or escapes that are no Unicode text.",
    "bad_row": "The row has more fields than the header, or its quotes are not closed.",
    "too_large": "The record is larger than 16 MiB.",
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
    "undecided": "The auditor finds yes and no about as likely.",
    "unchanged": "The mended function is one that was there before.",
    "constant": "It says the same of every text that did not come with it.",
    "auditor_disagrees": "The auditor is with the functions that contradict it.",
    "contradicts_user": "People handed the same text in with the other verdict.",
    "no_surviving_case": "No test case of the instruction survived.",
    "few_cases_survive": "Too few of the instruction's test cases survived.",
    "unbalanced_cases": "Too few test cases survived that are to pass, or that are to fail.",
    "outvoted": "It contradicts what most functions say of texts that none of them came with.",
    "fragile": "It gives no verdict on Markdown, other line ends, other scripts or the like.",
    "mutant_survives": "A slightly changed copy of it is more often with the majority than it is.",
    "vacuous": "Nearly any text obeys it, so that it tells no response from another.",
    "impossible": "Hardly any text obeys it, not even of those that were to.",
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
    "degenerate": "The rejected text is noise or repeats itself, and the chosen one does not.",
    "low_rejected_score": "The judge scored the rejected text below the bound.",
    "no_response": "No response came.",
    "no_passing_response": "No response passed verification.",
    "no_good_response": "No response that passed was scored well enough.",
}
_OF_STAGE = {
    ("verifiers", "low_agreement"): "It agreed with too few test cases.",
    ("verifier_cases", "low_agreement"): "Too few verifiers agreed with it.",
    ("verified_instructions", "contradiction"): "What its verifiers check contradicts it.",
}


def count_reasons(rows: pl.DataFrame) -> list[tuple[str, int]]:
    """Return the reasons for which a gate rejected rows with how many, the most frequent first."""
    return list(rows.drop_nulls("reason")["reason"].value_counts(sort=True).iter_rows())


def rejected_because(rows: pl.DataFrame) -> str:
    """Return `count_reasons` in a line; empty where none was rejected."""
    return ", ".join(f"{reason} {count}" for reason, count in count_reasons(rows))


def explain(stage: str, reason: str) -> str:
    """Return what a reason means at a stage, or nothing for an unknown one."""
    return _OF_STAGE.get((stage, reason)) or _REASONS.get(reason, "")
