"""What a batch will ask of the models, before it asks, and how many more batches are needed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import Recipe

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
        all_good: Prompts with good responses and no failing one per prompt; 6 to 26 % are
            reported.
        all_failing: Prompts with failing responses and no passing one per prompt.
        useful: Near misses that pass no verifier, and further responses that pass, per one asked
            for.
        failing: Responses that pass no verifier per response.
        chars_per_token: Characters of a prompt per token; 4 holds for English and code with the
            tokenizers in use.
        completion_tokens: Mean tokens of a completion, by role; for ``self_instruct``, where a
            completion holds many, those of one instruction. A near miss is as long as a response.
    """

    rewrites: float = 0.8
    verifiers: float = 0.5
    verified: float = 0.7
    passing: float = 0.5
    all_good: float = 0.2
    all_failing: float = 0.15
    useful: float = 0.5
    failing: float = 0.3
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
    recipe: Recipe,
    seeds: pl.DataFrame,
    fresh_seeds: int,
    queries: pl.DataFrame,
    yields: Yields,
    *,
    nli: bool = True,
) -> pl.DataFrame:
    """Estimate the requests and tokens of one batch, stage by stage.

    Args:
        recipe: Numbers of the method.
        seeds: ``instruction`` of the accepted ``seed_instructions``.
        fresh_seeds: How many of them no other batch carries.
        queries: ``query`` of the accepted ``seed_queries``.
        yields: Measured or assumed.
        nli: Whether a model behind an endpoint labels the back-translations.

    Returns:
        ``ESTIMATE_SCHEMA``, one row a role in the order of the stages, ``likelihood`` at the end.
        Requests are those of a server that takes ``n``; ``most_completion_tokens`` is the bound
        that ``max_tokens`` sets.
    """
    instruction = _mean_chars(seeds["instruction"])
    query = _mean_chars(queries["query"])
    tokens, chars = yields.completion_tokens, yields.chars_per_token

    wanted = recipe.instructions_per_batch
    calls = math.ceil(wanted / recipe.instructions_per_call)
    shown = min(seeds.height, recipe.seed_examples_per_call)
    limit = recipe.seeds_per_batch
    carried = fresh_seeds if limit is None else min(limit, fresh_seeds)
    instructions = carried + wanted * yields.rewrites

    survivors = recipe.verifiers_per_instruction * yields.verifiers
    translated = recipe.back_translations_per_instruction or survivors
    translations = instructions * min(translated, survivors)

    prompts = instructions * yields.verified * min(recipe.queries_per_instruction, queries.height)
    near, further = recipe.near_misses_per_prompt, recipe.further_responses_per_prompt
    missed = prompts * yields.all_good if near else 0.0
    resampled = prompts * yields.all_failing if further else 0.0
    responses = prompts * recipe.responses_per_prompt
    scored = responses * (yields.passing + (yields.failing if recipe.score_failing else 0))
    scored += (missed * near + resampled * further) * yields.useful
    # Most that reach the judge are good; near misses are read only where negatives are.
    told = {
        "none": 0.0,
        "kept": responses * yields.passing + resampled * further * yields.useful,
        "judged": responses * (yields.passing + yields.failing)
        + missed * near * yields.useful
        + resampled * further,
    }[recipe.likelihood_of]

    # Role, requests, completions a request, tokens a completion, characters of the variables.
    stages = [
        (
            "self_instruct",
            calls,
            1,
            tokens["self_instruct"] * min(wanted, recipe.instructions_per_call),
            shown * (instruction + len("- \n")),
        ),
        (
            "verifier",
            instructions,
            recipe.verifiers_per_instruction,
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
            prompts + resampled,
            # On average: a prompt may be asked for further responses.
            (responses + resampled * further) / max(prompts + resampled, 1),
            tokens["response"],
            instruction + query,
        ),
        ("near_miss", missed, near, tokens["response"], instruction + query),
        ("score", scored, 1, tokens["score"], instruction + query + tokens["response"] * chars),
    ]
    rows: list[tuple[str | int, ...]] = []
    for role, expected, samples, mean_tokens, variables in stages:
        requests = round(expected)
        most = getattr(recipe, f"{role}_max_tokens")
        prompt_tokens = (len(PROMPTS[role].source) + variables) / chars
        completions = round(requests * samples)
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
    # Each response is read twice, once after its prompt and once alone; a server writes one token.
    read = min(tokens["response"], recipe.response_max_tokens) + (instruction + query) / chars / 2
    requests = 2 * round(told)
    rows.append(("likelihood", requests, requests, round(requests * read), requests, requests))
    return pl.DataFrame(rows, schema=ESTIMATE_SCHEMA, orient="row")


def _mean_chars(texts: pl.Series) -> float:
    mean = texts.str.len_chars().mean()
    return float(mean) if isinstance(mean, int | float) else 0.0


def batches_missing(wanted: int, yields: Sequence[int], unmade: int) -> int:
    """Return how many batches to add, at the mean yield of those already made.

    Args:
        wanted: Examples wanted in all.
        yields: Examples of each batch that has been made; 0 counts.
        unmade: Batches that are registered and not made yet; they count with the mean yield.

    Raises:
        ValueError: No batch has been made, or none has yielded anything, so nothing is known.
    """
    have = sum(yields)
    if have >= wanted:
        return 0
    if not have:
        raise ValueError(
            "No batch has yielded an example yet, so nothing says how many are needed. Make one "
            "first, with `autoif run`, and look at its funnel."
        )
    mean = have / len(yields)
    return max(0, math.ceil((wanted - have) / mean) - unmade)
