"""Training data: SFT and KTO examples, and preference pairs at both levels."""

from collections.abc import Callable, Iterator
from functools import partial

import dagster as dg
import polars as pl

from autoif_assets.assets.common import about, accepted, funnel, in_batch, rows, schema, unread
from autoif_assets.automation.partitions import BATCHES
from autoif_assets.method import training
from autoif_assets.method.pairs import PAIR_COLUMNS, gather_pairs, mean_bias, tally_bias
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets.resources import RecipeResource
from autoif_assets.resources.warehouse import WarehouseResource
from autoif_assets.warehouse import Rows

_SCORE = ("response_id", "score", "status")
_LIKELIHOOD = ("response_id", "kept", "ifd")


def _of_responses(*more: str) -> dict[str, dg.AssetIn]:
    """Read all that training data is made of, and of the verdicts some columns more."""
    verdict = ("response_id", "prompt_id", "passed", "pass_rate", "status", "reason", *more)
    return {
        "kept": unread(accepted("filtered_queries", "prompt_id", "instruction_id", "query_id")),
        "prompts": unread(rows("augmented_queries", "prompt_id", "prompt")),
        "texts": unread(accepted("responses", "response_id", "response")),
        "further_texts": unread(accepted("further_responses", "response_id", "response")),
        "verdicts": unread(rows("response_verdicts", *verdict)),
        "scores": unread(rows("response_scores", *_SCORE)),
        "further_verdicts": unread(rows("further_verdicts", *verdict, "origin")),
        "further_scores": unread(rows("further_scores", *_SCORE)),
    }


def _joined(
    kept: pl.DataFrame,
    prompts: pl.DataFrame,
    texts: pl.DataFrame,
    further_texts: pl.DataFrame,
    *judged: pl.DataFrame,
) -> tuple[pl.DataFrame, ...]:
    """Return what ``method.training`` makes rows of, from frames in the order they are read."""
    return kept, prompts, pl.concat([texts, further_texts]), verdicts_with_scores(*judged)


@dg.asset(
    # Likelihoods are read all at once: quantiles are those of the batch.
    ins={**_of_responses(), "likelihoods": rows("response_likelihoods", *_LIKELIHOOD)},
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("sft_examples"),
    metadata=schema("sft_examples"),
)
def sft_examples(
    context: dg.AssetExecutionContext,
    likelihoods: pl.DataFrame,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
    **read: Rows,
) -> dg.MaterializeResult[None]:
    make = partial(training.sft_examples, likelihoods=likelihoods, recipe=recipe.load())
    result = _store(context, warehouse, read, make)
    context.add_output_metadata(funnel(warehouse.open(), "sft_examples", context.partition_key))
    return result


@dg.asset(
    ins=_of_responses(),
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("kto_examples"),
    metadata=schema("kto_examples"),
)
def kto_examples(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, **read: Rows
) -> dg.MaterializeResult[None]:
    return _store(context, warehouse, read, training.kto_examples)


def _store(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    read: dict[str, Rows],
    make: Callable[..., pl.DataFrame],
) -> dg.MaterializeResult[None]:
    batch = context.partition_key
    parts = _parts(context, warehouse, read)
    return warehouse.store(context, (in_batch(make(*_joined(*part)), batch) for part in parts))


def _parts(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    read: dict[str, Rows],
    *more: Rows,
) -> Iterator[tuple[pl.DataFrame, ...]]:
    tables = warehouse.open(context.log.info)
    # In the order in which `_joined` takes them, whatever that of the arguments.
    return tables.read_parts(*(read[name] for name in _of_responses()), *more, on="instruction_id")


@dg.asset(
    ins={
        "instructions": accepted(
            "verified_instructions", "instruction_id", "instruction", "category"
        ),
        "verifiers": accepted("verifiers", "verifier_id"),
        "cases": accepted("verifier_cases", "case_id", "instruction_id", "input", "outcomes"),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("instruction_preference_pairs"),
    metadata=schema("instruction_preference_pairs"),
)
def instruction_preference_pairs(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    recipe: RecipeResource,
) -> pl.DataFrame:
    batch, bias = context.partition_key, _Bias()
    make = partial(training.instruction_pairs, recipe=recipe.load(), batch=batch)
    pairs = bias.of(make, instructions, verifiers, cases)
    context.add_output_metadata(bias.metadata())
    return in_batch(pairs, batch)


@dg.asset(
    ins={
        **_of_responses("outcomes"),
        "instructions": unread(
            accepted("verified_instructions", "instruction_id", "instruction", "category")
        ),
        "likelihoods": unread(rows("response_likelihoods", "response_id", "mean_logprob")),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("query_preference_pairs"),
    metadata=schema("query_preference_pairs"),
)
def query_preference_pairs(
    context: dg.AssetExecutionContext,
    instructions: Rows,
    likelihoods: Rows,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
    **read: Rows,
) -> dg.MaterializeResult[None]:
    batch, bias = context.partition_key, _Bias()
    make = partial(training.query_pairs, recipe=recipe.load(), batch=batch)
    pairs = (
        in_batch(bias.of(make, texts, *_joined(*part), likely), batch)
        for *part, texts, likely in _parts(context, warehouse, read, instructions, likelihoods)
    )
    result = warehouse.store(context, pairs)
    return result._replace(metadata={**(result.metadata or {}), **bias.metadata()})


class _Bias:
    """How much longer and better scored chosen texts are, with lengths as they come and evened."""

    def __init__(self) -> None:
        self._tallies: dict[str, list[pl.DataFrame]] = {"before": [], "after": []}

    def of(self, make: Callable[..., pl.DataFrame], *frames: pl.DataFrame) -> pl.DataFrame:
        """Make pairs with and without evened lengths, note the bias of both, return the first."""
        pairs = make(*frames)
        self._tallies["after"].append(tally_bias(pairs))
        self._tallies["before"].append(tally_bias(make(*frames, even_lengths=False)))
        return pairs

    def metadata(self) -> dict[str, float]:
        """Return ``length_bias/before``, ``length_bias/after`` and the same of scores."""
        return {
            f"{name}/{when}": value
            for when, tallies in self._tallies.items()
            for name, value in mean_bias(tallies).items()
        }


_PAIR = ("pair_id", "instruction_id", "prompt", *PAIR_COLUMNS)


@dg.asset(
    ins={
        "instruction_level": unread(rows("instruction_preference_pairs", *_PAIR)),
        "query_level": unread(rows("query_preference_pairs", "prompt_id", *_PAIR)),
    },
    partitions_def=BATCHES,
    group_name="training",
    kinds={"duckdb", "polars"},
    description=about("preference_pairs"),
    metadata=schema("preference_pairs"),
)
def preference_pairs(
    context: dg.AssetExecutionContext,
    instruction_level: Rows,
    query_level: Rows,
    recipe: RecipeResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult[None]:
    numbers = recipe.load()
    parts = warehouse.open(context.log.info).read_parts(
        instruction_level, query_level, on="instruction_id"
    )
    pairs = (
        gather_pairs([("instruction", instructions), ("query", queries)], numbers)
        for instructions, queries in parts
    )
    return warehouse.store(context, (in_batch(part, context.partition_key) for part in pairs))
