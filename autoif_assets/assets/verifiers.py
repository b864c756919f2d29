"""Verifier functions and test cases, and their cross-validation."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import ENDPOINT, about, accepted, in_batch, schema
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method.verifiers import (
    cross_validate,
    parse_candidates,
    verifier_prompts,
    verifier_runs,
)
from autoif_assets.resources import RecipeResource, SandboxResource, Supervision
from autoif_assets.sandbox import canonical_source


@dg.multi_asset(
    outs={
        name: dg.AssetOut(
            kinds={"duckdb", "polars", "openai"}, description=about(name), metadata=schema(name)
        )
        for name in ("verifier_candidates", "test_cases")
    },
    ins={"instructions": accepted("augmented_instructions", "instruction_id", "instruction")},
    partitions_def=BATCHES,
    group_name="verifiers",
    pool=ENDPOINT,
)
def verifier_generation(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    supervision: Supervision,
    sandbox: SandboxResource,
    recipe: RecipeResource,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    numbers = recipe.load()
    with supervision.session(context) as model:
        completions = model.generate(
            "verifier",
            verifier_prompts(instructions),
            numbers,
            samples=numbers.verifiers_per_instruction,
        )
    candidates, cases = parse_candidates(completions, sandbox.static_check, canonical_source)
    return in_batch(candidates, context.partition_key), in_batch(cases, context.partition_key)


@dg.multi_asset(
    outs={
        name: dg.AssetOut(
            kinds={"duckdb", "polars", "python"}, description=about(name), metadata=schema(name)
        )
        for name in ("verifiers", "verifier_cases")
    },
    ins={
        "candidates": accepted("verifier_candidates", "verifier_id", "instruction_id", "source"),
        "cases": accepted("test_cases", "case_id", "instruction_id", "input", "expected"),
    },
    partitions_def=BATCHES,
    group_name="verifiers",
)
def cross_validation(
    context: dg.AssetExecutionContext,
    candidates: pl.DataFrame,
    cases: pl.DataFrame,
    sandbox: SandboxResource,
    recipe: RecipeResource,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    inputs = cases.rename({"case_id": "input_id"})
    outcomes = sandbox.run(context, verifier_runs(candidates, inputs))
    verifiers, verifier_cases = cross_validate(candidates, cases, outcomes, recipe.load())
    return (
        in_batch(verifiers, context.partition_key),
        in_batch(verifier_cases, context.partition_key),
    )
