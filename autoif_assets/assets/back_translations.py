"""Back-translation and audits of verifiers, and the instructions that are verified by them."""

from typing import Any

import dagster as dg
import polars as pl

from autoif_assets.charts import in_markdown
from autoif_assets.display import displayed
from autoif_assets.method.audits import (
    audit_texts,
    audit_verifiers,
    mutant_trials,
    mutants_of,
    pool,
    verdict_matrix,
)
from autoif_assets.method.back_translation import (
    back_translation_prompts,
    check_back_translations,
    nli_pairs,
    parse_back_translations,
    verify_instructions,
)
from autoif_assets.method.gates import accepted as accepted_rows
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.tried import ANSWER_SCHEMA
from autoif_assets.method.verifiers import in_parts, verifier_runs
from autoif_assets.reports import BANDS, MAX_KINDS, coverage_chart, covered_kinds
from autoif_assets.resources import NLI, SandboxResource, Supervision
from autoif_assets.resources.sandbox import SandboxSession
from autoif_assets.sandbox import mutants, needs_query
from autoif_assets.stage import Frames, accepted, rows, stage
from autoif_assets.warehouse import Partition, Warehouse


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
    "verifier_audits",
    "verdict_matrix",
    group="verifiers",
    reads={
        "verifiers": accepted(
            *("verifiers", "verifier_id", "instruction_id", "source", "origin", "samples"),
            *("accuracy", "accuracy_true", "accuracy_false", "sibling_agreement"),
        ),
        "cases": accepted(
            "verifier_cases", "case_id", "instruction_id", "input", "query", "expected"
        ),
        "probes": accepted("probe_texts", "probe_id", "instruction_id", "kind", "input", "place"),
        "answers": accepted("auditor_answers", *ANSWER_SCHEMA),
        "translations": rows("back_translations", "verifier_id", "nli_label"),
    },
)
def verifier_audits(
    context: dg.AssetExecutionContext,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    probes: pl.DataFrame,
    answers: pl.DataFrame,
    translations: pl.DataFrame,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    with sandbox.session(context, recipe.modules) as session:
        made = [
            _audited(session, part, cases, probes, answers, translations, recipe)
            for (part,) in in_parts(verifiers)
        ]
    audits, matrix = zip(*made, strict=True)
    return pl.concat(audits), pl.concat(matrix)


def _audited(
    session: SandboxSession,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    probes: pl.DataFrame,
    answers: pl.DataFrame,
    translations: pl.DataFrame,
    recipe: Recipe,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Run verifiers and their mutants, and then those in use on all probe texts."""
    changed = mutants_of(verifiers, mutants, recipe)
    texts = audit_texts(cases, probes, verifiers, answers, recipe)
    own = session.run(verifier_runs(verifiers, texts, needs_query))
    # Mutants are most of what is run, and are in no use: that they share processes saves most of
    # what running them costs.
    theirs = [
        session.run(verifier_runs(tried, on, needs_query), share=True)
        for tried, on in mutant_trials(changed, verifiers, texts, own)
    ]
    outcomes = pl.concat([own, *theirs])
    audits = audit_verifiers(verifiers, texts, outcomes, changed, translations, answers, recipe)
    used = accepted_rows(audits)
    said = session.run(verifier_runs(used, pool(probes, used), needs_query))
    return audits, verdict_matrix(used, probes, said)


def coverage(warehouse: Warehouse, keys: Partition) -> dict[str, Any]:
    """Show how many verified instructions a batch has of which kind, as a table and a chart."""
    rows = warehouse.query(
        "SELECT category, language, base_rate, accepted AS instructions FROM autoif.coverage"
        " WHERE batch = ? AND accepted > 0",
        [keys["batch"]],
    )
    records = [
        dg.TableRecord(
            {
                "category": displayed(kind["category"]),
                "language": kind["language"],
                **dict(zip(BANDS, kind["bands"], strict=True)),
            }
        )
        for kind in covered_kinds(rows)[:MAX_KINDS]
    ]
    if not records:
        return {}
    chart = in_markdown(coverage_chart(rows), "verified instructions by category and base rate")
    return {
        "coverage": dg.MetadataValue.table(records),
        "chart/coverage": dg.MetadataValue.md(chart),
    }


@stage(
    "verified_instructions",
    group="verifiers",
    reads={
        "instructions": accepted(
            "augmented_instructions", "instruction_id", "instruction", "category"
        ),
        "verifiers": accepted("verifier_audits", "instruction_id", "origin"),
        "cases": accepted("verifier_cases", "instruction_id"),
        "translations": rows("back_translations", "instruction_id", "nli_label"),
        "matrix": rows("verdict_matrix", "instruction_id", "base_rate", "own_rate"),
    },
    shows=coverage,
)
def verified_instructions(
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    translations: pl.DataFrame,
    matrix: pl.DataFrame,
    recipe: Recipe,
) -> Frames:
    yield verify_instructions(instructions, verifiers, cases, translations, matrix, recipe)
