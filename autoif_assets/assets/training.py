"""Training data: SFT and KTO examples, and preference pairs at both levels."""

from collections.abc import Callable
from functools import partial

import dagster as dg
import polars as pl

from autoif_assets.assets.reports import funnel
from autoif_assets.assets.sides import read_sides
from autoif_assets.checks import dominance, even_lengths, pass_again
from autoif_assets.method import training
from autoif_assets.method.pairs import (
    PAIR_COLUMNS,
    gather_pairs,
    instruction_pairs,
    mean_bias,
    query_pairs,
    tally_bias,
)
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets.method.rl import rl_prompts as make_rl_prompts
from autoif_assets.resources import BatchResource, add_metadata
from autoif_assets.stage import Frames, Parts, accepted, rows, stage
from autoif_assets.warehouse import Rows, Warehouse

_SCORE = ("response_id", "score", "status")
# What is chosen passes, what is rejected passes nothing.
_PAIR_PASSES = {"chosen": "true", "rejected": "false"}


def _of_responses(*more: str) -> dict[str, Rows]:
    """Read all that training data is made of, and of the verdicts some columns more.

    `_joined` takes the frames in this order.
    """
    verdict = ("response_id", "prompt_id", "passed", "pass_rate", "status", "reason", *more)
    return {
        "kept": accepted("filtered_queries", "prompt_id", "instruction_id", "query_id"),
        "prompts": rows("augmented_queries", "prompt_id", "context", "prompt"),
        "texts": accepted("responses", "response_id", "response"),
        "further_texts": accepted("further_responses", "response_id", "response"),
        "verdicts": rows("response_verdicts", *verdict),
        "scores": rows("response_scores", *_SCORE),
        "further_verdicts": rows("further_verdicts", *verdict, "origin"),
        "further_scores": rows("further_scores", *_SCORE),
    }


def _joined(
    kept: pl.DataFrame,
    prompts: pl.DataFrame,
    texts: pl.DataFrame,
    further_texts: pl.DataFrame,
    *verdicts_and_scores: pl.DataFrame,
) -> tuple[pl.DataFrame, ...]:
    """Return what examples and pairs are made of, from frames in the order they are read."""
    known = verdicts_with_scores(*verdicts_and_scores)
    return kept, prompts, pl.concat([texts, further_texts]), known


@stage(
    "sft_examples",
    group="training",
    # Likelihoods are read all at once: quantiles are those of the batch.
    reads={"likelihoods": rows("response_likelihoods", "response_id", "kept", "ifd")},
    parts=_of_responses(),
    checks=[dominance, pass_again({"response": "true"}, "response_pass_rate")],
    shows=lambda warehouse, keys: funnel(warehouse, "sft_examples", keys["batch"]),
)
def sft_examples(parts: Parts, likelihoods: pl.DataFrame, recipe: Recipe) -> Frames:
    make = partial(training.sft_examples, likelihoods=likelihoods, recipe=recipe)
    for part in parts:
        yield make(*_joined(*part))


@stage(
    "kto_examples",
    group="training",
    parts=_of_responses(),
    checks=[dominance, pass_again({"completion": "label"}, "response_pass_rate")],
)
def kto_examples(parts: Parts) -> Frames:
    for part in parts:
        yield training.kto_examples(*_joined(*part))


@stage(
    "instruction_preference_pairs",
    group="training",
    reads={
        "instructions": accepted(
            "verified_instructions", "instruction_id", "instruction", "category"
        ),
        "verifiers": accepted("verifier_audits", "verifier_id"),
        "cases": accepted(
            "verifier_cases", "case_id", "instruction_id", "input", "query", "outcomes"
        ),
    },
    checks=[pass_again(_PAIR_PASSES, "chosen_pass_rate")],
)
def instruction_preference_pairs(
    context: dg.AssetExecutionContext,
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    bias = _Bias()
    make = partial(instruction_pairs, recipe=recipe, batch=context.partition_key)
    # A case that answers a query answers no prompt that is the instruction alone.
    cases = cases.filter(pl.col("query").is_null())
    pairs = bias.of(make, instructions, verifiers, cases)
    add_metadata(context, bias.metadata())
    return pairs


@stage(
    "query_preference_pairs",
    group="training",
    parts={
        **_of_responses("outcomes"),
        "instructions": accepted(
            "verified_instructions", "instruction_id", "instruction", "category"
        ),
        "likelihoods": rows("response_likelihoods", "response_id", "mean_logprob"),
    },
    checks=[pass_again(_PAIR_PASSES, "chosen_pass_rate")],
)
def query_preference_pairs(
    context: dg.AssetExecutionContext, parts: Parts, recipe: Recipe
) -> Frames:
    bias = _Bias()
    make = partial(query_pairs, recipe=recipe, batch=context.partition_key)
    for *part, instructions, likelihoods in parts:
        yield bias.of(make, instructions, *_joined(*part), likelihoods)
    add_metadata(context, bias.metadata())


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


@stage(
    "preference_pairs",
    group="training",
    parts={
        "instruction_level": rows("instruction_preference_pairs", *_PAIR),
        "query_level": rows("query_preference_pairs", "prompt_id", "context", *_PAIR),
    },
    checks=[dominance, even_lengths],
)
def preference_pairs(parts: Parts, recipe: Recipe) -> Frames:
    for instructions, queries in parts:
        yield gather_pairs([("instruction", instructions), ("query", queries)], recipe)


@stage(
    "rl_prompts",
    group="training",
    parts={
        "prompts": rows(
            "augmented_queries",
            *("prompt_id", "instruction_id", "query_id", "query", "context", "prompt"),
        ),
        "counted": rows("filtered_queries", "prompt_id", "judged", "passing"),
        "instructions": accepted("verified_instructions", "instruction_id", "base_rate"),
    },
    # What they hold decides what is held out.
    after=["sft_examples", "preference_pairs"],
)
def rl_prompts(parts: Parts, warehouse: Warehouse, recipe: Recipe, batch: BatchResource) -> Frames:
    # As the exports divide, whatever the batch is pinned to.
    sides, _ = read_sides(warehouse, batch.recipe.load())
    for prompts, counted, instructions in parts:
        yield make_rl_prompts(prompts, counted, instructions, sides, recipe)
