"""Responses: sampled, verified by execution, scored; and more of them where these make no pair."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from autoif_assets.method.queries import augment_queries, filter_queries
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.resampling import (
    FURTHER,
    NEAR,
    further_prompts,
    near_miss_prompts,
    parse_further,
    parse_further_scores,
    verdicts_with_scores,
    verify_further,
)
from autoif_assets.method.responses import (
    parse_responses,
    parse_scores,
    response_prompts,
    score_prompts,
    to_score,
    verify_responses,
)
from autoif_assets.method.verifiers import verifier_runs
from autoif_assets.resources import BatchResource, RoleEndpoint, SandboxResource
from autoif_assets.stage import Frames, Parts, accepted, rows, stage

# A model stands idle while the last calls of a part end; 10,000 prompts keep it busy for long.
PROMPTS_AT_ONCE = 10_000

PROMPTS = rows(
    "augmented_queries", "prompt_id", "instruction_id", "instruction", "query", "context"
)
ASKED = rows("augmented_queries", "prompt_id", "query")
VERIFIERS = accepted("verifier_audits", "verifier_id", "instruction_id", "source")
# What verifiers were tried on may be a prompt's responses: it was asked the same.
_ASKED_BEFORE = ("probe_texts",)
_VERDICT = ("response_id", "prompt_id", "passed", "status", "reason")
_SCORE = ("response_id", "score", "status")


@stage(
    "augmented_queries",
    group="queries",
    reads={
        "instructions": accepted("verified_instructions", "instruction_id", "instruction"),
        "queries": accepted("seed_queries", "query_id", "query", "context"),
        "matrix": rows("verdict_matrix", "instruction_id", "verdicts", "known"),
    },
)
def augmented_queries(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    queries: pl.DataFrame,
    matrix: pl.DataFrame,
    recipe: Recipe,
    batch: BatchResource,
) -> pl.DataFrame:
    queries = batch.seeds(context, "seed_queries", queries)
    return augment_queries(instructions, queries, matrix, recipe, context.partition_key)


@stage("responses", group="responses", parts={"prompts": PROMPTS}, part_rows=PROMPTS_AT_ONCE)
def responses(
    context: dg.AssetExecutionContext, parts: Parts, responder: RoleEndpoint, recipe: Recipe
) -> Frames:
    with responder.session(context, also=_ASKED_BEFORE) as model:
        for (prompts,) in parts:
            completions = model.generate(
                "response",
                response_prompts(prompts, recipe),
                recipe,
                samples=recipe.responses_per_prompt,
            )
            yield model.read(parse_responses, completions)


@stage(
    "response_verdicts",
    group="responses",
    parts={
        "candidates": accepted(
            "responses", "response_id", "prompt_id", "instruction_id", "response"
        ),
        "verifiers": VERIFIERS,
        "asked": ASKED,
    },
)
def response_verdicts(
    context: dg.AssetExecutionContext, parts: Parts, sandbox: SandboxResource, recipe: Recipe
) -> Frames:
    yield from executed(context, parts, sandbox, recipe, verify_responses)


@stage(
    "response_scores",
    group="responses",
    parts={
        "verdicts": rows("response_verdicts", "response_id", "passed", "status", "reason"),
        "candidates": accepted("responses", "response_id", "prompt_id", "response"),
        "prompts": PROMPTS,
    },
)
def response_scores(
    context: dg.AssetExecutionContext, parts: Parts, judge: RoleEndpoint, recipe: Recipe
) -> Frames:
    def parse(
        completions: pl.DataFrame, verdicts: pl.DataFrame, recipe: Recipe, failing: pl.Series
    ) -> pl.DataFrame:
        return parse_scores(completions, recipe, failing)

    yield from _scored(context, parts, judge, recipe, parse)


@stage(
    "further_responses",
    group="responses",
    parts={
        "prompts": rows(
            "augmented_queries",
            *("prompt_id", "instruction_id", "query_id", "instruction", "query", "context"),
        ),
        "verdicts": rows("response_verdicts", *_VERDICT),
        "scores": rows("response_scores", *_SCORE),
    },
)
def further_responses(
    context: dg.AssetExecutionContext, parts: Parts, responder: RoleEndpoint, recipe: Recipe
) -> Frames:
    if not recipe.near_misses_per_prompt and not recipe.further_responses_per_prompt:
        return
    with responder.session(context, also=_ASKED_BEFORE) as model:
        for prompts, verdicts, scores in parts:
            known = verdicts_with_scores(verdicts, scores)
            misses = model.generate(
                "near_miss",
                near_miss_prompts(prompts, known, recipe),
                recipe,
                samples=max(recipe.near_misses_per_prompt, 1),
            )
            samples = model.generate(
                "response",
                further_prompts(prompts, known, recipe, context.partition_key),
                recipe,
                samples=max(recipe.further_responses_per_prompt, 1),
            )
            first = verdicts["response_id"]
            yield model.read(parse_further, misses, NEAR, first)
            yield model.read(parse_further, samples, FURTHER, first)


@stage(
    "further_verdicts",
    group="responses",
    parts={
        "candidates": accepted(
            "further_responses",
            *("response_id", "prompt_id", "instruction_id", "response", "origin"),
        ),
        "verifiers": VERIFIERS,
        "asked": ASKED,
    },
)
def further_verdicts(
    context: dg.AssetExecutionContext, parts: Parts, sandbox: SandboxResource, recipe: Recipe
) -> Frames:
    yield from executed(context, parts, sandbox, recipe, verify_further)


@stage(
    "further_scores",
    group="responses",
    parts={
        "verdicts": rows("further_verdicts", "response_id", "passed", "status", "reason", "origin"),
        "candidates": accepted("further_responses", "response_id", "prompt_id", "response"),
        "prompts": PROMPTS,
    },
)
def further_scores(
    context: dg.AssetExecutionContext, parts: Parts, judge: RoleEndpoint, recipe: Recipe
) -> Frames:
    yield from _scored(context, parts, judge, recipe, parse_further_scores)


@stage(
    "filtered_queries",
    group="queries",
    reads={
        "prompts": rows("augmented_queries", "prompt_id", "instruction_id", "query_id"),
        "verdicts": rows("response_verdicts", *_VERDICT),
        "scores": rows("response_scores", *_SCORE),
        "further_verdicts": rows("further_verdicts", *_VERDICT, "origin"),
        "further_scores": rows("further_scores", *_SCORE),
    },
)
def filtered_queries(
    prompts: pl.DataFrame,
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
    further_verdicts: pl.DataFrame,
    further_scores: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    known = verdicts_with_scores(verdicts, scores, further_verdicts, further_scores)
    return filter_queries(prompts, known, recipe)


def executed(
    context: dg.AssetExecutionContext,
    parts: Parts,
    sandbox: SandboxResource,
    recipe: Recipe,
    verify: Callable[[pl.DataFrame, pl.DataFrame, Recipe], pl.DataFrame],
) -> Frames:
    """Execute the verifiers on responses, part by part.

    Args:
        context: The asset that runs.
        parts: Responses (``response_id``, ``prompt_id``, ``instruction_id``, ``response``, …),
            verifiers, and the prompts' queries.
        sandbox: Where these are executed.
        recipe: The numbers.
        verify: From responses, outcomes and recipe to the rows of the table.
    """
    with sandbox.session(context, recipe.modules) as session:
        for candidates, verifiers, asked in parts:
            inputs = candidates.join(
                asked, on="prompt_id", how="left", maintain_order="left"
            ).select("instruction_id", "query", input_id="response_id", input="response")
            yield verify(candidates, session.run(verifier_runs(verifiers, inputs)), recipe)


def _scored(
    context: dg.AssetExecutionContext,
    parts: Parts,
    judge: RoleEndpoint,
    recipe: Recipe,
    parse: Callable[[pl.DataFrame, pl.DataFrame, Recipe, pl.Series], pl.DataFrame],
) -> Frames:
    """Have the judge score responses, part by part.

    Args:
        context: The asset that runs.
        parts: Verdicts, responses and prompts.
        judge: Whom to ask.
        recipe: The numbers.
        parse: From completions, verdicts, recipe and the ids of failing responses to the rows.
    """
    with judge.session(context) as model:
        for verdicts, candidates, prompts in parts:
            wanted = to_score(candidates, verdicts, recipe)
            completions = model.generate("score", score_prompts(wanted, prompts, recipe), recipe)
            failing = wanted.filter("failing")["response_id"]
            yield model.read(parse, completions, verdicts, recipe, failing)
