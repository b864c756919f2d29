"""Verifiers by variant of their prompt: which can be read and run, and which are right."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from random import Random

import polars as pl

from autoif_assets.endpoint import Request
from autoif_assets.endpoint.journal_files import read_journals
from autoif_assets.method.completions import NO_SAMPLE
from autoif_assets.method.ids import content_id, derived_seed, normalise
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verifiers import beside_standard, parse_candidates, verifier_prompts
from autoif_assets.sandbox import canonical_source, static_check
from autoif_assets_tests.benchmarks.prompts.asking import ANSWERS, Asker
from autoif_assets_tests.benchmarks.prompts.intervals import (
    NUMBER,
    PERCENT,
    POINTS,
    Draws,
    shown,
)
from autoif_assets_tests.benchmarks.prompts.variants import Variant, packaged
from autoif_assets_tests.recorded.recording import (
    REAL,
    clear_texts,
    outcomes_of,
    packaged_seeds,
    unpack,
)
from autoif_assets_tests.recorded.reference import REFERENCES

COLUMNS = (
    "variant",
    "parses",
    "compiles",
    "right",
    "right, points more than packaged",
    "cases right",
    "tokens an answer",
    "tokens a right function",
)
_KEYS = dict.fromkeys(("variant", "instruction_id", "instruction"), pl.String)
_VERDICTS = ("pass", "fail")
_ANY_TEXT = "It rained all day. We stayed at home."


def sampled_instructions(count: int, seed: int, recipe: Recipe) -> pl.DataFrame:
    """Return packaged seeds, spread over their categories.

    Those that are asked about together with the user's query have a prompt of their own, and are
    left out.

    Returns:
        ``instruction_id``, ``instruction``, ``category``.
    """
    seeds = packaged_seeds()
    ids = [content_id("instruction", normalise(text)) for text in seeds["instruction"]]
    seeds = seeds.with_columns(instruction_id=pl.Series(ids, dtype=pl.String))
    alone = verifier_prompts(seeds, recipe).filter(template="verifier")
    seeds = seeds.join(alone, on="instruction_id", how="semi", maintain_order="left")
    rng = Random(seed)
    by_category = [
        rng.sample(group["instruction_id"].to_list(), group.height)
        for _, group in seeds.group_by("category", maintain_order=True)
    ]
    rng.shuffle(by_category)
    in_turn = [id_ for turn in zip_longest(*by_category) for id_ in turn if id_ is not None]
    chosen = pl.DataFrame({"instruction_id": in_turn[:count]}, schema={"instruction_id": pl.String})
    return chosen.join(seeds, on="instruction_id", maintain_order="left")


def ask_variants(
    asker: Asker,
    instructions: pl.DataFrame,
    variants: Sequence[Variant],
    samples: int,
    recipe: Recipe,
    seed: int,
) -> pl.DataFrame:
    """Ask every variant for verifiers of every instruction.

    Returns:
        ``variant``, ``instruction_id``, ``instruction`` and ``ANSWERS``; of an answer that was
        corrected the second one, with the tokens of both.
    """
    rows, requests = [], []
    for variant in variants:
        for id_, text in instructions.select("instruction_id", "instruction").iter_rows():
            prompt = variant.render(instruction=text, modules=beside_standard(recipe))
            for sample in range(samples):
                rows.append((variant.name, id_, text))
                requests.append(
                    Request(
                        prompt=prompt,
                        role="verifier",
                        n=1,
                        temperature=recipe.verifier_temperature,
                        max_tokens=recipe.verifier_max_tokens,
                        seed=derived_seed("prompts", str(seed), id_, str(sample)),
                        schema=variant.schema,
                    )
                )
    keys = pl.DataFrame(rows, schema=_KEYS, orient="row")
    answers = pl.concat([keys, asker.ask(requests)], how="horizontal")
    corrects = [variant.name for variant in variants if variant.corrects]
    problems = problems_of(answers.filter(pl.col("variant").is_in(corrects)))
    if not problems:
        return answers
    again = [
        _sent_back(requests[number], answers["raw"][number], problem)
        for number, problem in problems.items()
    ]
    second = asker.ask(again).with_columns(pl.Series("sample", list(problems), dtype=pl.Int64))
    first_tokens = answers.select("sample", first="tokens")
    second = second.join(first_tokens, on="sample", maintain_order="left").with_columns(
        tokens=pl.col("tokens") + pl.col("first")
    )
    return answers.update(second.select(*ANSWERS), on="sample", include_nulls=True)


def recorded_answers(data: Path, variant: Variant) -> pl.DataFrame | None:
    """Return the answers that a real batch got to the packaged prompt, or None without them.

    Args:
        data: The folder ``../shared/data``.
        variant: The one whose prompt it is.

    Returns:
        As ``ask_variants``.
    """
    if not (data / REAL).is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        records = list(
            read_journals(unpack(data / REAL, Path(folder)), "verifier_generation", "real")
        )
    rows = []
    for record in records:
        instruction = record["prompt"].rpartition("Instruction: ")[2]
        if record["prompt"] != variant.render(instruction=instruction):
            raise SystemExit(
                "The recorded batch was asked by another prompt than the packaged one."
            )
        if len(record["choices"]) != 1:
            raise SystemExit("The recorded batch does not say how many tokens each answer took.")
        choice = record["choices"][0]
        rows.append(
            {
                "variant": variant.name,
                "instruction_id": content_id("instruction", normalise(instruction)),
                "instruction": instruction,
                "call_id": record["call_id"],
                "sample": len(rows),
                "raw": choice["text"],
                "finish_reason": choice["finish_reason"],
                "tokens": record["usage"]["completion_tokens"],
            }
        )
    return pl.DataFrame(rows, schema={**_KEYS, **ANSWERS})


def _sent_back(request: Request, answer: str, problem: str) -> Request:
    """Return what follows a request whose answer cannot be used."""
    before = (
        {"role": "user", "content": request.prompt},
        {"role": "assistant", "content": answer},
    )
    told = f"This cannot be used: {problem} Find out why, and write the whole answer anew."
    return Request(
        prompt=told,
        role=request.role,
        n=1,
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        seed=request.seed,
        schema=request.schema,
        context=before,
    )


def problems_of(answers: pl.DataFrame) -> dict[int, str]:
    """Say what is wrong with the answers that cannot be used, by their ``sample``.

    Nothing is known here but what the model itself said: whether its function runs is seen on
    its own cases, and whether it is right is not asked.
    """
    candidates, cases = _read(answers)
    own = pl.col("sample").cast(pl.String)
    functions = candidates.filter("is_function").select(
        "source", verifier_id=own, instruction_id=own
    )
    # One without cases is at least loaded.
    texts = pl.concat(
        [
            cases.select(input_id="case_id", instruction_id=own, input="input"),
            functions.select(
                input_id="verifier_id", instruction_id="instruction_id", input=pl.lit(_ANY_TEXT)
            ),
        ]
    )
    outcomes = outcomes_of(functions, texts)
    failed = outcomes.filter(~pl.col("outcome").is_in(_VERDICTS)).unique(
        "verifier_id", keep="first", maintain_order=True
    )
    raised = {
        int(id_): f"on a short text the function gives no verdict ({outcome}: {detail})."
        for id_, outcome, detail in failed.select("verifier_id", "outcome", "detail").iter_rows()
    }
    unread = {
        row["sample"]: _unread(row["reason"], row["detail"])
        for row in candidates.iter_rows(named=True)
        if not row["is_function"] and row["reason"] not in NO_SAMPLE
    }
    return dict(sorted((unread | raised).items()))


def _unread(reason: str, detail: str | None) -> str:
    if reason == "truncated":
        return "it is longer than an answer may be."
    if reason == "no_function":
        return "no function can be read in it."
    return f"the function cannot be loaded ({': '.join(filter(None, (reason, detail)))})."


def judge_answers(answers: pl.DataFrame) -> pl.DataFrame:
    """Hold answers against the reference checkers.

    Args:
        answers: From ``ask_variants``.

    Returns:
        ``variant``, ``instruction_id``, ``tokens``, ``parses``, ``compiles``, ``right``,
        ``cases``: those whose label is clear, ``cases_right``; a row an answer. Where the server
        is the cause that there is none, there is no row.
    """
    candidates, cases = _read(answers)
    functions = candidates.filter("is_function").unique("verifier_id", maintain_order=True)
    instructions = answers.select("instruction_id", "instruction").unique(maintain_order=True)
    texts = clear_texts(instructions)
    expected = pl.when("obeys").then(pl.lit("pass")).otherwise(pl.lit("fail"))
    of_functions = (
        outcomes_of(functions.select("verifier_id", "instruction_id", "source"), texts)
        .join(texts.select("input_id", "obeys"), on="input_id")
        .group_by("verifier_id")
        .agg(
            compiles=(pl.col("outcome") != "load_error").all(),
            right=(pl.col("outcome") == expected).all(),
        )
    )
    of_cases = cases.group_by("sample").agg(
        cases=pl.col("agrees").count(), cases_right=pl.col("agrees").sum()
    )
    return (
        candidates.filter(~pl.col("reason").is_in(NO_SAMPLE) | pl.col("reason").is_null())
        .with_columns(verifier_id=pl.when("is_function").then("verifier_id"))
        .join(of_functions, on="verifier_id", how="left", maintain_order="left")
        .join(of_cases, on="sample", how="left", maintain_order="left")
        .select(
            *("variant", "instruction_id"),
            # Of what the server does not say there is no sum.
            tokens=pl.col("tokens").fill_null(math.nan),
            parses=pl.col("source").is_not_null(),
            compiles=pl.col("compiles").fill_null(False),
            right=pl.col("right").fill_null(False),
            cases=pl.col("cases").fill_null(0),
            cases_right=pl.col("cases_right").fill_null(0),
        )
    )


def _read(answers: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read answers as the package does.

    Returns:
        ``variant``, ``tokens`` and the columns of ``verifier_candidates``, with ``is_function``;
        and ``sample``, ``case_id``, ``input`` of the cases, with ``agrees``: whether the reference
        checker gives them the same label, null where it gives none.
    """
    candidates, cases = parse_candidates(answers, static_check, canonical_source)
    keys = answers.select("sample", "variant", "instruction", "tokens")
    # What others wrote as well is a function as good as theirs.
    wrote = pl.col("reason").is_null() | (pl.col("reason") == "duplicate")
    candidates = candidates.join(keys, on="sample", maintain_order="left").with_columns(
        is_function=wrote
    )
    known = cases.filter(pl.col("case_id").is_not_null()).join(
        keys.select("sample", "instruction"), on="sample", maintain_order="left"
    )
    agrees = list(_agreement(known))
    return candidates, known.with_columns(agrees=pl.Series(agrees, dtype=pl.Boolean)).select(
        "sample", "case_id", "input", "agrees"
    )


def _agreement(cases: pl.DataFrame) -> Iterator[bool | None]:
    for instruction, text, expected in cases.select("instruction", "input", "expected").iter_rows():
        label = REFERENCES[instruction].check(text)
        yield None if label is None else label == expected


def verifier_table(judged: pl.DataFrame, variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    """Return a row of ``COLUMNS`` for each variant.

    Args:
        judged: From ``judge_answers``.
        variants: In the order of the rows, the packaged one among them.
    """
    units = judged["instruction_id"].unique().sort()
    draws = Draws(len(units))
    counts = {
        variant.name: pl.DataFrame({"instruction_id": units})
        .join(
            judged.filter(variant=variant.name)
            .group_by("instruction_id")
            .agg(pl.len(), pl.col("tokens").sum(), pl.exclude("variant", "tokens").sum()),
            on="instruction_id",
            how="left",
            maintain_order="left",
        )
        .fill_null(0)
        for variant in variants
    }
    usual = packaged(variants)
    rows = []
    for variant in variants:
        of = counts[variant.name]
        shares = {
            name: draws.share(of[name], of["len"])
            for name in ("parses", "compiles", "right", "tokens")
        }
        other = counts[usual.name]
        more = shares["right"] - draws.share(other["right"], other["len"])
        rows.append(
            (
                f"{variant.name} (packaged)" if variant is usual else variant.name,
                shown(shares["parses"], PERCENT),
                shown(shares["compiles"], PERCENT),
                shown(shares["right"], PERCENT),
                "" if variant is usual else shown(more, POINTS),
                shown(draws.share(of["cases_right"], of["cases"]), PERCENT),
                shown(shares["tokens"], NUMBER),
                shown(draws.share(of["tokens"], of["right"]), NUMBER),
            )
        )
    return rows
