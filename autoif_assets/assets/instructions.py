"""Self-instruct: new instructions from the seeds."""

import dagster as dg
import polars as pl

from autoif_assets.method.categories import (
    category_answer,
    category_prompts,
    parse_categories,
    with_categories,
)
from autoif_assets.method.instructions import (
    augment_instructions,
    categories_wanted,
    self_instruct_prompts,
)
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
    now = categories_wanted(seeds, made_elsewhere(warehouse, key), recipe, key)
    wanted = batch.categories(context, now)
    with supervision.session(context, others) as model:
        prompts = self_instruct_prompts(seeds, recipe, key, wanted)
        completions = model.generate("self_instruct", prompts, recipe)
        rounds: list[pl.DataFrame] = []
        while True:
            # Batches that run side by side would each take all the seeds: whose turn it is looks
            # at what others have, and its own rows are there before the next one looks.
            with warehouse.turn("choosing instructions"):
                elsewhere = made_elsewhere(warehouse, key)
                instructions = model.read(
                    augment_instructions, completions, seeds, elsewhere, recipe, key
                )
                asked = category_prompts(instructions, seeds, recipe)
                if rounds:
                    answers = pl.concat(rounds)
                    asked = asked.join(answers, on="instruction_id", how="anti")
                    categories = model.read(parse_categories, answers, seeds)
                    instructions = with_categories(instructions, categories)
                if asked.is_empty():
                    model.check()  # before anything is stored
                    taken = instructions.with_columns(batch=pl.lit(key))
                    warehouse.write("augmented_instructions", taken, {"batch": key})
                    return instructions
            # Others have theirs meanwhile: what is new after it is asked for in another round.
            schema = category_answer(seeds)
            rounds.append(model.generate("category", asked, recipe, schema=schema))


def made_elsewhere(warehouse: Warehouse, batch: str) -> pl.DataFrame:
    """Return the accepted instructions of all other batches with their categories."""
    return warehouse.query(
        "SELECT instruction, category FROM autoif.augmented_instructions"
        " WHERE status = 'accepted' AND batch <> ? ORDER BY instruction",
        [batch],
    )
