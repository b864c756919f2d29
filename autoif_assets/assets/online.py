"""The online loop: a policy's responses to a batch, their verdicts, pairs and scorecard."""

import warnings
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl
from pydantic import Field

from autoif_assets.assets.common import ENDPOINT, about, accepted, rows, schema, unread
from autoif_assets.automation.partitions import POLICIES, ROUNDS, check_policy_name
from autoif_assets.charts import in_markdown, policies_chart
from autoif_assets.datasets import (
    PREFERENCE,
    InstructionSplit,
    eval_instructions,
    write_dataset,
)
from autoif_assets.method import online
from autoif_assets.method.gates import ACCEPTED
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.responses import parse_responses, response_prompts, verify_responses
from autoif_assets.method.verifiers import verifier_runs
from autoif_assets.resources import RecipeResource, RoleEndpoint, SandboxResource, Trainer, keys_of
from autoif_assets.resources.trainer import loss_curve
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import (
    Policy,
    Rows,
    Warehouse,
    find_policy,
    known_policies,
    register_policy,
)

_PROMPTS_AT_ONCE = 10_000
# A warning that they are in beta would greet everybody who loads the definitions.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)
    _OF_BATCH = dg.MultiToSingleDimensionPartitionMapping("batch")
    _OF_POLICY = dg.MultiToSingleDimensionPartitionMapping("policy")


def _of_batch(asset_in: dg.AssetIn) -> dg.AssetIn:
    """Read the rows of the batch, which all policies share."""
    return asset_in._replace(partition_mapping=_OF_BATCH)


def _stamped(frame: pl.DataFrame, keys: dict[str, str]) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value).alias(name) for name, value in keys.items())


def _held_out(tables: Warehouse, numbers: Recipe) -> frozenset[str]:
    """Return the instructions the scorecard keeps: the exports' eval side.

    Instructions that no export holds yet are divided by the same hash.
    """
    examples, pairs = (
        frozenset(tables.read(name, columns=["instruction_id"], where_status=ACCEPTED).to_series())
        for name in ("sft_examples", "preference_pairs")
    )
    every = tables.read("augmented_queries", columns=["instruction_id"]).to_series()
    share, seed = numbers.eval_share, numbers.seed
    others = frozenset(every) - examples - pairs
    return eval_instructions(examples, share, seed, pairs) | eval_instructions(others, share, seed)


@dg.asset(
    ins={
        "prompts": _of_batch(
            unread(rows("augmented_queries", "prompt_id", "instruction_id", "instruction", "query"))
        )
    },
    deps=[
        dg.AssetDep("sft_examples", partition_mapping=_OF_BATCH),
        dg.AssetDep("preference_pairs", partition_mapping=_OF_BATCH),
    ],
    partitions_def=ROUNDS,
    group_name="online",
    kinds={"duckdb", "polars", "openai"},
    pool=ENDPOINT,
    description=about("policy_responses"),
    metadata=schema("policy_responses"),
)
def policy_responses(
    context: dg.AssetExecutionContext,
    prompts: Rows,
    policy: RoleEndpoint,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, keys = recipe.load(), keys_of(context.partition_key)
    tables = warehouse.open(context.log.info)
    try:
        served = find_policy(tables, keys["policy"])
    except ValueError as error:
        raise dg.Failure(str(error)) from None
    held_out = _held_out(tables, numbers)
    parts = tables.read_parts(prompts, on="instruction_id", rows=_PROMPTS_AT_ONCE)
    temperature, max_tokens = numbers.policy_temperature, numbers.response_max_tokens
    with policy.session_of(context, served, temperature, max_tokens) as model:

        def answer(prompts: pl.DataFrame) -> pl.DataFrame:
            completions = model.generate(
                "response",
                response_prompts(prompts),
                numbers,
                samples=numbers.policy_responses_per_prompt,
            )
            return _stamped(online.on_sides(parse_responses(completions), held_out), keys)

        return warehouse.store(context, (answer(*part) for part in parts))


@dg.asset(
    ins={
        "candidates": unread(
            accepted(
                "policy_responses",
                *("response_id", "prompt_id", "instruction_id", "split", "response"),
            )
        ),
        "verifiers": _of_batch(
            unread(accepted("verifiers", "verifier_id", "instruction_id", "source"))
        ),
    },
    partitions_def=ROUNDS,
    group_name="online",
    kinds={"duckdb", "polars", "python"},
    description=about("policy_verdicts"),
    metadata=schema("policy_verdicts"),
)
def policy_verdicts(
    context: dg.AssetExecutionContext,
    candidates: Rows,
    verifiers: Rows,
    sandbox: SandboxResource,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, keys = recipe.load(), keys_of(context.partition_key)
    parts = warehouse.open(context.log.info).read_parts(candidates, verifiers, on="instruction_id")
    with sandbox.session(context) as session:

        def judge(candidates: pl.DataFrame, verifiers: pl.DataFrame) -> pl.DataFrame:
            inputs = candidates.select("instruction_id", input_id="response_id", input="response")
            outcomes = session.run(verifier_runs(verifiers, inputs))
            judged = verify_responses(candidates, outcomes, numbers)
            sides = candidates.select("response_id", "split")
            return _stamped(judged.join(sides, on="response_id", maintain_order="left"), keys)

        return warehouse.store(context, (judge(*part) for part in parts))


@dg.asset(
    ins={
        "prompts": _of_batch(
            unread(
                rows(
                    "augmented_queries",
                    *("prompt_id", "instruction_id", "query_id", "instruction", "prompt"),
                )
            )
        ),
        "texts": unread(accepted("policy_responses", "response_id", "response")),
        "kept": _of_batch(unread(rows("filtered_queries", "prompt_id", "passing", "judged"))),
        "examples": _of_batch(
            unread(
                accepted(
                    "sft_examples",
                    *("prompt_id", "instruction_id", "response_id", "response"),
                    *("pass_rate", "score"),
                )
            )
        ),
        "verdicts": unread(
            rows(
                "policy_verdicts",
                *("response_id", "prompt_id", "split", "passed", "pass_rate", "outcomes"),
                *("status", "reason"),
            )
        ),
    },
    partitions_def=ROUNDS,
    group_name="online",
    kinds={"duckdb", "polars"},
    description=about("online_preference_pairs"),
    metadata=schema("online_preference_pairs"),
)
def online_preference_pairs(
    context: dg.AssetExecutionContext,
    prompts: Rows,
    texts: Rows,
    kept: Rows,
    examples: Rows,
    verdicts: Rows,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers, keys = recipe.load(), keys_of(context.partition_key)
    parts = warehouse.open(context.log.info).read_parts(
        prompts, texts, verdicts, kept, examples, on="instruction_id"
    )
    pair = partial(online.online_pairs, recipe=numbers, batch="/".join(keys.values()))
    return warehouse.store(context, (_stamped(pair(*part), keys) for part in parts))


@dg.asset(
    ins={
        "responses": rows(
            "policy_responses", "prompt_id", "instruction_id", "split", "response_id", "reason"
        ),
        "verdicts": rows("policy_verdicts", "response_id", "split", "status", "reason"),
        "instructions": _of_batch(rows("verified_instructions", "instruction_id", "category")),
    },
    partitions_def=ROUNDS,
    group_name="online",
    kinds={"duckdb", "polars"},
    description=about("policy_scorecard"),
    metadata=schema("policy_scorecard"),
)
def policy_scorecard(
    context: dg.AssetExecutionContext,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    instructions: pl.DataFrame,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> pl.DataFrame:
    keys = keys_of(context.partition_key)
    held_out = pl.col("split") == "eval"
    scores = online.scorecard(
        responses.filter(held_out), verdicts.filter(held_out), instructions, recipe.load()
    )
    card = _stamped(scores, keys)
    tables = warehouse.open(context.log.info)
    others = tables.read("policy_scorecard", {"batch": keys["batch"]})
    cards = pl.concat(
        [others.filter(pl.col("policy") != keys["policy"]), card.select(others.columns)]
    ).filter(pl.col("category") == online.OVERALL)
    order = {policy.policy: place for place, policy in enumerate(known_policies(tables))}
    points = sorted(cards.iter_rows(named=True), key=lambda row: order.get(row["policy"], 0))
    if png := policies_chart(points):
        picture = dg.MetadataValue.md(in_markdown(png, "pass rates of the policies"))
        context.add_output_metadata({"chart/policies": picture})
    return card


@dg.asset(
    deps=[dg.AssetDep("online_preference_pairs", partition_mapping=_OF_POLICY)],
    partitions_def=POLICIES,
    group_name="online",
    kinds={"json", "parquet"},
    description="The online pairs of a policy over all batches as TRL JSONL, ranking JSON and "
    "Parquet; all of it is for training.",
)
def online_preference_dataset(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, recipe: RecipeResource
) -> dg.MaterializeResult[None]:
    tables, numbers = warehouse.open(context.log.info), recipe.load()
    wanted = Rows("online_preference_pairs", None, ACCEPTED, [{"policy": context.partition_key}])
    ids = tables.read(
        wanted.table,
        partitions=wanted.partitions,
        columns=["instruction_id"],
        where_status=wanted.status,
    )
    trained = frozenset(ids.to_series()) - _held_out(tables, numbers)
    split = InstructionSplit(trained, frozenset(), numbers.eval_share, numbers.seed)
    folder = _online_folder(tables, context.partition_key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    parts = (
        part.drop("policy").with_columns(level=pl.lit("query"))
        for (part,) in tables.read_parts(wanted, on="pair_id")
    )
    files = write_dataset(PREFERENCE, parts, folder, split)
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(folder)),
            "rows": max(file.rows for file in files),
        }
    )


def _online_folder(tables: Warehouse, policy: str) -> Path:
    return tables.data_dir / "exports" / "online" / policy.replace("/", "%2F")


class Training(dg.Config):
    """What is trained from the policy of the partition."""

    next_policy: str = Field(description="Name of the policy that comes out, such as dpo-1.")
    data: str = Field(
        default="online",
        description="What it is trained on: sft, preference (offline pairs), or online (the "
        "policy's own pairs).",
    )


_STAGES = {"sft": "sft", "preference": "dpo", "online": "dpo"}


@dg.asset(
    deps=["sft_dataset", "preference_dataset", online_preference_dataset],
    partitions_def=POLICIES,
    group_name="online",
    kinds={"python"},
    description="Optional: the next policy, trained from the policy of the partition by the "
    "trainer's command on an exported dataset.",
)
def policy_checkpoint(
    context: dg.AssetExecutionContext,
    config: Training,
    trainer: Trainer,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    tables = warehouse.open(context.log.info)
    try:
        check_policy_name(config.next_policy)
        previous = find_policy(tables, context.partition_key)
        if config.data not in _STAGES:
            raise ValueError(f"data is {config.data!r}; it is one of {', '.join(_STAGES)}.")
        if config.next_policy == previous.policy:
            raise ValueError("A policy cannot follow itself: give next_policy another name.")
    except ValueError as error:
        raise dg.Failure(str(error)) from None
    dataset = (
        _online_folder(tables, previous.policy)
        if config.data == "online"
        else tables.data_dir / "exports" / config.data
    ).absolute()
    if not dataset.is_dir():
        raise dg.Failure(f"There is no dataset {dataset} yet: materialise the exports first.")
    if not any(file.stat().st_size for file in dataset.glob("*/train.jsonl")):
        raise dg.Failure(
            f"The dataset {dataset} has no rows to train on. Look at the reasons in the tables "
            "behind it, add batches, or turn on spin_pairs for more online pairs."
        )
    # A folder a run: training again does not write over weights that are being served.
    output = (
        tables.data_dir.absolute() / "checkpoints" / config.next_policy / context.run.run_id[:8]
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
    register_policy(tables, policy, retrained=True)
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
