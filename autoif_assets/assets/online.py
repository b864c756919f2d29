"""The online loop: a policy's responses to a batch, their verdicts, pairs and scorecard."""

from functools import partial

import dagster as dg
import polars as pl
from pydantic import Field

from autoif_assets.assets.cards import about_batches
from autoif_assets.assets.described import described
from autoif_assets.assets.exports import fitting, share_export
from autoif_assets.assets.responses import ASKED, PROMPTS, PROMPTS_AT_ONCE, VERIFIERS, executed
from autoif_assets.assets.sides import read_sides
from autoif_assets.automation.partitions import POLICIES, check_new_keys
from autoif_assets.charts import in_markdown, policies_chart
from autoif_assets.datasets import PREFERENCE, DatasetSplit, write_dataset
from autoif_assets.method import online
from autoif_assets.method.gates import ACCEPTED
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.responses import response_prompts
from autoif_assets.resources import (
    BatchResource,
    RoleEndpoint,
    SandboxResource,
    Trainer,
    add_metadata,
    keys_of,
)
from autoif_assets.resources.storage import exported
from autoif_assets.resources.trainer import loss_curve
from autoif_assets.stage import Frames, Parts, accepted, rows, stage
from autoif_assets.warehouse import (
    Policy,
    Rows,
    Warehouse,
    excluded_batches,
    find_policy,
    known_policies,
    register_policy,
)


@stage(
    "policy_responses",
    group="online",
    parts={"prompts": PROMPTS},
    part_rows=PROMPTS_AT_ONCE,
    # What they hold decides what is held out.
    after=["sft_examples", "preference_pairs"],
)
def policy_responses(
    context: dg.AssetExecutionContext,
    parts: Parts,
    policy: RoleEndpoint,
    recipe: Recipe,
    warehouse: Warehouse,
    batch: BatchResource,
) -> Frames:
    try:
        served = find_policy(warehouse, keys_of(context.partition_key)["policy"])
    except ValueError as error:
        raise dg.Failure(str(error)) from None
    # As the exports divide, whatever the batch is pinned to.
    sides, _ = read_sides(warehouse, batch.recipe.load())
    with policy.session_of(context, served) as model:
        for (prompts,) in parts:
            completions = model.generate(
                "response",
                response_prompts(prompts, recipe),
                recipe,
                samples=recipe.policy_responses_per_prompt,
                temperature=recipe.policy_temperature,
            )
            yield model.read(online.policy_responses, completions, sides)


@stage(
    "policy_verdicts",
    group="online",
    parts={
        "candidates": accepted(
            "policy_responses",
            *("response_id", "prompt_id", "instruction_id", "split", "response"),
        ),
        "verifiers": VERIFIERS,
        "asked": ASKED,
    },
)
def policy_verdicts(
    context: dg.AssetExecutionContext, parts: Parts, sandbox: SandboxResource, recipe: Recipe
) -> Frames:
    yield from executed(context, parts, sandbox, recipe, online.policy_verdicts)


@stage(
    "online_preference_pairs",
    group="online",
    parts={
        "prompts": rows(
            "augmented_queries",
            *("prompt_id", "instruction_id", "query_id", "instruction", "context", "prompt"),
        ),
        "texts": accepted("policy_responses", "response_id", "response"),
        "verdicts": rows(
            "policy_verdicts",
            *("response_id", "prompt_id", "split", "passed", "pass_rate", "outcomes"),
            *("status", "reason"),
        ),
        "kept": rows("filtered_queries", "prompt_id", "passing", "judged"),
        "examples": accepted(
            "sft_examples",
            *("prompt_id", "instruction_id", "response_id", "response"),
            *("pass_rate", "score"),
        ),
    },
)
def online_preference_pairs(
    context: dg.AssetExecutionContext, parts: Parts, recipe: Recipe
) -> Frames:
    keys = keys_of(context.partition_key)
    pair = partial(online.online_pairs, recipe=recipe, batch="/".join(keys.values()))
    for part in parts:
        yield pair(*part)


@stage(
    "policy_scorecard",
    group="online",
    reads={
        "responses": rows(
            "policy_responses", "prompt_id", "instruction_id", "split", "response_id", "reason"
        ),
        "verdicts": rows("policy_verdicts", "response_id", "split", "status", "reason"),
        "instructions": rows("verified_instructions", "instruction_id", "category"),
    },
)
def policy_scorecard(
    context: dg.AssetExecutionContext,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    instructions: pl.DataFrame,
    recipe: Recipe,
    warehouse: Warehouse,
) -> pl.DataFrame:
    held_out = pl.col("split") == "eval"
    card = online.scorecard(
        responses.filter(held_out), verdicts.filter(held_out), instructions, recipe
    )
    keys = keys_of(context.partition_key)
    if chart := policies_chart(_points(card, keys, warehouse)):
        picture = dg.MetadataValue.md(in_markdown(chart, "pass rates of the policies"))
        add_metadata(context, {"chart/policies": picture})
    return card


def _points(
    card: pl.DataFrame, keys: dict[str, str], warehouse: Warehouse
) -> list[dict[str, object]]:
    """Return the overall scores of all policies on a batch, in the order they were registered."""
    stored = warehouse.read("policy_scorecard", {"batch": keys["batch"]})
    others = stored.filter(pl.col("policy") != keys["policy"])
    own = card.with_columns(pl.lit(value).alias(name) for name, value in keys.items())
    overall = pl.concat([others, own.select(others.columns)]).filter(category=online.OVERALL)
    order = {policy.policy: place for place, policy in enumerate(known_policies(warehouse))}
    return sorted(overall.iter_rows(named=True), key=lambda row: order.get(row["policy"], 0))


@stage(
    group="online",
    kinds={"json", "parquet"},
    description="The online pairs of a policy over all batches as TRL JSONL, ranking JSON and "
    "Parquet; all of it is for training.",
    partitions=POLICIES,
    after=["online_preference_pairs"],
)
def online_preference_dataset(
    context: dg.AssetExecutionContext, warehouse: Warehouse, recipe: Recipe
) -> dg.MaterializeResult[None]:
    # Read here: to name them, Dagster would list the policy's rounds with every batch there is.
    policy = {"policy": context.partition_key}
    excluded = set(excluded_batches(warehouse))
    held = warehouse.read("online_preference_pairs", policy, columns=["batch"])["batch"].unique()
    rounds = [{"batch": batch, **policy} for batch in held if batch not in excluded]
    wanted = Rows("online_preference_pairs", None, ACCEPTED, rounds)
    ids = warehouse.read(
        wanted.table,
        partitions=wanted.partitions,
        columns=["instruction_id"],
        where_status=wanted.status,
    )
    sides, _ = read_sides(warehouse, recipe)
    trained = frozenset(ids.to_series()) - sides.held_out
    split = DatasetSplit(trained, sides, recipe.eval_share, recipe.seed)
    name = _online(context.partition_key)
    folder = warehouse.data_dir / "exports" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    pairs = (
        part.drop("policy").with_columns(level=pl.lit("query"))
        for (part,) in warehouse.read_parts(wanted, on=PREFERENCE.id)
    )
    model = find_policy(warehouse, context.partition_key).model
    frames = described(pairs, warehouse, policy=model)
    kind = fitting(PREFERENCE, wanted, warehouse)
    with warehouse.turn(f"the export {name}"):
        export = write_dataset(kind, frames, folder, split, about=about_batches(warehouse))
        share_export(warehouse, name)
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(folder)),
            "rows": max(file.rows for file in export.files),
        }
    )


def _online(policy: str) -> str:
    return f"online/{policy.replace('/', '%2F')}"


class Training(dg.Config):
    """What is trained from the policy of the partition."""

    next_policy: str = Field(description="Name of the policy that comes out, such as dpo-1.")
    data: str = Field(
        default="online",
        description="What it is trained on: sft, preference (offline pairs), online (the policy's "
        "own pairs), or reward (prompts whose answers verifiers reward).",
    )


_STAGES = {"sft": "sft", "preference": "dpo", "online": "dpo", "reward": "grpo"}


@stage(
    group="online",
    kinds={"python"},
    description="Optional: the next policy, trained from the policy of the partition by the "
    "trainer's command on an exported dataset.",
    partitions=POLICIES,
    after=["sft_dataset", "preference_dataset", "reward_dataset", "online_preference_dataset"],
)
def policy_checkpoint(
    context: dg.AssetExecutionContext, config: Training, trainer: Trainer, warehouse: Warehouse
) -> dg.MaterializeResult[None]:
    try:
        check_new_keys(str(POLICIES.name), [config.next_policy])
        previous = find_policy(warehouse, context.partition_key)
        if config.data not in _STAGES:
            raise ValueError(f"data is {config.data!r}; it is one of {', '.join(_STAGES)}.")
        if config.next_policy == previous.policy:
            raise ValueError("A policy cannot follow itself: give next_policy another name.")
    except ValueError as error:
        raise dg.Failure(str(error)) from None
    name = _online(previous.policy) if config.data == "online" else config.data
    dataset = exported(warehouse, name).absolute()
    if not dataset.is_dir():
        raise dg.Failure(f"There is no dataset {dataset} yet: materialise the exports first.")
    if not any(file.stat().st_size for file in dataset.glob("*/train.jsonl")):
        raise dg.Failure(
            f"The dataset {dataset} has no rows to train on. Look at the reasons in the tables "
            "behind it, add batches, or turn on spin_pairs for more online pairs."
        )
    # A folder a run: training again does not write over weights that are being served.
    output = (
        warehouse.data_dir.absolute() / "checkpoints" / config.next_policy / context.run.run_id[:8]
    )
    output.mkdir(parents=True, exist_ok=True)
    places = {
        "stage": _STAGES[config.data],
        "dataset": str(dataset),
        "previous": previous.checkpoint or previous.model,
        "output": str(output),
    }
    checkpoint, reported = trainer.train(context, places)
    policy = Policy(
        config.next_policy,
        model=config.next_policy,
        base_url=trainer.base_url or previous.base_url,
        api_key_variable=previous.api_key_variable,
        checkpoint=str(checkpoint.absolute()),
        parent=previous.policy,
    )
    register_policy(warehouse, policy, retrained=True)
    context.instance.add_dynamic_partitions(str(POLICIES.name), [config.next_policy])
    losses = loss_curve(checkpoint)
    curve = "\n".join(f"| {step} | {loss:g} |" for step, loss in losses)
    return dg.MaterializeResult(
        metadata={
            **reported,
            "checkpoint": dg.MetadataValue.path(str(checkpoint)),
            "dataset": dg.MetadataValue.path(str(dataset)),
            "next_policy": config.next_policy,
            **(
                {
                    "loss": dg.MetadataValue.md(f"| step | loss |\n|---|---|\n{curve}"),
                    "last_loss": losses[-1][1],
                }
                if losses
                else {}
            ),
        }
    )
