"""Verifier functions and test cases, and their cross-validation."""

from functools import partial

import dagster as dg
import polars as pl

from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verifiers import (
    cross_validate,
    parse_candidates,
    verifier_prompts,
    verifier_runs,
)
from autoif_assets.resources import SandboxResource, Supervision
from autoif_assets.resources.failures import failure
from autoif_assets.sandbox import canonical_source
from autoif_assets.stage import accepted, stage


@stage(
    "verifier_candidates",
    "test_cases",
    group="verifiers",
    reads={"instructions": accepted("augmented_instructions", "instruction_id", "instruction")},
)
def verifier_generation(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    supervision: Supervision,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    # Before anything is paid for that nobody could execute.
    if problem := sandbox.modules_problem(recipe.modules):
        raise failure(problem)
    with supervision.session(context) as model:
        completions = model.generate(
            "verifier",
            verifier_prompts(instructions, recipe),
            recipe,
            samples=recipe.verifiers_per_instruction,
        )
    static_check = partial(sandbox.static_check, modules=recipe.modules)
    return model.read(parse_candidates, completions, static_check, canonical_source)


@stage(
    "verifiers",
    "verifier_cases",
    group="verifiers",
    reads={
        "candidates": accepted("verifier_candidates", "verifier_id", "instruction_id", "source"),
        "cases": accepted("test_cases", "case_id", "instruction_id", "input", "query", "expected"),
    },
)
def cross_validation(
    context: dg.AssetExecutionContext,
    candidates: pl.DataFrame,
    cases: pl.DataFrame,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    inputs = cases.rename({"case_id": "input_id"})
    outcomes = sandbox.run(context, verifier_runs(candidates, inputs), recipe.modules)
    return cross_validate(candidates, cases, outcomes, recipe)
