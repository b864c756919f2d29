"""Verifiers and gates against labels that people gave."""

import dagster as dg
import polars as pl

from autoif_assets.inputs import read_labelled
from autoif_assets.method.labelled import (
    ENOUGH,
    IN_USE,
    agreement_by_gate,
    judged_verifiers,
    labelled_texts,
)
from autoif_assets.method.labelled import labelled_agreement as agreement_of
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verifiers import OUTCOME_SCHEMA, verifier_runs
from autoif_assets.resources import Inputs, SandboxResource, add_metadata, markdown_table
from autoif_assets.stage import rows, stage


@stage(
    "labelled_agreement",
    group="verifiers",
    reads={
        "verifiers": rows(
            "verifiers", "verifier_id", "instruction_id", "source", "origin", "reason"
        ),
        "audits": rows("verifier_audits", "verifier_id", "reason"),
    },
)
def labelled_agreement(
    context: dg.AssetExecutionContext,
    verifiers: pl.DataFrame,
    audits: pl.DataFrame,
    inputs: Inputs,
    sandbox: SandboxResource,
    recipe: Recipe,
) -> pl.DataFrame:
    labelled = read_labelled(inputs.labelled)
    texts = labelled_texts(labelled)
    judged = judged_verifiers(verifiers, audits)
    runs = verifier_runs(judged, texts)
    outcomes = pl.DataFrame(schema=dict(OUTCOME_SCHEMA))
    # Where nothing is labelled, nothing is executed.
    if runs.height:
        outcomes = sandbox.run(context, runs, recipe.modules)
    made = agreement_of(judged, texts, outcomes)
    if not labelled.is_empty():
        _say(context, texts, made)
    return made


def _say(context: dg.AssetExecutionContext, texts: pl.DataFrame, made: pl.DataFrame) -> None:
    """Show what the gates did to verifiers that the labels speak of."""
    gates = agreement_by_gate(made)
    used, others = gates.filter(gate=IN_USE), gates.filter(pl.col("gate") != IN_USE)
    of_batch = texts.join(made, on="instruction_id", how="semi")
    few = (
        f"Of {texts.height} labelled responses little can be concluded: take {ENOUGH} or more."
        if texts.height < ENOUGH
        else ""
    )
    if few:
        context.log.warning(few)
    header = ["gate", "verifiers", "agree with all labels", "of these, of both kinds", "agreement"]
    shown = [[*row[:-1], f"{row[-1]:.0%}"] for row in gates.rows()]
    add_metadata(
        context,
        {
            "labelled/rows": texts.height,
            "labelled/rows_of_batch": of_batch.height,
            "labelled/in_use": int(used["verifiers"].sum()),
            "labelled/in_use_wrong": int((used["verifiers"] - used["all_agreed"]).sum()),
            "labelled/wrongly_rejected": int(others["all_agreed"].sum()),
            "labelled/gates": dg.MetadataValue.md(markdown_table(header, shown)),
            **({"labelled/warning": few} if few else {}),
        },
    )
