"""`autoif run --dry-run`: what a batch will ask and cost, before it asks."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from autoif_assets.cli.home import open_warehouse
from autoif_assets.cli.output import say
from autoif_assets.cli.pins import plan_of, without_serving
from autoif_assets.inputs import read_seed_instructions, read_seed_queries
from autoif_assets.method.estimate import Yields, estimate
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import Recipe
from autoif_assets.reports.reasons import rejected_because

if TYPE_CHECKING:
    from autoif_assets.endpoint import EndpointSettings

# The resource whose endpoint is asked in each role.
_ENDPOINTS = {
    "self_instruct": "supervision",
    "category": "supervision",
    "verifier": "supervision",
    "boundary_cases": "supervision",
    "repair": "supervision",
    "audit": "auditor",
    "back_translation": "supervision",
    "nli": "nli",
    "response": "responder",
    "near_miss": "responder",
    "score": "judge",
    "likelihood": "supervision",
}

# Calls for likelihoods hold more than their prompt: the text that is read.
_SHARES = """
WITH first AS (
    SELECT v.batch, v.prompt_id,
        bool_or(v.status = 'accepted' AND s.status = 'accepted') AS good,
        bool_or(v.status = 'accepted') AS passing,
        count(*) FILTER (v.reason = 'low_pass_rate' AND v.passed = 0) AS failing
    FROM autoif.response_verdicts v
    LEFT JOIN autoif.response_scores s USING (batch, response_id)
    GROUP BY v.batch, v.prompt_id
)
SELECT
    (SELECT count(*) FILTER (status = 'accepted') / count(*) FROM autoif.augmented_instructions
        WHERE origin = 'self_instruct' AND reason IS DISTINCT FROM 'over_limit') AS rewrites,
    (SELECT count(*) FROM autoif.verifiers WHERE status = 'accepted')
        / (SELECT count(*) FROM autoif.verifier_candidates) AS verifiers,
    (SELECT count(*) FILTER (status = 'accepted') / count(*) FROM autoif.verified_instructions)
        AS verified,
    (SELECT count(*) FROM autoif.response_verdicts WHERE status = 'accepted')
        / (SELECT count(*) FROM autoif.responses) AS passing,
    (SELECT count(*) FILTER (good AND failing = 0) / count(*) FROM first) AS all_good,
    (SELECT count(*) FILTER (failing > 0 AND NOT passing) / count(*) FROM first) AS all_failing,
    (SELECT sum(failing) FROM first) / (SELECT count(*) FROM autoif.responses) AS failing,
    (SELECT count(*) FROM autoif.further_scores) / (SELECT count(*) FROM autoif.further_responses)
        AS useful,
    (SELECT sum(length(prompt)) / sum(prompt_tokens) FROM autoif.llm_calls
        WHERE prompt_tokens IS NOT NULL AND asset <> 'response_likelihoods') AS chars_per_token
"""
# Self-instruct writes many instructions in a completion; what is counted is one of them.
_TOKENS = """
SELECT role, sum(completion_tokens) / if(role = 'self_instruct',
    (SELECT count(*) FROM autoif.augmented_instructions WHERE origin = 'self_instruct'),
    sum(len(completions))) AS tokens
FROM (
    SELECT *, CASE asset
        WHEN 'augmented_instructions' THEN
            if(request ->> '$.schema' IS NULL, 'self_instruct', 'category')
        WHEN 'verifier_generation' THEN
            if(contains(request ->> '$.schema', '"func"'), 'verifier', 'boundary_cases')
        WHEN 'verifier_repairs' THEN 'repair'
        WHEN 'auditor_answers' THEN 'audit'
        WHEN 'back_translations' THEN
            if(request ->> '$.schema' IS NULL, 'back_translation', 'nli')
        WHEN 'responses' THEN 'response'
        WHEN 'response_scores' THEN 'score'
    END AS role
    FROM autoif.llm_calls
)
WHERE role IS NOT NULL AND completion_tokens IS NOT NULL
GROUP BY role
"""


def measured_yields() -> tuple[Yields, list[str]]:
    """Return the yields of the batches in the data folder, and the names of those it lacks.

    What no batch has measured keeps its assumed value.
    """
    assumed = Yields()
    warehouse = open_warehouse()
    shares: dict[str, Any] = {}
    tokens: dict[str, float] = {}
    if warehouse.exists:
        # Nothing divided by nothing is NaN.
        found = warehouse.query(_SHARES).fill_nan(None).row(0, named=True)
        shares = {name: value for name, value in found.items() if value is not None}
        per_role = warehouse.query(_TOKENS).fill_nan(None).drop_nulls()
        tokens = dict(per_role.filter(pl.col("tokens").is_finite()).iter_rows())
    lacking = [
        name for name in ("rewrites", "verifiers", "verified", "passing") if name not in shares
    ]
    lacking += [f"{role} tokens" for role in assumed.completion_tokens if role not in tokens]
    lacking += [] if "chars_per_token" in shares else ["characters per token"]
    completion_tokens = {**assumed.completion_tokens, **tokens}
    return replace(assumed, **shares, completion_tokens=completion_tokens), lacking


def print_estimate(batch: str, config: Mapping[str, Any]) -> None:
    """Print the requests, tokens and cost that a batch is expected to take; nothing is sent.

    Args:
        batch: Key of the batch.
        config: The run's configuration of the resources.
    """
    open_warehouse().check_not_lost()
    table, endpoints, _, yields, lacking = _estimated(batch, config)
    _, held = _known(batch)

    _print_table(table, endpoints)
    say(
        "\nA request brings all completions of its prompt (n); a server that refuses n gets one "
        "request a completion and reads the prompt as often. `at most`: every completion as long "
        "as max_tokens allows. Prompts that the server has cached may cost less."
    )
    idle = {f"{role} tokens" for role in table.filter(requests=0)["role"]}
    if lacking := [name for name in lacking if name not in idle]:
        say(f"Assumed, since no batch here has measured it: {', '.join(lacking)}.")
    say(
        f"Yields: {yields.rewrites:.0%} of the rewrites accepted, {yields.verifiers:.0%} of the "
        f"verifiers, {yields.verified:.0%} of the instructions verified, {yields.passing:.0%} of "
        f"the responses judged; {yields.chars_per_token:.1f} characters a token."
    )
    if held:
        say(f"{held} calls of batch {batch!r} are there already and are not asked again.")
    say("Nothing was sent.")


def expected_tokens(batch: str, config: Mapping[str, Any]) -> dict[str, float]:
    """Return the tokens that a batch's models are expected to write, by asset.

    Args:
        batch: Key of the batch.
        config: The run's configuration of the resources.
    """
    table, _, recipe, *_ = _estimated(batch, config)
    tokens = dict(table.select("role", "completion_tokens").iter_rows())
    # Texts that verifiers are tried on are asked for as responses are, and before them.
    obeying = recipe.obeying_probes_per_instruction
    sampled = recipe.queries_per_instruction * recipe.responses_per_prompt
    tried = tokens["response"] * obeying / (obeying + sampled)
    return {
        "augmented_instructions": tokens["self_instruct"] + tokens["category"],
        "verifier_generation": tokens["verifier"] + tokens["boundary_cases"],
        "probe_texts": tried + tokens["near_miss"],
        "verifier_repairs": tokens["repair"],
        "auditor_answers": tokens["audit"],
        "back_translations": tokens["back_translation"] + tokens["nli"],
        "responses": tokens["response"] - tried,
        "response_scores": tokens["score"],
        "response_likelihoods": tokens["likelihood"],
    }


def _estimated(
    batch: str, config: Mapping[str, Any]
) -> tuple[pl.DataFrame, dict[str, "EndpointSettings"], Recipe, Yields, list[str]]:
    """Return the estimate of a batch, whom it asks, by which recipe, and what it was told by."""
    import dagster as dg

    from autoif_assets.resources import configured_resources, recipe_of

    plan = plan_of(batch, config)
    if plan.refusal is not None:
        raise click.ClickException(plan.refusal)
    yields, lacking = measured_yields()
    elsewhere, _ = _known(batch)
    with dg.build_resources(
        configured_resources(), resource_config=without_serving(config)
    ) as resources:
        endpoints = {role: getattr(resources, name).settings() for role, name in _ENDPOINTS.items()}
        recipe = _with_limits_of(endpoints, recipe_of(plan.batch))
        inputs = resources.inputs
        static_check = partial(resources.sandbox.static_check, modules=recipe.modules)
        seeds = _used("seed_instructions", read_seed_instructions(inputs.seeds, static_check))
        queries = _used(
            "seed_queries",
            read_seed_queries(
                inputs.queries,
                inputs.queries_column,
                recipe.query_min_chars,
                recipe.query_max_chars,
                keep=recipe.conversations == "keep",
            ),
        )
        local_nli = resources.nli.by == "transformers"
    # A seed that another batch carries is not carried again.
    fresh = seeds.filter(~pl.col("instruction_id").is_in(elsewhere.implode())).height
    table = estimate(recipe, seeds, fresh, queries, yields, nli=not local_nli)
    return table, endpoints, recipe, yields, lacking


def _used(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the accepted rows of an input, and say why others are not used."""
    used = rows.filter(status="accepted")
    if why := rejected_because(rows):
        unused = rows.height - used.height
        say(f"{table}: {unused} of {rows.height} rows are not used: {why}.", err=True)
    return used


def _with_limits_of(endpoints: Mapping[str, "EndpointSettings"], recipe: Recipe) -> Recipe:
    """Return the recipe with the limits of tokens that a run would send: the endpoints' first.

    Tokens for thoughts are in them, as far as they are set.
    """
    limits = {}
    for role, settings in endpoints.items():
        if role in PROMPTS:
            name = f"{role}_max_tokens"
            answer = settings.max_tokens or getattr(recipe, name)
            limits[name] = answer + (settings.thinking_tokens or 0)
    return recipe.model_copy(update=limits)


def _print_table(estimated: pl.DataFrame, endpoints: Mapping[str, "EndpointSettings"]) -> None:
    """Print the counts of each role with what they cost at the prices of its endpoint, and sums.

    Args:
        estimated: From `estimate`.
        endpoints: Role → the endpoint that is asked.
    """
    say(
        f"{'':<18}{'model':<24}{'requests':>10}{'completions':>13}{'prompt tokens':>15}"
        f"{'completion tokens':>19}{'at most':>13}{'cost':>10}{'cost at most':>14}"
    )
    sums = [0.0] * 7
    for role, *counts in estimated.iter_rows():
        settings = endpoints[role]
        requests, completions, prompt, completion, most = counts
        # As many as expected, and as many as the limits allow: what the prompts cost is the same.
        costs = [
            (prompt * settings.price_prompt + tokens * settings.price_completion) / 1e6
            for tokens in (completion, most)
        ]
        row = [requests, completions, prompt, completion, most, *costs]
        sums = [total + value for total, value in zip(sums, row, strict=True)]
        _print_row(role, settings.model, row)
    _print_row("all", "", sums)


def _print_row(role: str, model: str, row: list[float]) -> None:
    requests, completions, prompt, completion, most, cost, most_cost = row
    say(
        f"{role:<18}{model[:23]:<24}{requests:>10,.0f}{completions:>13,.0f}{prompt:>15,.0f}"
        f"{completion:>19,.0f}{most:>13,.0f}{cost:>10,.2f}{most_cost:>14,.2f}"
    )


def _known(batch: str) -> tuple[pl.Series, int]:
    """Return the ids of instructions that other batches carry, and the calls of this one."""
    warehouse = open_warehouse()
    if not warehouse.exists:
        return pl.Series(dtype=pl.String), 0
    elsewhere = warehouse.query(
        "SELECT instruction_id FROM autoif.augmented_instructions"
        " WHERE status = 'accepted' AND batch <> ?",
        [batch],
    )
    held = warehouse.query("SELECT count(*) FROM autoif.llm_calls WHERE batch = ?", [batch])
    return elsewhere["instruction_id"], int(held.item())
