"""Running verifiers and a judge over responses, whichever table they are in."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from autoif_assets.assets.common import in_batch
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.responses import parse_scores, score_prompts, to_score
from autoif_assets.method.verifiers import verifier_runs
from autoif_assets.resources import RecipeResource, RoleEndpoint, SandboxResource
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import Rows


def store_verdicts(
    context: dg.AssetExecutionContext,
    candidates: Rows,
    verifiers: Rows,
    sandbox: SandboxResource,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
    judge: Callable[[pl.DataFrame, pl.DataFrame, Recipe], pl.DataFrame],
) -> dg.MaterializeResult[None]:
    """Execute the verifiers on responses, part by part, and store what ``judge`` makes of it.

    Args:
        context: The asset that runs.
        candidates: ``response_id``, ``prompt_id``, ``instruction_id``, ``response``, …
        verifiers: ``verifier_id``, ``instruction_id``, ``source``.
        sandbox: Where they are executed.
        recipe: The numbers.
        warehouse: What is read and written.
        judge: From responses, outcomes and numbers to the rows of the table, without ``batch``.
    """
    numbers, batch = recipe.load(), context.partition_key
    parts = warehouse.open(context.log.info).read_parts(candidates, verifiers, on="instruction_id")
    with sandbox.session(context) as session:

        def verdicts(candidates: pl.DataFrame, verifiers: pl.DataFrame) -> pl.DataFrame:
            inputs = candidates.select("instruction_id", input_id="response_id", input="response")
            outcomes = session.run(verifier_runs(verifiers, inputs))
            return in_batch(judge(candidates, outcomes, numbers), batch)

        return warehouse.store(context, (verdicts(*part) for part in parts))


def store_scores(
    context: dg.AssetExecutionContext,
    verdicts: Rows,
    candidates: Rows,
    prompts: Rows,
    judge: RoleEndpoint,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    """Have the judge score responses, part by part, and store its scores.

    Args:
        context: The asset that runs.
        verdicts: ``response_id``, ``passed``, ``status``, ``reason``, perhaps ``origin``.
        candidates: ``response_id``, ``prompt_id``, ``response``.
        prompts: ``prompt_id``, ``instruction_id``, ``instruction``, ``query``.
        judge: Whom to ask.
        recipe: The numbers.
        warehouse: What is read and written.
    """
    numbers, batch = recipe.load(), context.partition_key
    parts = warehouse.open(context.log.info).read_parts(
        verdicts, candidates, prompts, on="instruction_id"
    )
    with judge.session(context) as model:

        def score(
            verdicts: pl.DataFrame, candidates: pl.DataFrame, prompts: pl.DataFrame
        ) -> pl.DataFrame:
            wanted = to_score(candidates, verdicts, numbers)
            completions = model.generate("score", score_prompts(wanted, prompts), numbers)
            failing = wanted.filter("failing")["response_id"]
            scores = parse_scores(completions, numbers, failing)
            if "origin" in verdicts.columns:
                origins = verdicts.select("response_id", "origin")
                scores = scores.join(origins, on="response_id", maintain_order="left")
            return in_batch(scores, batch)

        return warehouse.store(context, (score(*part) for part in parts))
