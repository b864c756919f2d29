"""Verifier candidates and test cases, their cross-validation [3.2], and verifiers run again."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import polars as pl
import polars.selectors as cs

from autoif_assets.method.completions import unusable
from autoif_assets.method.gates import ACCEPTED, accepted, decide
from autoif_assets.method.ids import content_id
from autoif_assets.method.parsing import ParsedVerifier, parse_verifier
from autoif_assets.method.prompts import VERIFIER, VERIFIER_WITH_QUERY
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

_NO_VOTE = ("load_error", "nondeterministic")

_CANDIDATE_SCHEMA = {
    "instruction_id": pl.String,
    "sample": pl.Int64,
    "verifier_id": pl.String,
    "source": pl.String,
    "raw": pl.String,
    "finish_reason": pl.String,
    "call_id": pl.String,
    "detail": pl.String,
    "rejection": pl.String,
}
_CASE_SCHEMA = {
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
    names = [module.partition(":")[0] for module in recipe.modules]
    beside = f" and {', '.join(names)}" if names else ""
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
        cases += _cases(row, parsed)
    found = pl.col("rejection")
    # Only what could be a verifier has an original that others may repeat.
    first = pl.when(found.is_null()).then(pl.col("verifier_id")).is_first_distinct()
    candidate_frame = pl.DataFrame(candidates, schema=_CANDIDATE_SCHEMA, orient="row")
    reasons = candidate_frame["rejection"].drop_nulls().unique(maintain_order=True)
    return (
        decide(
            candidate_frame,
            {**{reason: found == reason for reason in reasons}, "duplicate": ~first},
        ).drop("rejection"),
        decide(
            pl.DataFrame(cases, schema=_CASE_SCHEMA, orient="row"),
            {
                "unparsed": pl.col("case_id").is_null(),
                "duplicate": ~pl.col("case_id").is_first_distinct(),
            },
        ),
    )


def _candidate(
    row: Mapping[str, Any],
    parsed: ParsedVerifier,
    static_check: Callable[[str], str | None],
    canonical_source: Callable[[str], str],
) -> tuple[object, ...]:
    """Return the row of ``_CANDIDATE_SCHEMA`` that a completion makes."""
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


def _cases(row: Mapping[str, Any], parsed: ParsedVerifier) -> Iterator[tuple[object, ...]]:
    """Yield the rows of ``_CASE_SCHEMA`` that a completion makes."""
    for position, case in enumerate(parsed.cases):
        case_id = None
        if case.problem is None and case.input is not None:
            # The same text may be expected to pass by one completion and to fail by another.
            asked = () if case.query is None else (case.query,)
            case_id = content_id(
                "case", row["instruction_id"], str(case.expected), case.input, *asked
            )
        yield (
            row["instruction_id"],
            row["sample"],
            position,
            case_id,
            case.input,
            case.query,
            case.expected,
            row["call_id"],
            case.problem,
        )


def verifier_runs(verifiers: pl.DataFrame, inputs: pl.DataFrame) -> pl.DataFrame:
    """Pair every verifier with all the texts of its instruction, one row a verifier.

    Args:
        verifiers: ``verifier_id``, ``instruction_id``, ``source``.
        inputs: ``input_id``, ``instruction_id``, ``input`` and, where texts answer one, ``query``,
            null for those that do not.

    Returns:
        Columns ``verifier_id``, ``source``, ``input_ids`` (list), ``inputs`` (list),
        ``instruction_id`` and, given ``query``, ``queries`` (list). A verifier without texts has
        no row.
    """
    queries = [pl.col(name).alias("queries") for name in _asked(inputs)]
    grouped = inputs.group_by("instruction_id", maintain_order=True).agg(
        *queries, input_ids=pl.col("input_id"), inputs=pl.col("input")
    )
    return verifiers.join(grouped, on="instruction_id", maintain_order="left").select(
        *("verifier_id", "source", "input_ids", "inputs", "instruction_id"), cs.matches("^queries$")
    )


def _asked(texts: pl.DataFrame) -> list[str]:
    """The column of what texts answer, if they have one."""
    return [name for name in texts.columns if name == "query"]


def cross_validate(
    candidates: pl.DataFrame, cases: pl.DataFrame, outcomes: pl.DataFrame, recipe: Recipe
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep the cases most functions agree with, then the functions that agree with most of these.

    A function that does not load, or says now this and now that of one text, has no vote on the
    cases. A function that crashes, times out or returns no bool on a case does not agree with it.

    Args:
        candidates: Accepted ``verifier_candidates``.
        cases: Accepted ``test_cases``, with or without ``query``.
        outcomes: ``OUTCOME_SCHEMA`` with the case id as ``input_id``.
        recipe: ``min_verifiers``, ``min_cases``, ``case_agreement``, ``verifier_agreement``.

    Returns:
        ``verifiers`` and ``verifier_cases``, both without ``batch``. Reasons of a verifier:
        ``load_error``, ``nondeterministic``, ``too_few_verifiers``, ``too_few_cases``,
        ``no_surviving_case``, ``low_agreement``. Reasons of a case: ``no_verifier``,
        ``too_few_verifiers``, ``too_few_cases``, ``low_agreement``.
    """
    # What cannot be loaded, or contradicts itself, is no evidence about a case.
    by_verifier = outcomes.group_by("verifier_id").agg(
        barred=pl.col("outcome").filter(pl.col("outcome").is_in(_NO_VOTE)).first(),
        first_detail=pl.col("detail").drop_nulls().first(),
    )
    functions = candidates.select("verifier_id", "instruction_id", "source").join(
        by_verifier, on="verifier_id", how="left", maintain_order="left"
    )
    voters = functions.filter(pl.col("barred").is_null())
    per_instruction = (
        candidates.select("instruction_id")
        .unique()
        .join(voters.group_by("instruction_id").agg(functions=pl.len()), "instruction_id", "left")
        .join(cases.group_by("instruction_id").agg(all_cases=pl.len()), "instruction_id", "left")
        .with_columns(pl.col("functions", "all_cases").fill_null(0).cast(pl.Int64))
    )
    # Anything but the expected verdict, silence included, is a vote against the case.
    votes = (
        outcomes.join(voters.select("verifier_id"), on="verifier_id", how="semi")
        .join(cases.select("case_id", "expected"), left_on="input_id", right_on="case_id")
        .with_columns(agrees=pl.col("outcome") == _expected_outcome())
    )
    # The authors' code wants 3 functions and 10 cases first; the paper names no such number.
    short = {
        "too_few_verifiers": pl.col("functions") < recipe.min_verifiers,
        "too_few_cases": pl.col("all_cases") < recipe.min_cases,
    }
    verifier_cases = _check_cases(cases, votes, per_instruction, short, recipe)
    # Only cases that most functions agree with can tell a right function from a wrong one [3.2].
    surviving = accepted(verifier_cases).select("case_id")
    votes = votes.join(surviving, left_on="input_id", right_on="case_id", how="semi")
    return _check_functions(functions, votes, per_instruction, short, recipe), verifier_cases


def _check_cases(
    cases: pl.DataFrame,
    votes: pl.DataFrame,
    per_instruction: pl.DataFrame,
    short: Mapping[str, pl.Expr],
    recipe: Recipe,
) -> pl.DataFrame:
    """Return ``verifier_cases``: the cases with the share of functions that agree [3.2]."""
    tallies = votes.group_by("input_id").agg(
        agreed=pl.col("agrees").sum().cast(pl.Int64),
        outcomes=pl.struct("verifier_id", "outcome").sort_by("verifier_id"),
    )
    return decide(
        cases.select("case_id", "instruction_id", "input", *_asked(cases), "expected")
        .join(per_instruction, on="instruction_id", how="left", maintain_order="left")
        .join(tallies, left_on="case_id", right_on="input_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("functions", "agreed").fill_null(0),
            pl.col("all_cases").fill_null(0),
            outcomes=pl.col("outcomes").fill_null(pl.lit([], dtype=OUTCOME_STRUCT)),
        )
        .with_columns(agreement=_share("agreed", "functions")),
        {
            "no_verifier": pl.col("functions") == 0,
            **short,
            "low_agreement": ~recipe.bound("case_agreement").accepts(pl.col("agreement")),
        },
    ).drop("all_cases")


def _check_functions(
    functions: pl.DataFrame,
    votes: pl.DataFrame,
    per_instruction: pl.DataFrame,
    short: Mapping[str, pl.Expr],
    recipe: Recipe,
) -> pl.DataFrame:
    """Return ``verifiers``: the functions with their accuracy on the surviving cases [3.2]."""
    scored = votes.group_by("verifier_id").agg(
        cases=pl.len().cast(pl.Int64), agreed=pl.col("agrees").sum().cast(pl.Int64)
    )
    return decide(
        functions.join(per_instruction, on="instruction_id", how="left", maintain_order="left")
        .join(scored, on="verifier_id", how="left", maintain_order="left")
        .with_columns(pl.col("cases", "agreed").fill_null(0))
        .with_columns(accuracy=_share("agreed", "cases"), detail=pl.col("first_detail")),
        {
            **{reason: pl.col("barred") == reason for reason in _NO_VOTE},
            **short,
            "no_surviving_case": pl.col("cases") == 0,
            "low_agreement": ~recipe.bound("verifier_agreement").accepts(pl.col("accuracy")),
        },
    ).drop("first_detail", "barred", "functions", "all_cases")


def _expected_outcome() -> pl.Expr:
    return pl.when(pl.col("expected")).then(pl.lit("pass")).otherwise(pl.lit("fail"))


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


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
