"""What people hand in for a seed: verifiers and test cases of their own.

They are no completions: nothing is asked for them. From here on they go the way of the others,
marked with their origin; what cross-validation makes of them is said there.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import polars as pl

from autoif_assets.method.gates import REJECTED
from autoif_assets.method.ids import content_id
from autoif_assets.method.parsing import ParsedCase, parse_case
from autoif_assets.method.verifiers import (
    CASE_SCHEMA,
    USER,
    case_id_of,
    decided_candidates,
    decided_cases,
)

_WRONG = {
    "source_too_long": "is too long",
    "too_deep": "is nested too deeply",
    "syntax_error": "is not Python",
    "forbidden_import": "imports {}, which no verifier may",
    "no_evaluate": "defines no function named evaluate",
    "wrong_arity": "has an evaluate that takes neither (response) nor (response, query)",
}


class WrongCheck(ValueError):
    """What people hand in cannot be used; the message says why."""


def read_verifiers(value: object, static_check: Callable[[str], str | None]) -> list[str]:
    """Read what stands under ``verifier``: a source, a list of them, or such a list as JSON text.

    Args:
        value: As JSON or a cell of a table has it; null and an empty text are none.
        static_check: Returns why a source cannot be a verifier, as ``reason`` or
            ``reason:detail``, or None.

    Raises:
        WrongCheck: One of them is no verifier.
    """
    value = _unpacked(value)
    sources = value if isinstance(value, list) else [value]
    found = []
    for number, source in enumerate(sources, start=1):
        named = f"verifier {number}" if len(sources) > 1 else "the verifier"
        if not isinstance(source, str) or not source.strip():
            raise WrongCheck(f"{named} is no text; expected Python that defines evaluate(response)")
        if problem := static_check(source):
            reason, _, detail = problem.partition(":")
            raise WrongCheck(
                f"{named} {_WRONG.get(reason, reason).format(detail)}; "
                "expected Python that defines evaluate(response)"
            )
        found.append(source)
    return list(dict.fromkeys(found))


def read_cases(value: object) -> list[dict[str, Any]]:
    """Read what stands under ``cases``: a list of ``input`` and ``output``, perhaps as JSON text.

    Args:
        value: As JSON or a cell of a table has it; null and an empty text are none.

    Returns:
        Each with ``input``, ``output`` (a bool) and, where it has one, ``query``.

    Raises:
        WrongCheck: It is no such list, or one of them is no case.
    """
    value = _unpacked(value)
    if not isinstance(value, list):
        raise WrongCheck('the cases are no list; expected [{"input": "...", "output": true}, ...]')
    found = []
    for number, one in enumerate(value, start=1):
        case = parse_case(one)
        if case.problem is not None:
            raise WrongCheck(
                f'case {number} cannot be used: {case.problem}; expected {{"input": "...", '
                '"output": true}'
            )
        asked = {} if case.query is None else {"query": case.query}
        found.append({"input": case.input, "output": case.expected, **asked})
    return together([found])


def _unpacked(value: object) -> object:
    """Return a value that may be JSON text, as in a cell of CSV; null and no text are no list."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return [] if value is None or (isinstance(value, str) and not value.strip()) else value


def together(lists: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the distinct cases of several lists.

    Raises:
        WrongCheck: One text is to pass by one of them and to fail by another.
    """
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for case in (case for cases in lists for case in cases):
        known = found.setdefault((case["input"], case.get("query")), case)
        if known["output"] != case["output"]:
            shown = case["input"] if len(case["input"]) <= 60 else f"{case['input'][:60]}…"
            raise WrongCheck(f"the cases say both true and false of the text {shown!r}")
    return list(found.values())


def handed_in(seeds: pl.DataFrame, instructions: pl.DataFrame) -> pl.DataFrame:
    """Return ``instruction_id``, ``verifier``, ``cases`` of instructions that come with either.

    Args:
        seeds: Accepted ``seed_instructions``.
        instructions: ``instruction_id``.
    """
    checked = seeds.filter(pl.any_horizontal(pl.col("verifier", "cases").is_not_null()))
    return instructions.select("instruction_id").join(
        checked.select("instruction_id", "verifier", "cases"),
        on="instruction_id",
        maintain_order="left",
    )


def unchecked(instructions: pl.DataFrame, handed: pl.DataFrame) -> pl.DataFrame:
    """Return the instructions that come without a verifier, for which functions are asked."""
    checked = handed.filter(pl.col("verifier").is_not_null())
    return instructions.join(checked, on="instruction_id", how="anti", maintain_order="left")


def read_handed_in(
    handed: pl.DataFrame,
    static_check: Callable[[str], str | None],
    canonical_source: Callable[[str], str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make rows of what people hand in.

    Args:
        handed: From ``handed_in``.
        static_check: As of ``parse_candidates``; the modules that are allowed may be others than
            when the seeds were read.
        canonical_source: As there.

    Returns:
        ``verifier_candidates`` and ``test_cases``, both without ``batch``.
    """
    candidates: list[tuple[object, ...]] = []
    cases: list[tuple[object, ...]] = []
    for instruction_id, verifiers, texts in handed.iter_rows():
        for sample, source in enumerate(json.loads(verifiers or "[]")):
            reason, _, detail = (static_check(source) or "").partition(":")
            verifier_id = content_id("verifier", instruction_id, canonical_source(source))
            made = (instruction_id, sample, verifier_id, source, None, None, None)
            candidates.append((*made, detail or None, reason or None))
        for position, one in enumerate(json.loads(texts or "[]")):
            case = ParsedCase(one["input"], one["output"], query=one.get("query"))
            row = (case_id_of(instruction_id, case), case.input, case.query, case.expected)
            cases.append((instruction_id, 0, position, *row, None, None))
    frame = pl.DataFrame(cases, schema=CASE_SCHEMA, orient="row")
    return decided_candidates(candidates, USER), decided_cases(frame, USER)


def beside_handed_in(handed: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Put people's cases before the others, which give way to them.

    Args:
        handed: ``test_cases`` that people handed in.
        others: The other ``test_cases``.

    Returns:
        All of them. Reasons: ``duplicate`` and ``contradicts_user``, of a text that is to pass by
        one and to fail by the other.
    """
    theirs = handed.filter(pl.col("reason").is_null()).select(
        *("instruction_id", "input", "query"), said="expected"
    )
    joined = others.join(
        theirs,
        on=["instruction_id", "input", "query"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    repeats = pl.col("said") == pl.col("expected")
    reason = pl.coalesce(
        "reason",
        pl.when(repeats).then(pl.lit("duplicate")),
        pl.when(~repeats).then(pl.lit("contradicts_user")),
    )
    given = joined.with_columns(reason=reason).with_columns(
        status=pl.when(pl.col("reason").is_null()).then("status").otherwise(pl.lit(REJECTED))
    )
    return pl.concat([handed, given.select(handed.columns)])
