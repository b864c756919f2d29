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
from autoif_assets.resources import Recipe, RoleEndpoint, SandboxResource
from autoif_assets.warehouse import Rows
from autoif_assets.warehouse.io_manager import WarehouseResource

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
    recipe: Recipe,
) -> pl.DataFrame:
    batch = context.partition_key
    return in_batch(augment_queries(instructions, queries, recipe.numbers(), batch), batch)


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
    recipe: Recipe,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, batch = recipe.numbers(), context.partition_key
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
    recipe: Recipe,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, batch = recipe.numbers(), context.partition_key
    parts = warehouse.open(context.log.info).read_parts(candidates, verifiers, on="instruction_id")
    with sandbox.session(context) as session:

        def judge(candidates: pl.DataFrame, verifiers: pl.DataFrame) -> pl.DataFrame:
            inputs = candidates.select("instruction_id", input_id="response_id", input="response")
            outcomes = session.run(verifier_runs(verifiers, inputs))
            return in_batch(judge_responses(candidates, outcomes, numbers), batch)

        return warehouse.store(context, (judge(*part) for part in parts))


@dg.asset(
    ins={
        "verdicts": unread(accepted("response_verdicts", "response_id")),
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
    recipe: Recipe,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, batch = recipe.numbers(), context.partition_key
    parts = warehouse.open(context.log.info).read_parts(
        verdicts, candidates, prompts, on="instruction_id"
    )
    with judge.session(context) as model:

        def score(
            verdicts: pl.DataFrame, candidates: pl.DataFrame, prompts: pl.DataFrame
        ) -> pl.DataFrame:
            passed = candidates.join(verdicts, on="response_id", how="semi", maintain_order="left")
            completions = model.generate("score", score_prompts(passed, prompts), numbers)
            return in_batch(parse_scores(completions, numbers), batch)

        return warehouse.store(context, (score(*part) for part in parts))


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
