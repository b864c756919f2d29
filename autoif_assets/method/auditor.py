"""The auditor: whether a text obeys its instruction, asked where verifiers differ.

It says yes or no and explains nothing: reviewers misjudge right code more often when they are asked
to explain (arXiv 2508.12358, 2603.00539). Where the server tells how likely each word was, the
likelier one is its answer, and where both are about as likely it has none. Its word decides between
verifiers that contradict one another; against all of them it counts for nothing.
"""

import json
import math
import re

import polars as pl

from autoif_assets.method.completions import unusable, usable
from autoif_assets.method.gates import decide
from autoif_assets.method.json_text import objects
from autoif_assets.method.parsing import parse_bool
from autoif_assets.method.probes import EDGE
from autoif_assets.method.prompts import AUDIT
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.tried import Tried

# Of texts on which the same functions say the same so many: others tell more.
_ALIKE = 4
ALTERNATIVES = 5
"""Tokens to be told at each place of an answer: yes and no, each with and without a capital or a
quotation mark."""
# The least probability of an answer. Below it the words' log-probabilities differ by less than 0.2,
# which another quantisation, or other requests beside it, may turn around. A wider band would cost
# a small model its cases: of 112 clear texts Qwen2.5-Coder-1.5B is that unsure of 30, below 0.6 of
# 44, and right as often there (59 %) as above (62 %).
_SURE = 0.55
# Where the word stands of an answer as it is asked for; of one that is no JSON, at the beginning.
_KEY = re.compile(r"""['"]obeys['"]\s*:\s*""")
_AROUND = " \t\r\n\"'`.{}:"
_YES, _NO = ("yes", "true"), ("no", "false")


def contested(tried: Tried, votes: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return the texts on which the functions of an instruction differ most.

    A text that answers a query is left out: the auditor is not shown the query.

    Args:
        tried: What they said of cases and probes.
        votes: ``verifier_id``, ``instruction_id``, ``weight`` of the functions; those without a
            vote, such as constants, contest nothing.
        recipe: ``audited_texts_per_instruction``.

    Returns:
        ``instruction_id``, ``input_id``, ``input``, ``passing`` and ``failing`` (shares of the
        votes), sorted.
    """
    heard = votes.filter(pl.col("weight") > 0).select("verifier_id", "instruction_id", "weight")
    edges = tried.probes.filter(pl.col("kind") == EDGE).select("input_id").unique()
    texts = tried.texts().filter(pl.col("query").is_null())
    weight, outcome = pl.col("weight"), pl.col("outcome")
    shares = (
        tried.outcomes.join(edges, on="input_id", how="anti")
        .join(heard, on="verifier_id")
        .join(texts, on=["instruction_id", "input_id"], how="semi")
        .sort("verifier_id")
        .group_by("instruction_id", "input_id", maintain_order=True)
        .agg(
            passing=weight.filter(outcome == "pass").sum() / weight.sum(),
            failing=weight.filter(outcome == "fail").sum() / weight.sum(),
            says=outcome.str.join("|"),
        )
        .filter(pl.min_horizontal("passing", "failing") > 0)
    )
    order = [pl.min_horizontal("passing", "failing"), pl.col("input_id")]
    ranked = shares.sort(order, descending=[True, False])
    alike = pl.int_range(pl.len()).over("instruction_id", "says")
    return (
        ranked.filter(alike < _ALIKE)
        .group_by("instruction_id", maintain_order=True)
        .head(recipe.audited_texts_per_instruction)
        .join(texts, on=["instruction_id", "input_id"], maintain_order="left")
        .select("instruction_id", "input_id", "input", "passing", "failing")
        .sort("instruction_id", "input_id")
    )


def audit_prompts(texts: pl.DataFrame, instructions: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return ``instruction_id``, ``input_id``, ``prompt``.

    Args:
        texts: ``instruction_id``, ``input_id``, ``input``.
        instructions: ``instruction_id``, ``instruction``.
        recipe: ``prompts``.
    """
    asked = texts.join(instructions, on="instruction_id", maintain_order="left").rename(
        {"input": "response"}
    )
    prompts = AUDIT.of(recipe.prompts).render_rows(asked)
    return asked.select("instruction_id", "input_id", prompts)


def parse_answers(completions: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Read what the auditor says.

    Args:
        completions: Completion frame with ``instruction_id``, ``input_id`` and, where the server
            told them, ``logprobs``: JSON, of each token its text and, likeliest first, what might
            have stood there, with log-probabilities.
        texts: From ``contested``.

    Returns:
        ``auditor_answers`` without ``batch``: ``texts`` with ``obeys`` and ``obeys_probability``.
        Reasons: those of an unusable completion, ``unparsed`` and ``undecided`` (yes is about as
        likely as no).
    """
    if "logprobs" not in completions.columns:
        completions = completions.with_columns(logprobs=pl.lit(None, pl.String))
    read = [
        _read(raw, logprobs) if ok else (None, None)
        for raw, logprobs, ok in zip(
            completions["raw"], completions["logprobs"], usable(completions), strict=True
        )
    ]
    schema = {"said": pl.Boolean, "obeys_probability": pl.Float64}
    answered = completions.hstack(pl.DataFrame(read, schema=schema, orient="row"))
    likely = pl.col("obeys_probability")
    undecided = pl.max_horizontal(likely, 1 - likely) < _SURE
    found = decide(
        answered,
        {**unusable(), "unparsed": pl.col("said").is_null(), "undecided": undecided},
    ).with_columns(obeys=pl.when(pl.col("reason").is_null()).then("said"))
    return texts.join(
        found.select(
            *("instruction_id", "input_id", "obeys", "obeys_probability", "raw", "finish_reason"),
            *("call_id", "status", "reason"),
        ),
        on=["instruction_id", "input_id"],
        maintain_order="left",
    )


def _read(raw: str, logprobs: str | None) -> tuple[bool | None, float | None]:
    """Return what an answer says, and how likely it was that it says that the text obeys."""
    said = _answer(raw)
    likely = None if said is None or logprobs is None else _probability(raw, logprobs)
    return (said, None) if likely is None else (likely > 0.5, likely)


def _probability(raw: str, logprobs: str) -> float | None:
    """Return the share of yes among yes and no where the answer says either; None if unknown."""
    try:
        tokens = [
            (str(text), [(str(word), float(value)) for word, value in every])
            for text, every in json.loads(logprobs)
        ]
        mass = {True: 0.0, False: 0.0}
        alternatives = _decisive(raw, tokens)
        for word, value in alternatives:
            says = _says(word)
            if says is not None:
                mass[says] += math.exp(value)
    except (ValueError, TypeError, OverflowError, RecursionError):
        # A journal may hold what this version would not write.
        return None
    if not 0 < sum(mass.values()) < math.inf:
        return None
    if len(alternatives) == 1:
        # Nothing is told of the other word: it has what is left.
        likely = mass[True] if mass[True] else 1 - mass[False]
        return min(max(likely, 0.0), 1.0)
    return mass[True] / (mass[True] + mass[False])


def _decisive(
    raw: str, tokens: list[tuple[str, list[tuple[str, float]]]]
) -> list[tuple[str, float]]:
    """Return what might have stood in the place of the token that begins the answer's word."""
    whole = "".join(text for text, _ in tokens)
    # Before the answer there may be thoughts, of which it says nothing.
    start = whole.rfind(raw.strip())
    keys = list(_KEY.finditer(whole, start)) if start >= 0 else []
    place = keys[-1].end() if keys else start
    word = re.compile(r"\w").search(whole, place) if start >= 0 else None
    if word is None:
        return []
    end = 0
    for text, alternatives in tokens:
        end += len(text)
        if word.start() < end:
            return alternatives
    return []


def _says(word: str) -> bool | None:
    """Say which of the two a token begins, or is."""
    bare = word.strip(_AROUND).casefold()
    for words, says in ((_YES, True), (_NO, False)):
        if bare and any(one.startswith(bare) or bare.startswith(one) for one in words):
            return says
    return None


def _answer(raw: str) -> bool | None:
    """Return what a text says: the ``obeys`` of all its JSON objects, or its one word."""
    said = [parse_bool(found["obeys"]) for found in objects(raw, "obeys")] or [parse_bool(raw)]
    # Who repeats what may be answered, or says the one and then the other, has said neither.
    return said[0] if len(set(said)) == 1 else None
