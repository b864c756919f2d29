"""What a batch will ask of the models, before it asks, and how many more batches are needed."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from autoif_assets.method.categories import known_categories
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import Recipe

# Mean tokens of a completion, by role; for self_instruct those of one line. Assumed: what
# instruction-tuned models of 7 to 70 billion parameters tend to write for these prompts.
_COMPLETION_TOKENS = {
    "self_instruct": 18.0,
    "category": 8.0,
    "verifier": 260.0,
    "boundary_cases": 300.0,
    "repair": 150.0,
    "audit": 8.0,
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
        repaired: Functions sent back in a round per function that may be.
        contested: Texts that go to the auditor per text that may.
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
    repaired: float = 0.5
    contested: float = 0.8
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
        recipe: How much is asked for at each stage, and at most how many tokens.
        seeds: ``instruction``, ``category``, ``verifier`` of the accepted ``seed_instructions``.
        fresh_seeds: How many of them no other batch carries.
        queries: ``query``, ``context`` of the accepted ``seed_queries``.
        yields: Measured or assumed.
        nli: Whether a model behind an endpoint labels the back-translations.

    Returns:
        ``ESTIMATE_SCHEMA``, one row a role in the order of the stages, ``likelihood`` at the end.
        Requests are those of a server that takes ``n``; ``most_completion_tokens`` is the bound
        that ``max_tokens`` sets.
    """
    texts = _Texts(
        instruction=_mean_chars(seeds["instruction"]),
        # What was said before is read with each query.
        query=_mean_chars(queries["query"] + queries["context"].fill_null("")),
        tokens=yields.completion_tokens,
        chars_per_token=yields.chars_per_token,
    )
    checked = seeds["verifier"].is_not_null().mean()
    counts = _counts(recipe, fresh_seeds, _share(checked), queries.height, yields)
    rows: list[tuple[str | int, ...]] = []
    categories = known_categories(seeds)
    for stage in _stages(recipe, counts, texts, seeds.height, categories, nli=nli):
        # A request carries its prompt once, however many completions it asks for.
        requests = round(stage.requests)
        completions = round(requests * stage.samples)
        prompt_tokens = (
            len(PROMPTS[stage.role].of(recipe.prompts).source) + stage.variables
        ) / texts.chars_per_token
        most = getattr(recipe, f"{stage.role}_max_tokens")
        rows.append(
            (
                stage.role,
                requests,
                completions,
                round(requests * prompt_tokens),
                round(completions * min(stage.tokens, most)),
                completions * most,
            )
        )
    # Each response is read twice, once after its prompt and once alone; a server writes one token.
    response = min(texts.tokens["response"], recipe.response_max_tokens)
    read = response + (texts.instruction + texts.query) / texts.chars_per_token / 2
    requests = 2 * round(counts.read)
    rows.append(("likelihood", requests, requests, round(requests * read), requests, requests))
    return pl.DataFrame(rows, schema=ESTIMATE_SCHEMA, orient="row")


@dataclass(frozen=True)
class _Counts:
    """How many there will be of what the stages ask for; fractions until the end."""

    rewrites: float
    instructions: float
    unchecked: float
    repairs: float
    audits: float
    translations: float
    prompts: float
    near_miss_prompts: float
    further_prompts: float
    responses: float
    scored: float
    read: float


def _counts(
    recipe: Recipe, fresh_seeds: int, checked: float, queries: int, yields: Yields
) -> _Counts:
    """Follow a batch through its stages, each with the yield of the one before.

    Of seeds that come with a verifier, the share ``checked``, no function is asked for.
    """
    # Self-instruct [3.2]: the seeds that no other batch carries, and the rewrites.
    limit = recipe.seeds_per_batch
    carried = fresh_seeds if limit is None else min(limit, fresh_seeds)
    rewrites = recipe.instructions_per_batch * yields.rewrites
    instructions = carried + rewrites
    # Back-translation [3.2]: the recipe may want fewer functions than survive, never more.
    survivors = recipe.verifiers_per_instruction * yields.verifiers
    translated = recipe.back_translations_per_instruction or survivors
    # Augmented queries and their responses [3.3].
    prompts = instructions * yields.verified * min(recipe.queries_per_instruction, queries)
    responses = prompts * recipe.responses_per_prompt
    # More is asked only of prompts whose responses make no pair, and only if the recipe wants it.
    near, further = recipe.near_misses_per_prompt, recipe.further_responses_per_prompt
    missed = prompts * yields.all_good if near else 0.0
    resampled = prompts * yields.all_failing if further else 0.0
    scored = responses * (yields.passing + (yields.failing if recipe.score_failing else 0))
    scored += (missed * near + resampled * further) * yields.useful
    # Most that reach the judge are good; near misses are read only where negatives are.
    read = {
        "none": 0.0,
        "kept": responses * yields.passing + resampled * further * yields.useful,
        "judged": responses * (yields.passing + yields.failing)
        + missed * near * yields.useful
        + resampled * further,
    }[recipe.likelihood_of]
    return _Counts(
        rewrites=rewrites,
        instructions=instructions,
        unchecked=instructions - carried * checked,
        repairs=instructions
        * recipe.repair_rounds
        * recipe.repairs_per_instruction
        * yields.repaired,
        audits=instructions * recipe.audited_texts_per_instruction * yields.contested,
        translations=instructions * min(translated, survivors),
        prompts=prompts,
        near_miss_prompts=missed,
        further_prompts=resampled,
        responses=responses,
        scored=scored,
        read=read,
    )


@dataclass(frozen=True)
class _Texts:
    """How long the texts are: instruction and query in characters, completions in tokens."""

    instruction: float
    query: float
    tokens: Mapping[str, float]
    chars_per_token: float

    def chars(self, role: str) -> float:
        """Return the mean characters of a completion, which a later prompt may show."""
        return self.tokens[role] * self.chars_per_token


@dataclass(frozen=True)
class _Stage:
    """One role's requests.

    Attributes:
        role: Name of its prompt.
        requests: How many there will be.
        samples: Completions a request.
        tokens: Mean tokens of a completion.
        variables: Characters that the variables add to the prompt.
    """

    role: str
    requests: float
    samples: float
    tokens: float
    variables: float


def _stages(
    recipe: Recipe,
    counts: _Counts,
    texts: _Texts,
    seeds: int,
    categories: pl.DataFrame,
    *,
    nli: bool,
) -> list[_Stage]:
    wanted, per_call = recipe.instructions_per_batch, recipe.instructions_per_call
    shown = min(seeds, recipe.seed_examples_per_call)
    tokens, prompt = texts.tokens, texts.instruction + texts.query
    further = counts.further_prompts * recipe.further_responses_per_prompt
    # Texts that verifiers are tried on are asked for as responses and near misses are.
    obeying = recipe.obeying_probes_per_instruction
    breaking = recipe.breaking_probes_per_instruction
    # On average: a prompt may be asked for further responses.
    response_requests = counts.prompts + counts.further_prompts
    response_requests += counts.instructions if obeying else 0
    samples = (counts.responses + further + counts.instructions * obeying) / max(
        response_requests, 1
    )
    missed = counts.near_miss_prompts + (counts.instructions if breaking else 0)
    near = counts.near_miss_prompts * recipe.near_misses_per_prompt
    near += counts.instructions * breaking
    return [
        _Stage(
            "self_instruct",
            math.ceil(wanted / per_call),
            1,
            # One completion holds many instructions.
            tokens["self_instruct"] * min(wanted, per_call),
            shown * (texts.instruction + len("- \n")),
        ),
        _Stage(
            "category",
            # Seeds have theirs.
            counts.rewrites if recipe.categorise and not categories.is_empty() else 0,
            1,
            tokens["category"],
            texts.instruction + sum(map(len, itertools.chain(*categories.iter_rows()))),
        ),
        _Stage(
            "verifier",
            counts.unchecked,
            recipe.verifiers_per_instruction,
            tokens["verifier"],
            texts.instruction,
        ),
        _Stage(
            "boundary_cases",
            counts.instructions if recipe.boundary_cases else 0,
            1,
            tokens["boundary_cases"],
            texts.instruction,
        ),
        _Stage(
            "repair",
            counts.repairs,
            1,
            tokens["repair"],
            # With three texts it gets wrong.
            texts.instruction + texts.chars("verifier") * 2,
        ),
        _Stage(
            "audit",
            counts.audits,
            1,
            tokens["audit"],
            texts.instruction + texts.chars("response") / 2,
        ),
        _Stage(
            "back_translation",
            counts.translations,
            1,
            tokens["back_translation"],
            texts.chars("verifier"),
        ),
        _Stage(
            "nli",
            counts.translations if nli else 0,
            1,
            tokens["nli"],
            texts.instruction + texts.chars("back_translation"),
        ),
        _Stage("response", response_requests, samples, tokens["response"], prompt),
        _Stage("near_miss", missed, near / max(missed, 1), tokens["response"], prompt),
        _Stage("score", counts.scored, 1, tokens["score"], prompt + texts.chars("response")),
    ]


def _mean_chars(texts: pl.Series) -> float:
    return _share(texts.str.len_chars().mean())


def _share(mean: object) -> float:
    """Return a mean; 0 of nothing."""
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
