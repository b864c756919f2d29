"""Self-instruct: new instructions from the seeds."""

import dagster as dg
import polars as pl

from autoif_assets.method.instructions import augment_instructions, self_instruct_prompts
from autoif_assets.method.recipe import Recipe
from autoif_assets.resources import BatchResource, RoleEndpoint, Supervision
from autoif_assets.stage import accepted, stage
from autoif_assets.warehouse import Warehouse
from autoif_assets.warehouse.batches import content_columns


@stage(
    "augmented_instructions",
    group="instructions",
    reads={"seeds": accepted("seed_instructions", *content_columns("seed_instructions"))},
    # A batch whose queries cannot be read must not pay for instructions first.
    after=["seed_queries"],
)
def augmented_instructions(
    context: dg.AssetExecutionContext,
    seeds: pl.DataFrame,
    supervision: Supervision,
    responder: RoleEndpoint,
    judge: RoleEndpoint,
    auditor: RoleEndpoint,
    nli: RoleEndpoint,
    warehouse: Warehouse,
    recipe: Recipe,
    batch: BatchResource,
) -> pl.DataFrame:
    key = context.partition_key
    seeds = batch.seeds(context, "seed_instructions", seeds)
    # The first that asks: a batch whose judge cannot be used must not pay for the rest.
    others = {"responder": responder, "judge": judge, "auditor": auditor, "nli": nli}
    with supervision.session(context, others) as model:
        completions = model.generate(
            "self_instruct", self_instruct_prompts(seeds, recipe, key), recipe
        )
    # What another batch has is a duplicate here; looked up late, for others run at the same time.
    elsewhere = warehouse.query(
        "SELECT instruction FROM autoif.augmented_instructions"
        " WHERE status = 'accepted' AND batch <> ? ORDER BY instruction",
        [key],
    )
    return model.read(augment_instructions, completions, seeds, elsewhere, recipe, key)
