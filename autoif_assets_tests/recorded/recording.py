"""Journals of a real batch as the frames that the stages pass on, and who in them is right."""

import json
import re
import tarfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from autoif_assets.endpoint.journal import merge
from autoif_assets.endpoint.journal_files import read_journals
from autoif_assets.method.back_translation import (
    check_back_translations,
    nli_pairs,
    parse_back_translations,
    parse_nli,
)
from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.gates import accepted
from autoif_assets.method.ids import content_id, normalise
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.responses import parse_responses, parse_scores
from autoif_assets.method.verifiers import OUTCOME_SCHEMA, parse_candidates, verifier_runs
from autoif_assets.sandbox import Sandbox, Unit, canonical_source, static_check
from autoif_assets_tests.recorded.reference import REFERENCES

REAL = "real/qwen2.5-coder-1.5b-20-seeds.tar.xz"

# What a prompt was about: the last of what its examples show as well.
_VERIFIER = re.compile(r".*\nInstruction: (?P<instruction>[^\n]*)", re.DOTALL)
_BACK_TRANSLATION = re.compile(r".*\nFunction:\n(?P<source>.*)\nInstruction:\s*", re.DOTALL)
_NLI = re.compile(r".*\nPremise: (?P<premise>.*)\nHypothesis: (?P<hypothesis>.*)", re.DOTALL)
_RESPONSE = re.compile(
    r".*\n\[Instruction\] (?P<instruction>[^\n]*)\n\[Query\] (?P<query>.*)", re.DOTALL
)
_SCORE = re.compile(
    r".*\n\[Rule to ignore\] (?P<instruction>[^\n]*)\n\[Query\] (?P<query>.*?)"
    r"\n\[Response\] (?P<response>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Recording:
    """What the stages of a batch made of its journals.

    Attributes:
        instructions: ``instruction_id``, ``instruction``, ``category``.
        candidates: Table ``verifier_candidates``.
        cases: Table ``test_cases``.
        back_translations: Table ``back_translations``.
        responses: Table ``responses`` with ``instruction``, ``query``.
        scores: Table ``response_scores``.
    """

    instructions: pl.DataFrame
    candidates: pl.DataFrame
    cases: pl.DataFrame
    back_translations: pl.DataFrame
    responses: pl.DataFrame
    scores: pl.DataFrame


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks an archive of journals and returns their folder."""
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / "journals"


def read_recording(journals: Path, recipe: Recipe, batch: str = "real") -> Recording:
    """Reads what a batch's journals hold, with the functions that the assets use."""
    asked = _completions(journals, batch, "verifier_generation", "verifier", _VERIFIER)
    instructions = (
        _with_instruction_id(asked)
        .select("instruction_id", "instruction")
        .unique()
        .join(packaged_seeds(), "instruction", "left")
    )
    candidates, cases = parse_candidates(
        _with_instruction_id(asked), static_check, canonical_source
    )
    translated = _completions(
        journals, batch, "back_translations", "back_translation", _BACK_TRANSLATION
    )
    # The version that made the batch read a lost backslash as what is now put right.
    translated = translated.with_columns(
        pl.col("source").str.replace_all("\x08", r"\b", literal=True)
    )
    known = accepted(candidates).select("verifier_id", "instruction_id", "source")
    parsed = parse_back_translations(
        translated.join(known, "source", "left", maintain_order="left").drop("source")
    )
    pairs = nli_pairs(parsed, instructions)
    labels = parse_nli(
        _completions(journals, batch, "back_translations", "nli", _NLI).join(
            pairs, on=["premise", "hypothesis"], maintain_order="left"
        )
    )
    responses, scores = _responses(journals, batch, recipe)
    return Recording(
        instructions.sort("instruction"),
        candidates,
        cases,
        check_back_translations(parsed, labels),
        responses,
        scores,
    )


def packaged_seeds() -> pl.DataFrame:
    """``instruction`` and ``category`` of the packaged seeds."""
    file = files("autoif_assets.method").joinpath("data/seed_instructions.jsonl")
    rows = map(json.loads, file.read_text("utf-8").splitlines())
    return pl.DataFrame(rows, schema={"instruction": pl.String, "category": pl.String})


def _responses(journals: Path, batch: str, recipe: Recipe) -> tuple[pl.DataFrame, pl.DataFrame]:
    keys = ["instruction", "query"]
    asked = _with_instruction_id(_completions(journals, batch, "responses", "response", _RESPONSE))
    prompt_ids = [content_id("prompt", *row) for row in asked.select(keys).iter_rows()]
    asked = asked.with_columns(prompt_id=pl.Series(prompt_ids, dtype=pl.String))
    prompts = asked.select("prompt_id", *keys).unique()
    responses = parse_responses(asked.drop(keys)).join(prompts, on="prompt_id")
    scored = _completions(journals, batch, "response_scores", "score", _SCORE)
    distinct = accepted(responses).select(
        "response_id", "prompt_id", "instruction_id", "response", *keys
    )
    return responses, parse_scores(scored.join(distinct, on=["response", *keys]), recipe)


def _completions(
    journals: Path, batch: str, asset: str, role: str, prompt: re.Pattern[str]
) -> pl.DataFrame:
    """The completions that one role gave an asset, with what their prompts were about."""
    calls: dict[str, list[dict[str, Any]]] = {}
    for record in read_journals(journals, asset, batch):
        if record["role"] == role:
            calls.setdefault(record["call_id"], []).append(record)
    rows = []
    for call_id, records in sorted(calls.items()):
        found = prompt.fullmatch(records[0]["prompt"])
        assert found is not None, f"a prompt of {role} is not as expected"
        choices, error = merge(records)
        rows += [
            {
                **found.groupdict(),
                "call_id": call_id,
                "sample": sample,
                "raw": choice["text"],
                "finish_reason": choice["finish_reason"],
                "error": error,
            }
            for sample, choice in choices.items()
        ]
    return pl.DataFrame(
        rows, schema={**dict.fromkeys(prompt.groupindex, pl.String), **COMPLETION_SCHEMA}
    )


def _with_instruction_id(frame: pl.DataFrame) -> pl.DataFrame:
    ids = [content_id("instruction", normalise(text)) for text in frame["instruction"]]
    return frame.with_columns(instruction_id=pl.Series(ids, dtype=pl.String))


# --- who is right --------------------------------------------------------------------------


def outcomes_of(verifiers: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Runs every verifier on the texts of its instruction.

    Args:
        verifiers: ``verifier_id``, ``instruction_id``, ``source``.
        texts: ``input_id``, ``instruction_id``, ``input``.

    Returns:
        ``OUTCOME_SCHEMA``.
    """
    runs = verifier_runs(verifiers, texts).select("verifier_id", "source", "input_ids", "inputs")
    units = (Unit(id_, source, texts) for id_, source, _, texts in runs.iter_rows())
    with Sandbox(workers=1) as sandbox:
        rows = [
            (result.id, *row)
            for result, ids in zip(sandbox.evaluate(units), runs["input_ids"], strict=True)
            for row in zip(ids, map(str, result.outcomes), result.details, strict=True)
        ]
    return pl.DataFrame(rows, schema=dict(OUTCOME_SCHEMA), orient="row")


def clear_texts(instructions: pl.DataFrame) -> pl.DataFrame:
    """The clear texts of instructions: ``input_id``, ``instruction_id``, ``input``, ``obeys``."""
    return pl.DataFrame(
        [
            (content_id("clear", id_, text), id_, text, obeys)
            for id_, instruction in instructions.select("instruction_id", "instruction").iter_rows()
            for text, obeys in REFERENCES[instruction].labelled
        ],
        schema={
            "input_id": pl.String,
            "instruction_id": pl.String,
            "input": pl.String,
            "obeys": pl.Boolean,
        },
        orient="row",
    )


def judged_verifiers(verifiers: pl.DataFrame, instructions: pl.DataFrame) -> pl.DataFrame:
    """Says of every verifier how it does on the clear texts of its instruction.

    Args:
        verifiers: ``verifier_id``, ``instruction_id``, ``source``.
        instructions: ``instruction_id``, ``instruction``: those with a reference.

    Returns:
        ``verifier_id``, ``instruction_id``, ``texts``, ``wrong``: on how many it is not right, a
        text without a verdict included, ``right``: on all of them, ``constant``: one verdict for
        all.
    """
    texts = clear_texts(instructions)
    expected = pl.when("obeys").then(pl.lit("pass")).otherwise(pl.lit("fail"))
    return (
        outcomes_of(verifiers, texts)
        .join(texts.select("input_id", "instruction_id", "obeys"), on="input_id")
        .group_by("verifier_id", "instruction_id", maintain_order=True)
        .agg(
            texts=pl.len(),
            wrong=(pl.col("outcome") != expected).sum(),
            constant=pl.col("outcome").n_unique() == 1,
        )
        .with_columns(right=pl.col("wrong") == 0)
    )
