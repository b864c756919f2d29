"""The judge by variant of its prompt: whether it tells an answer from one to another query."""

import math
import tempfile
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from autoif_assets.endpoint import Request
from autoif_assets.method.completions import NO_SAMPLE
from autoif_assets.method.gates import ACCEPTED, accepted
from autoif_assets.method.ids import derived_seed
from autoif_assets.method.recipe import PAPER, Recipe
from autoif_assets.method.responses import parse_scores
from autoif_assets_tests.benchmarks.prompts.asking import Asker
from autoif_assets_tests.benchmarks.prompts.intervals import (
    DIFFERENCE,
    FRACTION,
    NUMBER,
    PERCENT,
    Draws,
    shown,
)
from autoif_assets_tests.benchmarks.prompts.variants import Variant, packaged
from autoif_assets_tests.recorded.recording import REAL, read_recording, unpack

COLUMNS = (
    "variant",
    "AUC",
    "AUC, more than packaged",
    "kept, own query",
    "kept, other query",
    "unreadable",
    "tokens a judgement",
)
OWN, OTHER = "own", "other"

Row = dict[str, Any]


def recorded_responses(data: Path) -> pl.DataFrame | None:
    """Return a real model's responses, or None where they are not at hand.

    Args:
        data: The folder ``../shared/data``.

    Returns:
        ``prompt_id``, ``instruction``, ``query``, ``response``.
    """
    if not (data / REAL).is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        recording = read_recording(unpack(data / REAL, Path(folder)), PAPER)
    return accepted(recording.responses).select("prompt_id", "instruction", "query", "response")


def judgements(responses: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """Put responses beside their own query and beside another one, which they do not answer.

    Args:
        responses: ``prompt_id``, ``instruction``, ``query``, ``response``.
        count: Responses; of as many prompts as can be.
        seed: Of what is drawn.

    Returns:
        ``prompt_id``, ``beside`` (own, other), ``instruction``, ``query``, ``response``; two rows
        a response.
    """
    rng = Random(seed)
    by_prompt = [
        rng.sample(group.rows(named=True), group.height)
        for _, group in responses.sort("prompt_id", "response").group_by(
            "prompt_id", maintain_order=True
        )
    ]
    rng.shuffle(by_prompt)
    in_turn = [row for turn in zip_longest(*by_prompt) for row in turn if row is not None]
    queries = sorted(set(responses["query"]))
    rows = []
    for row in in_turn[:count]:
        other = rng.choice([query for query in queries if query != row["query"]])
        rows += [row | {"beside": OWN}, row | {"beside": OTHER, "query": other}]
    return pl.DataFrame(rows).select("prompt_id", "beside", "instruction", "query", "response")


def ask_judges(
    asker: Asker,
    asked: pl.DataFrame,
    variants: Sequence[Variant],
    recipe: Recipe,
    seed: int,
) -> pl.DataFrame:
    """Have every variant judge every response.

    Args:
        asker: The model.
        asked: From ``judgements``.
        variants: Of the judge's prompt.
        recipe: How it is sampled.
        seed: Of the requests.

    Returns:
        ``variant``, ``prompt_id``, ``beside`` and ``ANSWERS``.
    """
    rows, requests = [], []
    for variant in variants:
        for row in asked.iter_rows(named=True):
            texts = {name: row[name] for name in variant.prompt.variables}
            rows.append((variant.name, row["prompt_id"], row["beside"]))
            requests.append(
                Request(
                    prompt=variant.render(**texts),
                    role="score",
                    n=1,
                    temperature=recipe.score_temperature,
                    max_tokens=recipe.score_max_tokens,
                    seed=derived_seed("prompts", str(seed), row["prompt_id"]),
                    schema=variant.schema,
                )
            )
    keys = pl.DataFrame(rows, schema=["variant", "prompt_id", "beside"], orient="row")
    return pl.concat([keys, asker.ask(requests)], how="horizontal")


def read_scores(answers: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Read scores as the package does.

    Args:
        answers: From ``ask_judges``.
        recipe: ``min_score``.

    Returns:
        ``variant``, ``prompt_id``, ``beside``, ``tokens``, ``score`` (null where none can be
        read), ``kept`` (it is high enough). Where the server is the cause that there is no answer,
        there is no row.
    """
    number = pl.col("sample").cast(pl.String)
    read = parse_scores(answers.with_columns(response_id=number, instruction_id=number), recipe)
    return (
        answers.select("variant", "prompt_id", "beside", "tokens")
        .with_columns(read.select("score", "status", "reason"))
        .filter(~pl.col("reason").is_in(NO_SAMPLE) | pl.col("reason").is_null())
        .with_columns(kept=pl.col("status") == ACCEPTED)
        .drop("status", "reason")
    )


def judge_table(scores: pl.DataFrame, variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    """Return a row of ``COLUMNS`` for each variant.

    Args:
        scores: From ``read_scores``.
        variants: In the order of the rows, the packaged one among them.
    """
    units = scores["prompt_id"].unique().sort().to_list()
    draws = Draws(len(units))
    by_variant = {variant.name: _by_unit(scores, variant.name, units) for variant in variants}
    aucs = {name: draws.auc(*_scores(found)) for name, found in by_variant.items()}
    usual = packaged(variants)
    rows = []
    for variant in variants:
        found, auc = by_variant[variant.name], aucs[variant.name]
        own, other = (
            [[row for row in of if row["beside"] == beside] for of in found]
            for beside in (OWN, OTHER)
        )
        kept = [
            draws.share([sum(row["kept"] for row in of) for of in beside], list(map(len, beside)))
            for beside in (own, other)
        ]
        asked = list(map(len, found))
        unread = [sum(row["score"] is None for row in of) for of in found]
        tokens = [sum(_known(row["tokens"]) for row in of) for of in found]
        rows.append(
            (
                f"{variant.name} (packaged)" if variant is usual else variant.name,
                shown(auc, FRACTION),
                "" if variant is usual else shown(auc - aucs[usual.name], DIFFERENCE),
                *(shown(share, PERCENT) for share in kept),
                shown(draws.share(unread, asked), PERCENT),
                shown(draws.share(tokens, asked), NUMBER),
            )
        )
    return rows


def _by_unit(scores: pl.DataFrame, variant: str, units: Sequence[str]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {unit: [] for unit in units}
    for row in scores.filter(variant=variant).iter_rows(named=True):
        found[row["prompt_id"]].append(row)
    return list(found.values())


def _scores(by_unit: Sequence[Sequence[Row]]) -> tuple[list[list[float]], list[list[float]]]:
    """Return the scores beside own and other queries, by unit."""
    own, other = (
        [
            [row["score"] for row in rows if row["beside"] == beside and row["score"] is not None]
            for rows in by_unit
        ]
        for beside in (OWN, OTHER)
    )
    return own, other


def _known(tokens: float | None) -> float:
    # Of what the server does not say there is no sum.
    return math.nan if tokens is None else tokens
