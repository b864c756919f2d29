"""Near misses and further samples, for prompts whose own responses make no pair."""

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
from autoif_assets.method.resampling import (
    further_prompts,
    near_miss_prompts,
    parse_further,
    verdicts_with_scores,
    verify_further,
)
from autoif_assets.resources import RecipeResource, RoleEndpoint, SandboxResource
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import Rows


@dg.asset(
    ins={
        "prompts": unread(
            rows(
                "augmented_queries",
                *("prompt_id", "instruction_id", "query_id", "instruction", "query"),
            )
        ),
        "verdicts": unread(
            rows("response_verdicts", "response_id", "prompt_id", "passed", "status", "reason")
        ),
        "scores": unread(rows("response_scores", "response_id", "score", "status")),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "openai"},
    description=about("further_responses"),
    metadata=schema("further_responses"),
    pool=ENDPOINT,
)
def further_responses(
    context: dg.AssetExecutionContext,
    prompts: Rows,
    verdicts: Rows,
    scores: Rows,
    responder: RoleEndpoint,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, batch = recipe.load(), context.partition_key
    near, further = numbers.near_misses_per_prompt, numbers.further_responses_per_prompt
    if not near and not further:
        return warehouse.store(context, [])
    parts = warehouse.open(context.log.info).read_parts(
        prompts, verdicts, scores, on="instruction_id"
    )
    with responder.session(context) as model:

        def ask(
            prompts: pl.DataFrame, verdicts: pl.DataFrame, scores: pl.DataFrame
        ) -> pl.DataFrame:
            judged = verdicts_with_scores(verdicts, scores)
            misses = model.generate(
                "near_miss",
                near_miss_prompts(prompts, judged, numbers),
                numbers,
                samples=max(near, 1),
            )
            samples = model.generate(
                "response",
                further_prompts(prompts, judged, numbers, batch),
                numbers,
                samples=max(further, 1),
            )
            return in_batch(parse_further(misses, samples, verdicts["response_id"]), batch)

        return warehouse.store(context, (ask(*part) for part in parts))


@dg.asset(
    ins={
        "candidates": unread(
            accepted(
                "further_responses",
                *("response_id", "prompt_id", "instruction_id", "response", "origin"),
            )
        ),
        "verifiers": unread(accepted("verifiers", "verifier_id", "instruction_id", "source")),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "python"},
    description=about("further_verdicts"),
    metadata=schema("further_verdicts"),
)
def further_verdicts(
    context: dg.AssetExecutionContext,
    candidates: Rows,
    verifiers: Rows,
    sandbox: SandboxResource,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    return store_verdicts(
        context, candidates, verifiers, sandbox, recipe, warehouse, verify_further
    )


@dg.asset(
    ins={
        "verdicts": unread(
            rows("further_verdicts", "response_id", "passed", "status", "reason", "origin")
        ),
        "candidates": unread(accepted("further_responses", "response_id", "prompt_id", "response")),
        "prompts": unread(
            rows("augmented_queries", "prompt_id", "instruction_id", "instruction", "query")
        ),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "openai"},
    description=about("further_scores"),
    metadata=schema("further_scores"),
    pool=ENDPOINT,
)
def further_scores(
    context: dg.AssetExecutionContext,
    verdicts: Rows,
    candidates: Rows,
    prompts: Rows,
    judge: RoleEndpoint,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    return store_scores(context, verdicts, candidates, prompts, judge, recipe, warehouse)
