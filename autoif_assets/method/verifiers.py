"""Verifier candidates and test cases, their cross-validation [3.2], and verifiers run again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import polars as pl
import polars.selectors as cs

from autoif_assets.method.completions import unusable
from autoif_assets.method.gates import ACCEPTED, decide
from autoif_assets.method.ids import content_id
from autoif_assets.method.parsing import (
    ParsedCase,
    ParsedVerifier,
    parse_cases,
    parse_verifier,
)
from autoif_assets.method.prompts import BOUNDARY_CASES, VERIFIER, VERIFIER_WITH_QUERY
from autoif_assets.method.recipe import Recipe, Threshold

OUTCOME_STRUCT = pl.List(pl.Struct({"verifier_id": pl.String, "outcome": pl.String}))

# What one verifier said of one text: the frame that executing verifiers returns.
OUTCOME_SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "verifier_id": pl.String,
    "input_id": pl.String,
    "outcome": pl.String,
    "detail": pl.String,
}

# An instruction that can only be checked with the query at hand names it: "repeat the request",
# "the first word of my question"; "end with a question" does not.
_NAMES_QUERY = (
    r"(?i)\b(?:the|my|your|this|that|original|given|above|user'?s?|input)\s+(?:user'?s?\s+)?"
    r"(?:question|query|prompt|request)\b(?:[^\s\w]|\s*$|\s+[^m\s]|\s+m[^a])"
    r"|\b(?:what|as)\s+(?:I|you|they|he|she|was|were|is)\s+(?:am\s+|are\s+|have\s+)?ask"
    r"|(?:der|die|meine|deine|diese)r?\s+(?:Frage|Anfrage)\b|(?:la|ma|cette)\s+question\b"
    r"|(?:la|mi|tu|esta)\s+pregunta\b|问题|提问|題目|质问|質問|질문|вопрос"
)

SAMPLED, USER = "sampled", "user"
"""Where functions come from: a completion, or people, who hand them in with a seed."""

CANDIDATE_SCHEMA = {
    "instruction_id": pl.String,
    "sample": pl.Int64,
    "verifier_id": pl.String,
    "source": pl.String,
    "raw": pl.String,
    "finish_reason": pl.String,
    "call_id": pl.String,
    "detail": pl.String,
}
CASE_SCHEMA = {
    "instruction_id": pl.String,
    "sample": pl.Int64,
    "position": pl.Int64,
    "case_id": pl.String,
    "input": pl.String,
    "query": pl.String,
    "expected": pl.Boolean,
    "call_id": pl.String,
    "detail": pl.String,
}


def verifier_prompts(instructions: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return what asks for functions and cases: one call an accepted instruction.

    An instruction that speaks of the user's question cannot be checked without it, and has a
    prompt of its own: small models put a question beside every case where they may.

    Args:
        instructions: ``instruction_id``, ``instruction``.
        recipe: ``modules`` and ``prompts``.

    Returns:
        Columns ``instruction_id``, ``prompt``, ``template``: the prompt it was made of.
    """
    beside = beside_standard(recipe)
    asks = instructions["instruction"].str.contains(_NAMES_QUERY)
    parts = [
        instructions.filter(chosen).select(
            "instruction_id",
            prompt.of(recipe.prompts).render_rows(instructions.filter(chosen), modules=beside),
            template=pl.lit(prompt.role),
        )
        for prompt, chosen in ((VERIFIER, ~asks), (VERIFIER_WITH_QUERY, asks))
    ]
    order = instructions.select("instruction_id")
    return order.join(pl.concat(parts), on="instruction_id", maintain_order="left")


def beside_standard(recipe: Recipe) -> str:
    """Return what a prompt adds to the standard library: the recipe's modules."""
    names = [module.partition(":")[0] for module in recipe.modules]
    return f" and {', '.join(names)}" if names else ""


def parse_candidates(
    completions: pl.DataFrame,
    static_check: Callable[[str], str | None],
    canonical_source: Callable[[str], str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read functions and cases out of verifier completions.

    Identical functions are one vote (the authors count them as independent ones), and so are
    identical cases.

    Args:
        completions: Completion frame with ``instruction_id``.
        static_check: Returns why a source cannot be a verifier, as ``reason`` or
            ``reason:detail``, or None.
        canonical_source: Returns a text that is equal for functions that are the same.

    Returns:
        ``verifier_candidates`` and ``test_cases``, both without ``batch``. Reasons of a
        candidate: those of an unusable completion, ``no_function``, those of ``static_check``,
        ``duplicate``. Reasons of a case: ``unparsed``, ``duplicate``.
    """
    candidates: list[tuple[object, ...]] = []
    cases: list[tuple[object, ...]] = []
    for row in decide(completions, unusable()).iter_rows(named=True):
        # Of a refused or truncated completion nothing is read; it stays as a rejected candidate.
        is_whole = row["status"] == ACCEPTED
        parsed = parse_verifier(row["raw"]) if is_whole else ParsedVerifier(None, ())
        candidates.append(_candidate(row, parsed, static_check, canonical_source))
        cases += _cases(row, parsed.cases)
    return (
        decided_candidates(candidates, SAMPLED),
        decided_cases(pl.DataFrame(cases, schema=CASE_SCHEMA, orient="row"), "function"),
    )


def decided_candidates(rows: Sequence[tuple[object, ...]], origin: str) -> pl.DataFrame:
    """Return ``verifier_candidates`` without ``batch``.

    Args:
        rows: The values of ``CANDIDATE_SCHEMA``, and why the candidate is none, if it is none.
        origin: Where they come from.
    """
    frame = pl.DataFrame(rows, schema={**CANDIDATE_SCHEMA, "rejection": pl.String}, orient="row")
    found = pl.col("rejection")
    # Only what could be a verifier has an original that others may repeat.
    first = pl.when(found.is_null()).then(pl.col("verifier_id")).is_first_distinct()
    reasons = frame["rejection"].drop_nulls().unique(maintain_order=True)
    rules = {**{reason: found == reason for reason in reasons}, "duplicate": ~first}
    return decide(frame, rules).drop("rejection").with_columns(origin=pl.lit(origin))


def boundary_prompts(instructions: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return ``instruction_id``, ``prompt``: what asks for cases close to the line.

    An instruction that speaks of the user's question is left out: its cases need one each.

    Args:
        instructions: ``instruction_id``, ``instruction``.
        recipe: ``boundary_cases`` and ``prompts``.
    """
    asked = ~instructions["instruction"].str.contains(_NAMES_QUERY) & recipe.boundary_cases
    wanted = instructions.filter(asked)
    return wanted.select("instruction_id", BOUNDARY_CASES.of(recipe.prompts).render_rows(wanted))


def parse_boundary_cases(completions: pl.DataFrame, known: pl.Series) -> pl.DataFrame:
    """Read the cases close to the line, which came without a function.

    Args:
        completions: Completion frame with ``instruction_id``, one an instruction.
        known: Ids of the cases that there are.

    Returns:
        ``test_cases`` as of ``parse_candidates``. Of an answer that is no list of cases there is
        one rejected row.
    """
    rows: list[tuple[object, ...]] = []
    reasons: list[str | None] = []
    for row in decide(completions, unusable()).iter_rows(named=True):
        found = parse_cases(row["raw"]) if row["status"] == ACCEPTED else ()
        cases = list(_cases(row, found or (ParsedCase(None, None, row["error"]),)))
        reasons += [row["reason"]] * len(cases)
        rows += cases
    frame = pl.DataFrame(rows, schema=CASE_SCHEMA, orient="row")
    whole = pl.Series("whole", reasons, dtype=pl.String)
    rejected = {
        reason: whole == reason for reason in whole.drop_nulls().unique(maintain_order=True)
    }
    return decided_cases(frame, "boundary", rejected, known)


def decided_cases(
    cases: pl.DataFrame,
    origin: str,
    rejected: Mapping[str, pl.Series] = MappingProxyType({}),
    known: pl.Series | None = None,
) -> pl.DataFrame:
    """Return ``test_cases`` without ``batch``.

    Args:
        cases: ``CASE_SCHEMA``.
        origin: Where they come from.
        rejected: By reason which rows are none.
        known: Ids of the cases that there are.
    """
    case_id = pl.col("case_id")
    repeated = pl.lit(False) if known is None else case_id.is_in(known.implode())
    rules = {
        **{reason: pl.lit(rows) for reason, rows in rejected.items()},
        "unparsed": case_id.is_null(),
        "duplicate": repeated | ~case_id.is_first_distinct(),
    }
    return decide(cases.with_columns(origin=pl.lit(origin)), rules)


def functions_of(candidates: pl.DataFrame, repairs: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the distinct functions that may be verifiers.

    Args:
        candidates: All ``verifier_candidates``: ``verifier_id``, ``instruction_id``, ``source``,
            ``origin``, ``reason``.
        repairs: The same of ``verifier_repairs`` but ``origin``, and ``parent_id``.

    Returns:
        ``verifier_id``, ``instruction_id``, ``source``, ``origin``, ``parent_id`` and
        ``samples``: how many completions wrote it.
    """
    sampled = candidates.select(
        *("verifier_id", "instruction_id", "source", "reason", "origin"),
        parent_id=pl.lit(None, pl.String),
    )
    parts = [sampled]
    if repairs is not None:
        parts.append(repairs.with_columns(origin=pl.lit("repair")).select(sampled.columns))
    every = pl.concat(parts)
    wrote = pl.col("reason").is_null() | (pl.col("reason") == "duplicate")
    return (
        every.filter(wrote)
        .group_by("verifier_id", "instruction_id", maintain_order=True)
        .agg(pl.col("source", "origin", "parent_id").first(), samples=pl.len().cast(pl.Int64))
    )


def authors(candidates: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    """Return ``verifier_id``, ``input_id``: the cases that came with a function.

    Args:
        candidates: All ``verifier_candidates``: ``instruction_id``, ``sample``, ``verifier_id``.
        cases: All ``test_cases``: ``instruction_id``, ``sample``, ``case_id``, ``origin``.
    """
    of_functions = cases.filter(pl.col("origin") == "function")
    return (
        candidates.select("instruction_id", "sample", "verifier_id")
        .join(
            of_functions.select("instruction_id", "sample", input_id="case_id"),
            on=["instruction_id", "sample"],
        )
        .drop_nulls()
        .select("verifier_id", "input_id")
        .unique(maintain_order=True)
    )


def _candidate(
    row: Mapping[str, Any],
    parsed: ParsedVerifier,
    static_check: Callable[[str], str | None],
    canonical_source: Callable[[str], str],
) -> tuple[object, ...]:
    """Return the row of ``CANDIDATE_SCHEMA``, and the rejection, that a completion makes."""
    rejection, detail, verifier_id = row["reason"], row["error"], None
    if row["status"] == ACCEPTED:
        rejection, detail = (
            (None, parsed.note) if parsed.source else ("no_function", parsed.problem)
        )
    if parsed.source:
        problem = static_check(parsed.source)
        if problem:
            rejection, _, named = problem.partition(":")
            detail = "; ".join(filter(None, (named, parsed.note))) or None
        # A rejected function has an id as well, so that one may ask what became of it.
        canonical = canonical_source(parsed.source)
        verifier_id = content_id("verifier", row["instruction_id"], canonical)
    return (
        row["instruction_id"],
        row["sample"],
        verifier_id,
        parsed.source,
        row["raw"],
        row["finish_reason"],
        row["call_id"],
        detail,
        rejection,
    )


def _cases(row: Mapping[str, Any], parsed: Sequence[ParsedCase]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of ``CASE_SCHEMA`` that a completion makes."""
    for position, case in enumerate(parsed):
        yield (
            row["instruction_id"],
            row["sample"],
            position,
            case_id_of(row["instruction_id"], case),
            case.input,
            case.query,
            case.expected,
            row["call_id"],
            case.problem,
        )


def outcome_of(verdict: str) -> pl.Expr:
    """Return the outcome that a Boolean column of verdicts stands for: ``pass`` or ``fail``."""
    return pl.when(verdict).then(pl.lit("pass")).otherwise(pl.lit("fail"))


def case_id_of(instruction_id: str, case: ParsedCase) -> str | None:
    """Return the content id of a case; None where it is unusable."""
    if case.problem is not None or case.input is None:
        return None
    # The same text may be expected to pass by one completion and to fail by another.
    asked = () if case.query is None else (case.query,)
    return content_id("case", instruction_id, str(case.expected), case.input, *asked)


def verifier_runs(
    verifiers: pl.DataFrame,
    inputs: pl.DataFrame,
    needs_query: Callable[[str], bool] = lambda source: False,
) -> pl.DataFrame:
    """Pair every verifier with all the texts of its instruction, one row a verifier.

    Args:
        verifiers: ``verifier_id``, ``instruction_id``, ``source``.
        inputs: ``input_id``, ``instruction_id``, ``input``; where texts answer one, ``query``,
            null for those that do not; where probe texts are among them, ``kind``, null for
            all others.
        needs_query: Returns whether a source must be given a query. Such a verifier is not run
            on probe texts that have none: that it gives no verdict there says nothing of it.

    Returns:
        Columns ``verifier_id``, ``source``, ``input_ids`` (list), ``inputs`` (list),
        ``instruction_id`` and, given ``query``, ``queries`` (list). A verifier without texts has
        no row.
    """
    query, kind = (
        pl.col(name) if name in inputs.columns else pl.lit(None, pl.String)
        for name in ("query", "kind")
    )
    asking = pl.Series([needs_query(source) for source in verifiers["source"]], dtype=pl.Boolean)
    if not asking.any():
        return _paired(verifiers, inputs)
    answering = inputs.filter(query.is_not_null() | kind.is_null())
    return pl.concat(
        [_paired(verifiers.filter(~asking), inputs), _paired(verifiers.filter(asking), answering)]
    )


def _paired(verifiers: pl.DataFrame, inputs: pl.DataFrame) -> pl.DataFrame:
    """Return ``verifier_runs`` of verifiers that are all run on the same texts."""
    queries = [pl.col(name).alias("queries") for name in asked(inputs)]
    grouped = inputs.group_by("instruction_id", maintain_order=True).agg(
        *queries, input_ids=pl.col("input_id"), inputs=pl.col("input")
    )
    return verifiers.join(grouped, on="instruction_id", maintain_order="left").select(
        *("verifier_id", "source", "input_ids", "inputs", "instruction_id"), cs.matches("^queries$")
    )


# What so many instructions' functions say of all texts fits into memory.
_AT_ONCE = 200


def in_parts(*frames: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, ...]]:
    """Yield frames in parts of the same whole instructions; of empty ones one part.

    Args:
        frames: With ``instruction_id``.
    """
    ids = pl.concat([frame.select("instruction_id") for frame in frames]).to_series()
    wanted = ids.unique(maintain_order=True)
    for start in range(0, max(len(wanted), 1), _AT_ONCE):
        is_in = pl.col("instruction_id").is_in(wanted[start : start + _AT_ONCE].implode())
        yield tuple(frame.filter(is_in) for frame in frames)


def asked(texts: pl.DataFrame) -> list[str]:
    """The column of what texts answer, if they have one."""
    return [name for name in texts.columns if name == "query"]


def contradicted(texts: pl.DataFrame, outcomes: pl.DataFrame, bound: Threshold) -> pl.DataFrame:
    """Return the texts whose verdicts are not what their side of the data promises.

    Args:
        texts: ``input_id``, and ``passes``: whether the text should pass by ``bound`` or should
            pass no verifier at all.
        outcomes: ``OUTCOME_SCHEMA`` of executing the instruction's verifiers again.
        bound: The share of verdicts that must be ``pass``.

    Returns:
        ``input_id``, ``passes``, ``passed``, ``failed``. A text without a verdict does not pass.
    """
    passed, verdicts = pl.col("passed"), pl.col("passed") + pl.col("failed")
    tallies = outcomes.group_by("input_id").agg(
        passed=(pl.col("outcome") == "pass").sum().cast(pl.Int64),
        failed=(pl.col("outcome") == "fail").sum().cast(pl.Int64),
    )
    does_pass = bound.accepts(pl.when(verdicts > 0).then(passed / verdicts)).fill_null(False)
    return (
        texts.select("input_id", "passes")
        .join(tallies, on="input_id", how="left", maintain_order="left")
        .with_columns(pl.col("passed", "failed").fill_null(0))
        .filter(pl.when("passes").then(~does_pass).otherwise(passed > 0))
    )
