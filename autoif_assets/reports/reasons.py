"""What the reasons mean for which the gates reject rows, in a sentence each.

A reason that is not listed is shown by its name alone.
"""

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


def explain(stage: str, reason: str) -> str:
    """Return what a reason means at a stage, or nothing for an unknown one."""
    return _OF_STAGE.get((stage, reason)) or _REASONS.get(reason, "")
