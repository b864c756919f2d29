"""Back-translation of verifiers and the instructions it verifies."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import ENDPOINT, about, accepted, in_batch, rows, schema
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method.back_translation import (
    back_translation_prompts,
    check_back_translations,
    nli_pairs,
    parse_back_translations,
    verify_instructions,
)
from autoif_assets.resources import NLI, RecipeResource, Supervision


@dg.asset(
    ins={
        "instructions": accepted("augmented_instructions", "instruction_id", "instruction"),
        "verifiers": accepted("verifiers", "verifier_id", "instruction_id", "source", "accuracy"),
    },
    partitions_def=BATCHES,
    group_name="verifiers",
    kinds={"duckdb", "polars", "openai"},
    description=about("back_translations"),
    metadata=schema("back_translations"),
    pool=ENDPOINT,
)
def back_translations(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    supervision: Supervision,
    nli: NLI,
    recipe: RecipeResource,
) -> pl.DataFrame:
    numbers = recipe.load()
    with supervision.session(context) as model:
        prompts = back_translation_prompts(verifiers, numbers)
        parsed = parse_back_translations(model.generate("back_translation", prompts, numbers))
    labels = nli.label(context, nli_pairs(parsed, instructions), numbers)
    return in_batch(check_back_translations(parsed, labels), context.partition_key)


@dg.asset(
    ins={
        "instructions": accepted(
            "augmented_instructions", "instruction_id", "instruction", "category"
        ),
        "verifiers": accepted("verifiers", "instruction_id"),
        "cases": accepted("verifier_cases", "instruction_id"),
        "translations": rows("back_translations", "instruction_id", "nli_label"),
    },
    partitions_def=BATCHES,
    group_name="verifiers",
    kinds={"duckdb", "polars"},
    description=about("verified_instructions"),
    metadata=schema("verified_instructions"),
)
def verified_instructions(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    translations: pl.DataFrame,
) -> pl.DataFrame:
    verified = verify_instructions(instructions, verifiers, cases, translations)
    return in_batch(verified, context.partition_key)
