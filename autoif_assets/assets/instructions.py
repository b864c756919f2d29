"""Self-instruct: new instructions from the seeds."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import ENDPOINT, about, accepted, in_batch, schema
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method.instructions import augment_instructions, self_instruct_prompts
from autoif_assets.resources import RecipeResource, Supervision
from autoif_assets.resources.warehouse import WarehouseResource


@dg.asset(
    ins={"seeds": accepted("seed_instructions", "instruction_id", "instruction", "category")},
    # A batch whose queries cannot be read must not pay for instructions first.
    deps=["seed_queries"],
    partitions_def=BATCHES,
    group_name="instructions",
    kinds={"duckdb", "polars", "openai"},
    description=about("augmented_instructions"),
    metadata=schema("augmented_instructions"),
    pool=ENDPOINT,
)
def augmented_instructions(
    context: dg.AssetExecutionContext,
    seeds: pl.DataFrame,
    supervision: Supervision,
    warehouse: WarehouseResource,
    recipe: RecipeResource,
) -> pl.DataFrame:
    batch, numbers = context.partition_key, recipe.load()
    with supervision.session(context) as model:
        completions = model.generate(
            "self_instruct", self_instruct_prompts(seeds, numbers, batch), numbers
        )
    elsewhere = warehouse.open().query(
        "SELECT instruction FROM autoif.augmented_instructions"
        " WHERE status = 'accepted' AND batch <> ? ORDER BY instruction",
        [batch],
    )
    return in_batch(augment_instructions(completions, seeds, elsewhere, numbers, batch), batch)
