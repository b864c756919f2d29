"""What a batch will ask of the models, before it asks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from autoif_assets.method.profile import Profile
from autoif_assets.method.prompts import PROMPTS

# Mean tokens of a completion, by role; for self_instruct those of one line. Assumed: what
# instruction-tuned models of 7 to 70 billion parameters tend to write for these prompts.
_COMPLETION_TOKENS = {
    "self_instruct": 18.0,
    "verifier": 260.0,
    "back_translation": 30.0,
    "nli": 10.0,
    "response": 320.0,
    "score": 60.0,
}


@dataclass(frozen=True)
class Yields:
    """What nobody knows before a run; the defaults are assumptions.

    Attributes:
        rewrites: Accepted rewrites per rewrite asked for.
        verifiers: Verifiers that survive cross-validation per completion.
        verified: Verified instructions per instruction.
        passing: Responses that go to the judge per response.
        chars_per_token: Characters of a prompt per token; 4 holds for English and code with the
            tokenizers in use.
        completion_tokens: Mean tokens of a completion, by role; for ``self_instruct``, where a
            completion holds many, those of one instruction.
    """

    rewrites: float = 0.8
    verifiers: float = 0.5
    verified: float = 0.7
    passing: float = 0.5
    chars_per_token: float = 4.0
    completion_tokens: Mapping[str, float] = field(default_factory=lambda: dict(_COMPLETION_TOKENS))


ESTIMATE_SCHEMA = {
    "role": pl.String,
    "requests": pl.Int64,
    "completions": pl.Int64,
    "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
    "most_completion_tokens": pl.Int64,
}


def estimate(
    profile: Profile,
    seeds: pl.DataFrame,
    fresh_seeds: int,
    queries: pl.DataFrame,
    yields: Yields,
    *,
    nli: bool = True,
) -> pl.DataFrame:
    """Estimate the requests and tokens of one batch, stage by stage.

    Args:
        profile: Numbers of the method.
        seeds: ``instruction`` of the accepted ``seed_instructions``.
        fresh_seeds: How many of them no other batch carries.
        queries: ``query`` of the accepted ``seed_queries``.
        yields: Measured or assumed.
        nli: Whether a model behind an endpoint labels the back-translations.

    Returns:
        ``ESTIMATE_SCHEMA``, one row a role in the order of the stages. Requests are those of a
        server that takes ``n``; ``most_completion_tokens`` is the bound that ``max_tokens`` sets.
    """
    instruction = _mean_chars(seeds["instruction"])
    query = _mean_chars(queries["query"])
    tokens, chars = yields.completion_tokens, yields.chars_per_token

    wanted = profile.instructions_per_batch
    calls = math.ceil(wanted / profile.instructions_per_call)
    shown = min(seeds.height, profile.seed_examples_per_call)
    limit = profile.seeds_per_batch
    carried = fresh_seeds if limit is None else min(limit, fresh_seeds)
    instructions = carried + wanted * yields.rewrites

    survivors = profile.verifiers_per_instruction * yields.verifiers
    translated = profile.back_translations_per_instruction or survivors
    translations = instructions * min(translated, survivors)

    prompts = instructions * yields.verified * min(profile.queries_per_instruction, queries.height)
    passing = prompts * profile.responses_per_prompt * yields.passing

    # Role, requests, completions a request, tokens a completion, characters of the variables.
    stages = [
        (
            "self_instruct",
            calls,
            1,
            tokens["self_instruct"] * min(wanted, profile.instructions_per_call),
            shown * (instruction + len("- \n")),
        ),
        (
            "verifier",
            instructions,
            profile.verifiers_per_instruction,
            tokens["verifier"],
            instruction,
        ),
        (
            "back_translation",
            translations,
            1,
            tokens["back_translation"],
            tokens["verifier"] * chars,
        ),
        (
            "nli",
            translations if nli else 0,
            1,
            tokens["nli"],
            instruction + tokens["back_translation"] * chars,
        ),
        (
            "response",
            prompts,
            profile.responses_per_prompt,
            tokens["response"],
            instruction + query,
        ),
        ("score", passing, 1, tokens["score"], instruction + query + tokens["response"] * chars),
    ]
    rows = []
    for role, expected, samples, mean_tokens, variables in stages:
        requests = round(expected)
        most = getattr(profile, f"{role}_max_tokens")
        prompt_tokens = (len(PROMPTS[role].source) + variables) / chars
        completions = requests * samples
        rows.append(
            (
                role,
                requests,
                completions,
                round(requests * prompt_tokens),
                round(completions * min(mean_tokens, most)),
                completions * most,
            )
        )
    return pl.DataFrame(rows, schema=ESTIMATE_SCHEMA, orient="row")


def _mean_chars(texts: pl.Series) -> float:
    mean = texts.str.len_chars().mean()
    return float(mean) if isinstance(mean, int | float) else 0.0
