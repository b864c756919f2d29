"""Augmented queries, the responses to them, and which of these are worth training on."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import (
    ENDPOINT,
    about,
    accepted,
    in_batch,
    rows,
    schema,
    unread,
)
from autoif_assets.assets.judging import store_scores, store_verdicts
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method.augmentation import augment_queries
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets.method.responses import (
    filter_queries,
    parse_responses,
    response_prompts,
    verify_responses,
)
from autoif_assets.resources import RecipeResource, RoleEndpoint, SandboxResource
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import Rows

# A model stands idle while the last calls of a part end; 10,000 prompts keep it busy for long.
_PROMPTS_AT_ONCE = 10_000


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
    recipe: RecipeResource,
) -> pl.DataFrame:
    batch = context.partition_key
    return in_batch(augment_queries(instructions, queries, recipe.load(), batch), batch)


@dg.asset(
    ins={
        "prompts": unread(
            rows("augmented_queries", "prompt_id", "instruction_id", "instruction", "query")
        )
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "openai"},
    description=about("responses"),
    metadata=schema("responses"),
    pool=ENDPOINT,
)
def responses(
    context: dg.AssetExecutionContext,
    prompts: Rows,
    responder: RoleEndpoint,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, batch = recipe.load(), context.partition_key
    parts = warehouse.open(context.log.info).read_parts(
        prompts, on="instruction_id", rows=_PROMPTS_AT_ONCE
    )
    with responder.session(context) as model:

        def answer(prompts: pl.DataFrame) -> pl.DataFrame:
            completions = model.generate(
                "response", response_prompts(prompts), numbers, samples=numbers.responses_per_prompt
            )
            return in_batch(parse_responses(completions), batch)

        return warehouse.store(context, (answer(*part) for part in parts))


@dg.asset(
    ins={
        "candidates": unread(
            accepted("responses", "response_id", "prompt_id", "instruction_id", "response")
        ),
        "verifiers": unread(accepted("verifiers", "verifier_id", "instruction_id", "source")),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "python"},
    description=about("response_verdicts"),
    metadata=schema("response_verdicts"),
)
def response_verdicts(
    context: dg.AssetExecutionContext,
    candidates: Rows,
    verifiers: Rows,
    sandbox: SandboxResource,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    return store_verdicts(
        context, candidates, verifiers, sandbox, recipe, warehouse, verify_responses
    )


@dg.asset(
    ins={
        "verdicts": unread(rows("response_verdicts", "response_id", "passed", "status", "reason")),
        "candidates": unread(accepted("responses", "response_id", "prompt_id", "response")),
        "prompts": unread(
            rows("augmented_queries", "prompt_id", "instruction_id", "instruction", "query")
        ),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "openai"},
    description=about("response_scores"),
    metadata=schema("response_scores"),
    pool=ENDPOINT,
)
def response_scores(
    context: dg.AssetExecutionContext,
    verdicts: Rows,
    candidates: Rows,
    prompts: Rows,
    judge: RoleEndpoint,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    return store_scores(context, verdicts, candidates, prompts, judge, recipe, warehouse)


_JUDGED = ("response_id", "prompt_id", "passed", "status", "reason")


@dg.asset(
    ins={
        "prompts": rows("augmented_queries", "prompt_id", "instruction_id", "query_id"),
        "verdicts": rows("response_verdicts", *_JUDGED),
        "scores": rows("response_scores", "response_id", "score", "status"),
        "further_verdicts": rows("further_verdicts", *_JUDGED, "origin"),
        "further_scores": rows("further_scores", "response_id", "score", "status"),
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
    further_verdicts: pl.DataFrame,
    further_scores: pl.DataFrame,
    recipe: RecipeResource,
) -> pl.DataFrame:
    judged = verdicts_with_scores(verdicts, scores, further_verdicts, further_scores)
    kept = filter_queries(prompts, judged, recipe.load())
    return in_batch(kept, context.partition_key)
