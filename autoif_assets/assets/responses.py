"""Augmented queries, the responses to them, and which of these are worth training on."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import about, accepted, in_batch, rows, schema
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method.augmentation import augment_queries
from autoif_assets.method.responses import (
    filter_queries,
    judge_responses,
    parse_responses,
    parse_scores,
    response_prompts,
    score_prompts,
)
from autoif_assets.method.verifiers import verifier_runs
from autoif_assets.resources import Recipe, SandboxResource, Supervision


@dg.asset(
    ins={
        "instructions": accepted("verified_instructions", "instruction_id", "instruction"),
        "queries": accepted("seed_queries", "query_id", "query"),
    },
    partitions_def=BATCHES,
    group_name="queries",
    kinds={"duckdb", "polars"},
    description=about("augmented_queries"),
    metadata=schema("augmented_queries"),
)
def augmented_queries(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    queries: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    batch = context.partition_key
    return in_batch(augment_queries(instructions, queries, recipe.numbers(), batch), batch)


@dg.asset(
    ins={
        "prompts": rows("augmented_queries", "prompt_id", "instruction_id", "instruction", "query")
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "openai"},
    description=about("responses"),
    metadata=schema("responses"),
)
def responses(
    context: dg.AssetExecutionContext,
    prompts: pl.DataFrame,
    supervision: Supervision,
    recipe: Recipe,
) -> pl.DataFrame:
    numbers = recipe.numbers()
    with supervision.session(context) as model:
        completions = model.generate(
            "response", response_prompts(prompts), numbers, samples=numbers.responses_per_prompt
        )
    return in_batch(parse_responses(completions), context.partition_key)


@dg.asset(
    ins={
        "candidates": accepted(
            "responses", "response_id", "prompt_id", "instruction_id", "response"
        ),
        "verifiers": accepted("verifiers", "verifier_id", "instruction_id", "source"),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "python"},
    description=about("response_verdicts"),
    metadata=schema("response_verdicts"),
)
def response_verdicts(
    context: dg.AssetExecutionContext,
    candidates: pl.DataFrame,
    verifiers: pl.DataFrame,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> pl.DataFrame:
    inputs = candidates.select("instruction_id", input_id="response_id", input="response")
    outcomes = sandbox.run(context, verifier_runs(verifiers, inputs))
    verdicts = judge_responses(candidates, outcomes, recipe.numbers())
    return in_batch(verdicts, context.partition_key)


@dg.asset(
    ins={
        "verdicts": accepted("response_verdicts", "response_id"),
        "candidates": accepted("responses", "response_id", "prompt_id", "response"),
        "prompts": rows("augmented_queries", "prompt_id", "instruction_id", "instruction", "query"),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "openai"},
    description=about("response_scores"),
    metadata=schema("response_scores"),
)
def response_scores(
    context: dg.AssetExecutionContext,
    verdicts: pl.DataFrame,
    candidates: pl.DataFrame,
    prompts: pl.DataFrame,
    supervision: Supervision,
    recipe: Recipe,
) -> pl.DataFrame:
    numbers = recipe.numbers()
    passed = candidates.join(verdicts, on="response_id", how="semi", maintain_order="left")
    with supervision.session(context) as model:
        completions = model.generate("score", score_prompts(passed, prompts), numbers)
    return in_batch(parse_scores(completions, numbers), context.partition_key)


@dg.asset(
    ins={
        "prompts": rows("augmented_queries", "prompt_id", "instruction_id", "query_id"),
        "verdicts": rows("response_verdicts", "prompt_id", "passed", "status", "reason"),
        "scores": rows("response_scores", "prompt_id", "status"),
    },
    partitions_def=BATCHES,
    group_name="queries",
    kinds={"duckdb", "polars"},
    description=about("filtered_queries"),
    metadata=schema("filtered_queries"),
)
def filtered_queries(
    context: dg.AssetExecutionContext,
    prompts: pl.DataFrame,
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
) -> pl.DataFrame:
    return in_batch(filter_queries(prompts, verdicts, scores), context.partition_key)
