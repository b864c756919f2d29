"""Training data: SFT examples and preference pairs at both levels."""

from functools import partial

import dagster as dg
import polars as pl

from autoif_assets.assets.common import about, accepted, funnel, in_batch, rows, schema, unread
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method import training
from autoif_assets.resources import Recipe
from autoif_assets.warehouse import Rows
from autoif_assets.warehouse.io_manager import WarehouseResource

_PROMPTS_AND_RESPONSES = {
    "kept": unread(accepted("filtered_queries", "prompt_id", "instruction_id", "query_id")),
    "prompts": unread(rows("augmented_queries", "prompt_id", "prompt")),
    "texts": unread(accepted("responses", "response_id", "response")),
}


@dg.asset(
    ins={
        **_PROMPTS_AND_RESPONSES,
        "verdicts": unread(accepted("response_verdicts", "response_id", "pass_rate")),
        "scores": unread(accepted("response_scores", "response_id", "prompt_id", "score")),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("sft_examples"),
    metadata=schema("sft_examples"),
)
def sft_examples(
    context: dg.AssetExecutionContext,
    kept: Rows,
    prompts: Rows,
    texts: Rows,
    verdicts: Rows,
    scores: Rows,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    parts = warehouse.open(context.log.info).read_parts(
        kept, prompts, texts, verdicts, scores, on="instruction_id"
    )
    batch = context.partition_key
    result = warehouse.store(
        context, (in_batch(training.sft_examples(*part), batch) for part in parts)
    )
    context.add_output_metadata(funnel(warehouse.open(), "sft_examples", batch))
    return result


@dg.asset(
    ins={
        "instructions": accepted("verified_instructions", "instruction_id", "instruction"),
        "verifiers": accepted("verifiers", "verifier_id"),
        "cases": accepted("verifier_cases", "case_id", "instruction_id", "input", "outcomes"),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("instruction_preference_pairs"),
    metadata=schema("instruction_preference_pairs"),
)
def instruction_preference_pairs(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    batch = context.partition_key
    pairs = training.instruction_pairs(instructions, verifiers, cases, recipe.numbers(), batch)
    return in_batch(pairs, batch)


@dg.asset(
    ins={
        **_PROMPTS_AND_RESPONSES,
        "verdicts": unread(
            rows("response_verdicts", "response_id", "prompt_id", "passed", "pass_rate", "reason")
        ),
        "scores": unread(accepted("response_scores", "response_id")),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("query_preference_pairs"),
    metadata=schema("query_preference_pairs"),
)
def query_preference_pairs(
    context: dg.AssetExecutionContext,
    kept: Rows,
    prompts: Rows,
    texts: Rows,
    verdicts: Rows,
    scores: Rows,
    recipe: Recipe,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    batch = context.partition_key
    pair = partial(training.query_pairs, profile=recipe.numbers(), batch=batch)
    parts = warehouse.open(context.log.info).read_parts(
        kept, prompts, texts, verdicts, scores, on="instruction_id"
    )
    return warehouse.store(context, (in_batch(pair(*part), batch) for part in parts))


_PAIR = (
    *("pair_id", "instruction_id", "prompt", "chosen", "rejected", "chosen_id", "rejected_id"),
    *("chosen_pass_rate", "rejected_pass_rate"),
)


@dg.asset(
    ins={
        "instruction_level": unread(rows("instruction_preference_pairs", *_PAIR)),
        "query_level": unread(rows("query_preference_pairs", "prompt_id", *_PAIR)),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("preference_pairs"),
    metadata=schema("preference_pairs"),
)
def preference_pairs(
    context: dg.AssetExecutionContext,
    instruction_level: Rows,
    query_level: Rows,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    parts = warehouse.open(context.log.info).read_parts(
        instruction_level, query_level, on="instruction_id"
    )
    pairs = (
        training.gather_pairs([("instruction", instructions), ("query", queries)])
        for instructions, queries in parts
    )
    return warehouse.store(context, (in_batch(part, context.partition_key) for part in pairs))
