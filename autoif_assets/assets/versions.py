"""Code versions: what each asset's rows depend on besides its inputs.

Dagster marks an asset stale when its code version is no longer the one it was made with, so that
editing a prompt, a rule or the recipe marks exactly what it concerns, and what lies downstream.
"""

from collections.abc import Mapping
from typing import Any

from autoif_assets.automation.code_versions import code_version
from autoif_assets.method import (
    augmentation,
    back_translation,
    gates,
    instructions,
    lengths,
    likelihoods,
    online,
    pairs,
    parsing,
    resampling,
    responses,
    selection,
    text,
    training,
    verifiers,
)
from autoif_assets.resources import recipe_from_environment

_MODEL = (gates, parsing)
_VERIFIERS: Mapping[str, Any] = {
    "prompts": ["verifier"],
    "rules": [*_MODEL, verifiers],
    "numbers": ["seed", "verifiers_per_instruction", "verifier_temperature", "verifier_max_tokens"],
}
_CROSS_VALIDATION: Mapping[str, Any] = {
    "rules": [gates, verifiers],
    "numbers": ["min_verifiers", "min_cases", "case_agreement", "verifier_agreement"],
}
_DIFFICULTY = ("difficulty", "difficulty_k", "difficulty_min", "difficulty_max")
_SCORES = ("seed", "min_score", "score_failing", "score_temperature", "score_max_tokens")
_PAIRS: Mapping[str, Any] = {
    "rules": [training, pairs, lengths],
    "numbers": [
        *("seed", "chosen_pass_rate", "chosen_per_prompt", "rejected_per_prompt"),
        "pairs_per_prompt",
    ],
}
_EXPORT: Mapping[str, Any] = {"numbers": ["seed", "eval_share"]}

DEPENDS_ON: Mapping[str, Mapping[str, Any]] = {
    "seed_instructions": {},
    "seed_queries": {"numbers": ["query_min_chars", "query_max_chars"]},
    "augmented_instructions": {
        "prompts": ["self_instruct"],
        "rules": [*_MODEL, instructions, text],
        "numbers": [
            *("seed", "instructions_per_batch", "instructions_per_call", "seeds_per_batch"),
            *("seed_examples_per_call", "self_instruct_temperature", "self_instruct_max_tokens"),
        ],
    },
    "verifier_candidates": _VERIFIERS,
    "test_cases": _VERIFIERS,
    "verifiers": _CROSS_VALIDATION,
    "verifier_cases": _CROSS_VALIDATION,
    "back_translations": {
        "prompts": ["back_translation", "nli"],
        "rules": [*_MODEL, back_translation],
        "numbers": [
            *("seed", "back_translations_per_instruction", "back_translation_temperature"),
            *("back_translation_max_tokens", "nli_temperature", "nli_max_tokens"),
        ],
    },
    "verified_instructions": {"rules": [gates, back_translation]},
    "augmented_queries": {
        "rules": [augmentation],
        "numbers": ["seed", "queries_per_instruction"],
    },
    "responses": {
        "prompts": ["response"],
        "rules": [*_MODEL, responses],
        "numbers": ["seed", "responses_per_prompt", "response_temperature", "response_max_tokens"],
    },
    "response_verdicts": {"rules": [gates, responses], "numbers": ["response_pass_rate"]},
    "response_scores": {
        "prompts": ["score"],
        "rules": [*_MODEL, responses],
        "numbers": _SCORES,
    },
    "further_responses": {
        "prompts": ["near_miss", "response"],
        "rules": [*_MODEL, responses, resampling, selection],
        "numbers": [
            *("seed", "near_misses_per_prompt", "near_miss_temperature", "near_miss_max_tokens"),
            *("further_responses_per_prompt", "response_temperature", "response_max_tokens"),
            *_DIFFICULTY,
        ],
    },
    "further_verdicts": {
        "rules": [gates, responses, resampling],
        "numbers": ["response_pass_rate"],
    },
    "further_scores": {
        "prompts": ["score"],
        "rules": [*_MODEL, responses],
        "numbers": _SCORES,
    },
    "filtered_queries": {
        "rules": [gates, responses, resampling, selection],
        "numbers": _DIFFICULTY,
    },
    "response_likelihoods": {
        "rules": [gates, resampling, likelihoods],
        "numbers": ["likelihood_of"],
    },
    "sft_examples": {
        "rules": [gates, training, resampling, selection],
        "numbers": ["ifd_min_quantile", "ifd_max_quantile", "ifd_below"],
    },
    "kto_examples": {"rules": [training, resampling]},
    "instruction_preference_pairs": _PAIRS,
    "query_preference_pairs": {
        "rules": [*_PAIRS["rules"], resampling, selection],
        "numbers": [*_PAIRS["numbers"], "pair_order"],
    },
    "preference_pairs": {"rules": [gates, pairs, text], "numbers": ["near_identical"]},
    "policy_responses": {
        "prompts": ["response"],
        "rules": [*_MODEL, responses],
        "numbers": [
            *("seed", "policy_responses_per_prompt", "policy_temperature", "response_max_tokens"),
            "eval_share",
        ],
    },
    "policy_verdicts": {"rules": [gates, responses], "numbers": ["response_pass_rate"]},
    "online_preference_pairs": {
        "rules": [gates, online, pairs, lengths, text, selection, training],
        "numbers": [
            *_PAIRS["numbers"],
            *("near_identical", "contrast_min_gap", "spin_pairs"),
        ],
    },
    "policy_scorecard": {
        "rules": [online, selection],
        "numbers": ["seed", "policy_responses_per_prompt", "bootstrap_samples"],
    },
    "online_preference_dataset": _EXPORT,
    "policy_checkpoint": {},
    "sft_dataset": _EXPORT,
    "preference_dataset": _EXPORT,
    "kto_dataset": _EXPORT,
    "report": {},
}

_RECIPE = recipe_from_environment()
CODE_VERSIONS = {name: code_version(_RECIPE, **parts) for name, parts in DEPENDS_ON.items()}
