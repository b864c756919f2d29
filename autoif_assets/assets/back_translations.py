"""Back-translation of verifiers and the instructions it verifies."""

import dagster as dg
import polars as pl

from autoif_assets.method.back_translation import (
    back_translation_prompts,
    check_back_translations,
    nli_pairs,
    parse_back_translations,
    verify_instructions,
)
from autoif_assets.method.recipe import Recipe
from autoif_assets.resources import NLI, Supervision
from autoif_assets.stage import accepted, rows, stage


@stage(
    "back_translations",
    group="verifiers",
    reads={
        "instructions": accepted("augmented_instructions", "instruction_id", "instruction"),
        "verifiers": accepted("verifiers", "verifier_id", "instruction_id", "source", "accuracy"),
    },
)
def back_translations(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    supervision: Supervision,
    nli: NLI,
    recipe: Recipe,
) -> pl.DataFrame:
    with supervision.session(context) as model:
        prompts = back_translation_prompts(verifiers, recipe)
        completions = model.generate("back_translation", prompts, recipe)
        parsed = model.read(parse_back_translations, completions)
    labels = nli.label(context, nli_pairs(parsed, instructions), recipe)
    return check_back_translations(parsed, labels)


@stage(
    "verified_instructions",
    group="verifiers",
    reads={
        "instructions": accepted(
            "augmented_instructions", "instruction_id", "instruction", "category"
        ),
        "verifiers": accepted("verifiers", "instruction_id"),
        "cases": accepted("verifier_cases", "instruction_id"),
        "translations": rows("back_translations", "instruction_id", "nli_label"),
    },
)
def verified_instructions(
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    translations: pl.DataFrame,
) -> pl.DataFrame:
    return verify_instructions(instructions, verifiers, cases, translations)
