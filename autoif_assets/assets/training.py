"""Training data: SFT examples and preference pairs at both levels."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import about, accepted, in_batch, rows, schema
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method import training
from autoif_assets.resources import Recipe

_KEPT_QUERIES = accepted("filtered_queries", "prompt_id", "instruction_id", "query_id")
_PROMPTS = rows("augmented_queries", "prompt_id", "prompt")
_RESPONSES = accepted("responses", "response_id", "response")


@dg.asset(
    ins={
        "kept": _KEPT_QUERIES,
        "prompts": _PROMPTS,
        "texts": _RESPONSES,
        "verdicts": accepted("response_verdicts", "response_id", "pass_rate"),
        "scores": accepted("response_scores", "response_id", "prompt_id", "score"),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("sft_examples"),
    metadata=schema("sft_examples"),
)
def sft_examples(
    context: dg.AssetExecutionContext,
    kept: pl.DataFrame,
    prompts: pl.DataFrame,
    texts: pl.DataFrame,
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
) -> pl.DataFrame:
    examples = training.sft_examples(kept, prompts, texts, verdicts, scores)
    return in_batch(examples, context.partition_key)


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
        "kept": _KEPT_QUERIES,
        "prompts": _PROMPTS,
        "texts": _RESPONSES,
        "verdicts": rows(
            "response_verdicts", "response_id", "prompt_id", "passed", "pass_rate", "reason"
        ),
        "scores": accepted("response_scores", "response_id"),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("query_preference_pairs"),
    metadata=schema("query_preference_pairs"),
)
def query_preference_pairs(
    context: dg.AssetExecutionContext,
    kept: pl.DataFrame,
    prompts: pl.DataFrame,
    texts: pl.DataFrame,
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    batch = context.partition_key
    pairs = training.query_pairs(kept, prompts, texts, verdicts, scores, recipe.numbers(), batch)
    return in_batch(pairs, batch)


@dg.asset(
    ins={
        "instruction_level": rows("instruction_preference_pairs"),
        "query_level": rows("query_preference_pairs"),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("preference_pairs"),
    metadata=schema("preference_pairs"),
)
def preference_pairs(
    context: dg.AssetExecutionContext,
    instruction_level: pl.DataFrame,
    query_level: pl.DataFrame,
) -> pl.DataFrame:
    pairs = training.gather_pairs([("instruction", instruction_level), ("query", query_level)])
    return in_batch(pairs, context.partition_key)
