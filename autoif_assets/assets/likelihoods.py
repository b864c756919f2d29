"""How likely the supervision model finds responses; asked only if the recipe says so."""

import dagster as dg
import polars as pl

from autoif_assets.assets.responses import PROMPTS_AT_ONCE
from autoif_assets.method.likelihoods import likelihood_texts, parse_likelihoods
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets.resources import Supervision
from autoif_assets.stage import Frames, Parts, accepted, rows, stage

_VERDICT = ("response_id", "prompt_id", "instruction_id", "passed", "status", "reason")
_SCORE = ("response_id", "score", "status")


@stage(
    "response_likelihoods",
    group="responses",
    parts={
        "prompts": rows("augmented_queries", "prompt_id", "context", "prompt"),
        "texts": accepted("responses", "response_id", "response"),
        "further_texts": accepted("further_responses", "response_id", "response"),
        "verdicts": rows("response_verdicts", *_VERDICT),
        "scores": rows("response_scores", *_SCORE),
        "further_verdicts": rows("further_verdicts", *_VERDICT, "origin"),
        "further_scores": rows("further_scores", *_SCORE),
    },
    part_rows=PROMPTS_AT_ONCE,
)
def response_likelihoods(
    context: dg.AssetExecutionContext, parts: Parts, supervision: Supervision, recipe: Recipe
) -> Frames:
    if recipe.likelihood_of == "none":
        return
    with supervision.session(context) as model:
        for prompts, texts, further_texts, *known in parts:
            wanted = likelihood_texts(
                pl.concat([texts, further_texts]), verdicts_with_scores(*known), prompts, recipe
            )
            yield parse_likelihoods(model.likelihoods(wanted))
