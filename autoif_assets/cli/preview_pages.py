"""What a preview shows of each instruction, as pages for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.rule import Rule

from autoif_assets.cli.pages import TEXT_CHARS, pair_page, panel, plain, python, table
from autoif_assets.method.gates import ACCEPTED
from autoif_assets.reports.reasons import count_reasons, explain, rejected_because
from autoif_assets.trial import Trial
from autoif_assets.warehouse import TABLES

_CASES = 12

Row = Mapping[str, Any]


def pages(trial: Trial) -> Iterator[RenderableType]:
    """Yield what is shown of each instruction, and at the end what each stage kept."""
    going = trial.tables["augmented_instructions"]
    for number, row in enumerate(going.iter_rows(named=True), 1):
        of = {
            name: rows.filter(instruction_id=row["instruction_id"])
            for name, rows in trial.tables.items()
            if "instruction_id" in rows.columns
        }
        yield Rule(plain(f"Instruction {number} of {going.height}", style="bold"))
        yield from _instruction(row, of)
    yield Rule(plain("What each stage kept", style="bold"))
    yield _funnel(trial)


def _instruction(row: Row, of: Mapping[str, pl.DataFrame]) -> Iterator[RenderableType]:
    verdict = _first(of.get("verified_instructions"))
    said = [plain(row["instruction"], style="bold")]
    if verdict is not None:
        fate = (
            "verified" if verdict["status"] == ACCEPTED else _why("verified_instructions", verdict)
        )
        said.append(plain(fate, style=_colour(verdict)))
    yield panel(f"Instruction, {row['category'] or 'of no category'}", *said)
    yield from _verifier(of)
    yield from _responses(of)
    yield from _pair(of)


def _verifier(of: Mapping[str, pl.DataFrame]) -> Iterator[RenderableType]:
    """Yield the best verifier with its cases: one in use if there is one."""
    found = _best(of)
    if found is None:
        if "verifier_candidates" in of:
            yield panel("No verifier", *_rejections("verifier_candidates", of), style="red")
        return
    stage, best = found
    facts = [f"written by {best['samples']} of {_samples(of)} samples"] if best["samples"] else []
    if best["accuracy"] is not None:
        facts.append(f"agrees with {best['accuracy']:.0%} of the surviving cases")
    if best.get("mutants"):
        facts.append(f"{best['told_apart']} of its {best['mutants']} mutants told apart")
    verdict = _first(of.get("verified_instructions"))
    verified = verdict is not None and verdict["status"] == ACCEPTED
    if best["status"] != ACCEPTED:
        fate = _why(stage, best)
    else:
        # Of an instruction that is rejected no verifier is in use.
        fate = "in use" if verified and stage == "verifier_audits" else f"kept by {stage}"
    parts: list[RenderableType] = [
        python(best["source"]),
        plain("; ".join([fate, *facts]), style=_colour(best)),
    ]
    told = of.get("back_translations")
    said = None if told is None else _first(told.filter(verifier_id=best["verifier_id"]))
    if said is not None and said["back_translation"]:
        parts.append(
            plain(f"In words: {said['back_translation']} ({said['nli_label'] or 'no label'})", 400)
        )
    yield panel("Best verifier", *parts, style="green" if fate == "in use" else "red")
    cases = of.get("verifier_cases")
    if cases is not None and cases.height:
        yield _cases(cases)


def _best(of: Mapping[str, pl.DataFrame]) -> tuple[str, Row] | None:
    """Return the best function, and the last stage that judged it."""
    for stage in ("verifier_audits", "verifiers"):
        rows = of.get(stage)
        if rows is not None and rows.height:
            kept = rows.with_columns(_kept=pl.col("status") == ACCEPTED)
            order = kept.sort(
                *("_kept", pl.col("accuracy").fill_null(0), "samples", "verifier_id"),
                descending=[True, True, True, False],
            )
            return stage, order.row(0, named=True)
    rows = of.get("verifier_candidates")
    wrote = None if rows is None else _first(rows.drop_nulls("source"))
    return (
        None
        if wrote is None
        else (
            "verifier_candidates",
            {**wrote, "samples": 0, "accuracy": None},
        )
    )


def _samples(of: Mapping[str, pl.DataFrame]) -> int:
    return of["verifier_candidates"].height


def _cases(cases: pl.DataFrame) -> RenderableType:
    # As many of each label, those that were kept first.
    ordered = cases.sort(pl.col("status") != ACCEPTED, "case_id")
    of_label = pl.int_range(pl.len()).over("expected")
    shown = ordered.filter(of_label < _CASES // 2).sort(~pl.col("expected"), maintain_order=True)
    more = cases.height - shown.height
    return Group(
        table(
            ["expected", "text", "#functions agree", "kept"],
            [
                (
                    "pass" if row["expected"] else "fail",
                    repr(row["input"]),
                    f"{row['agreed']} of {row['functions']}",
                    plain(
                        "yes" if row["status"] == ACCEPTED else _why("verifier_cases", row),
                        style=_colour(row),
                    ),
                )
                for row in shown.iter_rows(named=True)
            ],
        ),
        *([plain(f"and {more} more cases")] if more else []),
    )


def _responses(of: Mapping[str, pl.DataFrame]) -> Iterator[RenderableType]:
    """Yield the query, a response that was kept and one that was dropped, with reasons."""
    responses = of.get("responses")
    if responses is None or responses.is_empty():
        return
    prompt = _first(of["augmented_queries"])
    if prompt is not None:
        yield panel("Query", plain(prompt["query"], TEXT_CHARS))
    assessed = _assessed(of, responses)
    for title, rows in (
        ("Kept response", assessed.filter("kept")),
        ("Dropped response", assessed.filter(~pl.col("kept") & pl.col("why").is_not_null())),
    ):
        # One that verifiers judged tells more than one that was cut off.
        first = _first(rows.sort(pl.col("pass_rate").is_null(), "sample"))
        if first is None:
            yield plain(f"No {title.lower()} of {responses.height}.", style="yellow")
            continue
        facts = []
        if first["verifiers"]:
            facts.append(f"{first['passed']} of {first['verifiers']} verifiers pass it")
        if first["score"] is not None:
            facts.append(f"score {first['score']:g}")
        told = "; ".join(filter(None, [first["why"], *facts]))
        colour = "green" if first["kept"] else "red"
        text = first["response"] or ""
        yield panel(title, plain(text, TEXT_CHARS), plain(told, style=colour), style=colour)


def _assessed(of: Mapping[str, pl.DataFrame], responses: pl.DataFrame) -> pl.DataFrame:
    """Return responses with ``kept`` and, of those that are not, ``why``: of the last gate."""
    made = responses.select("response_id", "response", "sample", "status", "reason")
    kept, why = pl.col("status") == ACCEPTED, [_reasons("responses", pl.col("reason"))]
    empty = {"passed": pl.Int64, "verifiers": pl.Int64, "pass_rate": pl.Float64}
    if "response_verdicts" in of:
        verdicts = of["response_verdicts"].select(
            *("response_id", "passed", "verifiers", "pass_rate"),
            verdict_status="status",
            verdict="reason",
        )
        made = made.join(verdicts, on="response_id", how="left")
        kept &= pl.col("verdict_status") == ACCEPTED
        why.append(_reasons("response_verdicts", pl.col("verdict")))
    else:
        made = made.with_columns(pl.lit(None, kind).alias(name) for name, kind in empty.items())
    if "response_scores" in of:
        scores = of["response_scores"].select(
            "response_id", "score", score_status="status", scored="reason"
        )
        made = made.join(scores, on="response_id", how="left")
        kept &= pl.col("score_status") == ACCEPTED
        why.append(_reasons("response_scores", pl.col("scored")))
    else:
        made = made.with_columns(score=pl.lit(None, pl.Float64))
    return made.with_columns(kept=kept.fill_null(False), why=pl.coalesce(*why))


def _reasons(stage: str, reason: pl.Expr) -> pl.Expr:
    return reason.map_elements(
        lambda name: _why(stage, {"reason": name}), return_dtype=pl.String, skip_nulls=True
    )


def _pair(of: Mapping[str, pl.DataFrame]) -> Iterator[RenderableType]:
    for stage, level in (
        ("query_preference_pairs", "query"),
        ("instruction_preference_pairs", "instruction"),
    ):
        found = _first(of.get(stage))
        if found is not None:
            yield pair_page(f"Pair, {level} level", found)
            return
    if "query_preference_pairs" in of:
        yield plain("No pair: that takes a kept response and one that passes no verifier.")


def _rejections(stage: str, of: Mapping[str, pl.DataFrame]) -> list[RenderableType]:
    return [
        plain(f"{count} of {of[stage].height}: {_why(stage, {'reason': reason})}")
        for reason, count in count_reasons(of[stage])
    ]


def _funnel(trial: Trial) -> RenderableType:
    rows = []
    for name, frame in trial.tables.items():
        if not TABLES[name].is_gate:
            continue
        rows.append(
            (
                name,
                str(frame.height),
                str((frame["status"] == ACCEPTED).sum()),
                rejected_because(frame),
            )
        )
    return table(["stage", "#rows", "#kept", "dropped because"], rows)


def _why(stage: str, row: Row) -> str:
    """Return a reason with what it means."""
    meaning = explain(stage, row["reason"])
    return f"{row['reason']}: {meaning}" if meaning else str(row["reason"])


def _first(rows: pl.DataFrame | None) -> Row | None:
    return None if rows is None or rows.is_empty() else rows.row(0, named=True)


def _colour(row: Row) -> str:
    return "green" if row["status"] == ACCEPTED else "red"
