"""How likely the supervision model finds the judged responses; asked only if the recipe says so."""

import dagster as dg
import polars as pl

from autoif_assets.assets.common import (
    ENDPOINT,
    about,
    accepted,
    in_batch,
    rows,
    schema,
    unread,
)
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method.likelihoods import likelihood_texts, parse_likelihoods
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets.resources import RecipeResource, Supervision
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import TABLES, Rows, empty_frame

# A model stands idle while the last calls of a part end.
_PROMPTS_AT_ONCE = 10_000
_VERDICT = ("response_id", "prompt_id", "instruction_id", "passed", "status", "reason")
_SCORE = ("response_id", "score", "status")


@dg.asset(
    ins={
        "prompts": unread(rows("augmented_queries", "prompt_id", "prompt")),
        "texts": unread(accepted("responses", "response_id", "response")),
        "further_texts": unread(accepted("further_responses", "response_id", "response")),
        "verdicts": unread(rows("response_verdicts", *_VERDICT)),
        "scores": unread(rows("response_scores", *_SCORE)),
        "further_verdicts": unread(rows("further_verdicts", *_VERDICT, "origin")),
        "further_scores": unread(rows("further_scores", *_SCORE)),
    },
    partitions_def=BATCHES,
    group_name="responses",
    kinds={"duckdb", "polars", "openai"},
    description=about("response_likelihoods"),
    metadata=schema("response_likelihoods"),
    pool=ENDPOINT,
)
def response_likelihoods(
    context: dg.AssetExecutionContext,
    prompts: Rows,
    texts: Rows,
    further_texts: Rows,
    verdicts: Rows,
    scores: Rows,
    further_verdicts: Rows,
    further_scores: Rows,
    supervision: Supervision,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, batch = recipe.load(), context.partition_key
    if numbers.likelihood_of == "none":
        return warehouse.store(context, [empty_frame(TABLES["response_likelihoods"])])
    parts = warehouse.open(context.log.info).read_parts(
        *(prompts, texts, further_texts, verdicts, scores, further_verdicts, further_scores),
        on="instruction_id",
        rows=_PROMPTS_AT_ONCE,
    )
    with supervision.session(context) as model:

        def read(
            prompts: pl.DataFrame,
            texts: pl.DataFrame,
            further_texts: pl.DataFrame,
            *judged: pl.DataFrame,
        ) -> pl.DataFrame:
            wanted = likelihood_texts(
                pl.concat([texts, further_texts]), verdicts_with_scores(*judged), prompts, numbers
            )
            return in_batch(parse_likelihoods(model.likelihoods(wanted)), batch)

        return warehouse.store(context, (read(*part) for part in parts))
