"""Verifier functions and test cases, the texts they are tried on, and their cross-validation."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import dagster as dg
import polars as pl

from autoif_assets.method.auditor import ALTERNATIVES, audit_prompts, contested, parse_answers
from autoif_assets.method.cross_validation import cross_validate, eligible, judge
from autoif_assets.method.probes import (
    BREAKING,
    OBEYING,
    parse_probes,
    probe_prompts,
)
from autoif_assets.method.probes import (
    probe_texts as all_probe_texts,
)
from autoif_assets.method.queries import probe_queries
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.repairs import NO_REPAIRS, parse_repairs, repair_prompts, to_repair
from autoif_assets.method.tried import ANSWER_SCHEMA, Tried
from autoif_assets.method.trusted import beside_handed_in, handed_in, read_handed_in, unchecked
from autoif_assets.method.verifiers import (
    boundary_prompts,
    functions_of,
    in_parts,
    parse_boundary_cases,
    parse_candidates,
    verifier_prompts,
    verifier_runs,
)
from autoif_assets.resources import BatchResource, RoleEndpoint, SandboxResource, Supervision
from autoif_assets.resources.failures import failure
from autoif_assets.resources.sandbox import SandboxSession
from autoif_assets.sandbox import canonical_source, needs_query, quoted_texts
from autoif_assets.stage import accepted, rows, stage
from autoif_assets.warehouse.batches import content_columns

_INSTRUCTIONS = accepted("augmented_instructions", "instruction_id", "instruction")
# Duplicates are votes, and tell whose case is whose.
_CANDIDATES = rows(
    *("verifier_candidates", "verifier_id", "instruction_id", "origin", "sample", "source"),
    "reason",
)
_CASES = rows(
    *("test_cases", "case_id", "instruction_id", "origin", "sample"),
    *("input", "query", "expected", "status", "reason"),
)
_PROBES = accepted("probe_texts", "probe_id", "instruction_id", "kind", "input", "place")
_REPAIRS = rows(
    "verifier_repairs", "verifier_id", "instruction_id", "source", "reason", "parent_id"
)


@stage(
    "verifier_candidates",
    "test_cases",
    group="verifiers",
    reads={
        "instructions": _INSTRUCTIONS,
        "seeds": accepted("seed_instructions", *content_columns("seed_instructions")),
    },
)
def verifier_generation(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    seeds: pl.DataFrame,
    supervision: Supervision,
    sandbox: SandboxResource,
    recipe: Recipe,
    batch: BatchResource,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    # Before anything is paid for that nobody could execute.
    if problem := sandbox.modules_problem(recipe.modules):
        raise failure(problem)
    static_check = partial(sandbox.static_check, modules=recipe.modules)
    handed = handed_in(batch.seeds(context, "seed_instructions", seeds), instructions)
    theirs, their_cases = read_handed_in(handed, static_check, canonical_source)
    with supervision.session(context) as model:
        completions = model.generate(
            "verifier",
            verifier_prompts(unchecked(instructions, handed), recipe),
            recipe,
            samples=recipe.verifiers_per_instruction,
        )
        asked = boundary_prompts(instructions, recipe)
        close = model.generate("boundary_cases", asked, recipe)
        candidates, cases = model.read(
            parse_candidates, completions, static_check, canonical_source
        )
        boundary = model.read(parse_boundary_cases, close, cases["case_id"])
    cases = beside_handed_in(their_cases, pl.concat([cases, boundary.select(cases.columns)]))
    return pl.concat([theirs, candidates]), cases


@stage(
    "probe_texts",
    group="verifiers",
    reads={
        "instructions": _INSTRUCTIONS,
        "cases": accepted("test_cases", "case_id", "instruction_id", "input", "query"),
        "queries": accepted("seed_queries", "query_id", "query", "context"),
    },
)
def probe_texts(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    cases: pl.DataFrame,
    queries: pl.DataFrame,
    responder: RoleEndpoint,
    recipe: Recipe,
    batch: BatchResource,
) -> pl.DataFrame:
    queries = batch.seeds(context, "seed_queries", queries)
    prompts = probe_queries(instructions, queries, recipe, context.partition_key)
    wanted = probe_prompts(prompts, recipe)
    with responder.session(context) as model:
        obeying = model.generate(
            "response", wanted[OBEYING], recipe, recipe.obeying_probes_per_instruction
        )
        breaking = model.generate(
            "near_miss", wanted[BREAKING], recipe, recipe.breaking_probes_per_instruction
        )
        read = model.read(parse_probes, pl.concat([obeying, breaking]))
    return all_probe_texts(read, cases.filter(pl.col("query").is_null()), recipe)


@stage(
    "verifier_repairs",
    group="verifiers",
    reads={
        "instructions": _INSTRUCTIONS,
        "candidates": _CANDIDATES,
        "cases": _CASES,
        "probes": _PROBES,
    },
)
def verifier_repairs(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    candidates: pl.DataFrame,
    cases: pl.DataFrame,
    probes: pl.DataFrame,
    supervision: Supervision,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> pl.DataFrame:
    static_check = partial(sandbox.static_check, modules=recipe.modules)
    repairs = NO_REPAIRS
    with (
        supervision.session(context) as model,
        sandbox.session(context, recipe.modules) as session,
    ):
        for number in range(1, recipe.repair_rounds + 1):
            chosen = [
                to_repair(tried, judge(tried, recipe), repairs, recipe)
                for tried in _tried(session, candidates, repairs, cases, probes)
            ]
            prompts = repair_prompts(pl.concat(chosen), instructions, recipe)
            completions = model.generate("repair", prompts, recipe)
            made = model.read(
                parse_repairs,
                completions,
                static_check,
                canonical_source,
                functions_of(candidates, repairs)["verifier_id"],
            )
            repairs = pl.concat(
                [repairs, made.with_columns(round=pl.lit(number, pl.Int64)).select(repairs.columns)]
            )
    return repairs


@stage(
    "auditor_answers",
    group="verifiers",
    reads={
        "instructions": _INSTRUCTIONS,
        "candidates": _CANDIDATES,
        "repairs": _REPAIRS,
        "cases": _CASES,
        "probes": _PROBES,
    },
)
def auditor_answers(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    candidates: pl.DataFrame,
    repairs: pl.DataFrame,
    cases: pl.DataFrame,
    probes: pl.DataFrame,
    auditor: RoleEndpoint,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> pl.DataFrame:
    # Without an auditor nothing need be executed for it.
    if not recipe.audited_texts_per_instruction:
        candidates, repairs, cases = candidates.clear(), repairs.clear(), cases.clear()
    with sandbox.session(context, recipe.modules) as session:
        texts = pl.concat(
            contested(tried, eligible(tried, recipe), recipe)
            for tried in _tried(session, candidates, repairs, cases, probes)
        )
    with auditor.session(context) as model:
        prompts = audit_prompts(texts, instructions, recipe)
        completions = model.generate("audit", prompts, recipe, logprobs=ALTERNATIVES)
        return model.read(parse_answers, completions, texts)


@stage(
    "verifiers",
    "verifier_cases",
    group="verifiers",
    reads={
        "candidates": _CANDIDATES,
        "repairs": _REPAIRS,
        "cases": _CASES,
        "probes": _PROBES,
        "answers": accepted("auditor_answers", *ANSWER_SCHEMA),
    },
)
def cross_validation(
    context: dg.AssetExecutionContext,
    candidates: pl.DataFrame,
    repairs: pl.DataFrame,
    cases: pl.DataFrame,
    probes: pl.DataFrame,
    answers: pl.DataFrame,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    with sandbox.session(context, recipe.modules) as session:
        made = [
            cross_validate(tried, recipe)
            for tried in _tried(session, candidates, repairs, cases, probes, answers)
        ]
    verifiers, verifier_cases = zip(*made, strict=True)
    return pl.concat(verifiers), pl.concat(verifier_cases)


def _tried(
    session: SandboxSession,
    candidates: pl.DataFrame,
    repairs: pl.DataFrame,
    cases: pl.DataFrame,
    probes: pl.DataFrame,
    answers: pl.DataFrame | None = None,
) -> Iterator[Tried]:
    """Execute functions on their cases and on the probe texts, some instructions at a time."""
    answers = pl.DataFrame(schema=ANSWER_SCHEMA) if answers is None else answers
    for wrote, known, mended, said in in_parts(candidates, cases, repairs, answers):
        tried = Tried.of(wrote, known, mended, probes, said, quoted_texts)
        runs = verifier_runs(tried.functions, tried.texts(), needs_query)
        yield replace(tried, outcomes=session.run(runs, remember=True))
