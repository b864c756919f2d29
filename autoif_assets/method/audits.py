"""Audits of verifiers: what is known of each beside its cases, and which are in use at last.

A verifier that its siblings agree with on every clear text may still be off by one where no text
lies. So slightly changed copies of it, its mutants, are run as well: one that is more often with
the majority than the verifier says that the verifier is the mistaken one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import polars as pl

from autoif_assets.method.cross_validation import agreement_with_auditor, majority
from autoif_assets.method.gates import decide
from autoif_assets.method.ids import content_id
from autoif_assets.method.probes import EDGE, OBEYING, tried_on
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verifiers import outcome_of


class Changed(Protocol):
    """A changed copy of a source."""

    @property
    def source(self) -> str:
        """Its source."""


def mutants_of(
    verifiers: pl.DataFrame, mutate: Callable[[str, int], Iterable[Changed]], recipe: Recipe
) -> pl.DataFrame:
    """Return the mutants of verifiers.

    Equal ones of one instruction have one id, and a row for each verifier that they are of.

    Args:
        verifiers: ``verifier_id``, ``instruction_id``, ``source``.
        mutate: Returns changed copies of a source, at most so many.
        recipe: ``mutants_per_verifier``.

    Returns:
        ``verifier_id`` (of the mutant), ``instruction_id``, ``source``, ``parent_id``.
    """
    rows = [
        (
            content_id("mutant", instruction_id, mutant.source),
            *(instruction_id, mutant.source, verifier_id),
        )
        for verifier_id, instruction_id, parent in verifiers.select(
            "verifier_id", "instruction_id", "source"
        ).iter_rows()
        for mutant in mutate(parent, recipe.mutants_per_verifier)
    ]
    names = ("verifier_id", "instruction_id", "source", "parent_id")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").unique(
        ["verifier_id", "parent_id"], maintain_order=True
    )


def audit_texts(
    cases: pl.DataFrame,
    probes: pl.DataFrame,
    verifiers: pl.DataFrame,
    answers: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    """Return what verifiers and their mutants are tried on.

    Where there are no mutants to be told from their verifiers, that is what nobody else tells:
    whether they give edge texts a verdict, and what they say where the auditor has spoken.

    Args:
        cases: Accepted ``verifier_cases``; those of other instructions are left out.
        probes: Accepted ``probe_texts``.
        verifiers: ``instruction_id``.
        answers: ``instruction_id``, ``input_id`` of ``auditor_answers``.
        recipe: ``mutants_per_verifier``.

    Returns:
        ``input_id``, ``instruction_id``, ``input``, ``query``, ``kind``, and ``expected``, null
        but for cases.
    """
    cases = cases.filter(pl.col("instruction_id").is_in(verifiers["instruction_id"].implode()))
    own = cases.select("instruction_id", "input", "query", "expected", input_id="case_id")
    every = pl.concat([own, tried_on(probes, verifiers)], how="diagonal")
    texts = every.unique(["instruction_id", "input_id"], keep="first", maintain_order=True)
    if recipe.mutants_per_verifier:
        return texts
    keys = ["instruction_id", "input_id"]
    asked = answers.select(keys).unique().with_columns(asked=True)
    marked = texts.join(asked, on=keys, how="left", maintain_order="left")
    return marked.filter((pl.col("kind") == EDGE) | pl.col("asked")).drop("asked")


def mutant_trials(
    mutants: pl.DataFrame, verifiers: pl.DataFrame, texts: pl.DataFrame, outcomes: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield mutants, each once, with the texts that something can be learnt from.

    Cases tell whether a mutant is told apart. What it says of other texts matters only where its
    verifier is not always with the majority, for nothing is better than one that is.

    Args:
        mutants: From ``mutants_of``.
        verifiers: ``verifier_id``, ``instruction_id``, ``samples``.
        texts: From ``audit_texts``.
        outcomes: ``OUTCOME_SCHEMA`` of the verifiers on these.

    Yields:
        Rows of ``mutants``, and rows of ``texts``.
    """
    mistaken = _mistakes(outcomes, verifiers, verifiers).filter(pl.col("mistakes") > 0)
    rivals = pl.col("parent_id").is_in(mistaken["verifier_id"].implode()).any().over("verifier_id")
    each = mutants.with_columns(rivals=rivals).unique("verifier_id", maintain_order=True)
    yield each.filter("rivals").drop("rivals"), texts
    yield each.filter(~pl.col("rivals")).drop("rivals"), texts.drop_nulls("expected")


def audit_verifiers(
    verifiers: pl.DataFrame,
    texts: pl.DataFrame,
    outcomes: pl.DataFrame,
    mutants: pl.DataFrame,
    translations: pl.DataFrame,
    answers: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    """Say of each verifier what is known of it, and whether it is in use.

    Args:
        verifiers: Accepted ``verifiers``: ``verifier_id``, ``instruction_id``, ``source``,
            ``origin``, ``samples``, ``accuracy``, ``accuracy_true``, ``accuracy_false``,
            ``sibling_agreement``.
        texts: From ``audit_texts``.
        outcomes: ``OUTCOME_SCHEMA`` of verifiers on these, and of mutants as ``mutant_trials``
            tries them.
        mutants: ``verifier_id``, ``instruction_id``, ``parent_id``.
        translations: ``verifier_id``, ``nli_label`` of ``back_translations``.
        answers: ``instruction_id``, ``input_id``, ``obeys`` of ``auditor_answers``.
        recipe: ``contradiction_rejects``.

    Returns:
        ``verifier_audits`` without ``batch``. Reasons: ``mutant_survives`` (a mutant of it is
        more often with the majority), ``contradiction``.
    """
    mistakes = _mistakes(outcomes, verifiers, pl.concat([verifiers, mutants], how="diagonal"))
    joined = (
        verifiers.join(mistakes, on="verifier_id", how="left", maintain_order="left")
        .join(
            _mutants(outcomes, texts, mutants, mistakes),
            on="verifier_id",
            how="left",
            maintain_order="left",
        )
        .join(_fragile(outcomes, texts), on="verifier_id", how="left", maintain_order="left")
        .join(
            translations.select("verifier_id", "nli_label"),
            on="verifier_id",
            how="left",
            maintain_order="left",
        )
        .join(
            agreement_with_auditor(verifiers, outcomes, answers),
            on="verifier_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col("mistakes", "mutants", "told_apart", "fragile_probes").fill_null(0),
            answers=pl.col("answers").fill_null(0).cast(pl.Int64),
            answers_agreed=pl.col("answers_agreed").fill_null(0).cast(pl.Int64),
        )
    )
    contradicts = pl.col("nli_label") == "contradiction"
    rules = {
        "mutant_survives": pl.col("least_mistakes") < pl.col("mistakes"),
        "contradiction": contradicts & (recipe.contradiction_rejects == "verifier"),
    }
    return decide(joined, rules).select(
        *("verifier_id", "instruction_id", "source", "origin", "samples"),
        *(
            "accuracy",
            "accuracy_true",
            "accuracy_false",
            "sibling_agreement",
            "mutants",
            "told_apart",
        ),
        *("fragile_probes", "answers", "answers_agreed", "nli_label", "status", "reason"),
    )


def _mistakes(
    outcomes: pl.DataFrame, verifiers: pl.DataFrame, functions: pl.DataFrame
) -> pl.DataFrame:
    """Return ``verifier_id``, ``mistakes``: clear texts on which it is not with the verifiers."""
    weighed = verifiers.select("verifier_id", "instruction_id", weight="samples")
    clear = majority(weighed, outcomes).drop_nulls("verdict")
    ids = functions.select("verifier_id", "instruction_id").unique()
    return (
        outcomes.join(ids, on="verifier_id")
        .join(clear, on=["instruction_id", "input_id"])
        .group_by("verifier_id")
        .agg(mistakes=(pl.col("outcome") != outcome_of("verdict")).sum().cast(pl.Int64))
    )


def _mutants(
    outcomes: pl.DataFrame, texts: pl.DataFrame, mutants: pl.DataFrame, mistakes: pl.DataFrame
) -> pl.DataFrame:
    """Return of each verifier its ``mutants``, those ``told_apart``, their ``least_mistakes``.

    A mutant is told apart where a surviving case gets another verdict from it.
    """
    cases = texts.drop_nulls("expected").select("input_id").unique()
    said = outcomes.join(cases, on="input_id", how="semi").select(
        "verifier_id", "input_id", "outcome"
    )
    apart = (
        said.join(mutants.select("verifier_id", "parent_id"), on="verifier_id")
        .join(said.rename({"verifier_id": "parent_id"}), on=["parent_id", "input_id"], suffix="_of")
        .group_by("verifier_id", "parent_id")
        .agg(differs=(pl.col("outcome") != pl.col("outcome_of")).any())
    )
    return (
        mutants.join(apart, on=["verifier_id", "parent_id"], how="left")
        .join(mistakes, on="verifier_id", how="left")
        .group_by(verifier_id="parent_id")
        .agg(
            mutants=pl.len().cast(pl.Int64),
            told_apart=pl.col("differs").sum().cast(pl.Int64),
            least_mistakes=pl.col("mistakes").min(),
        )
    )


def _fragile(outcomes: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Return ``verifier_id``, ``fragile_probes``: edge texts that get no verdict from it."""
    edges = texts.filter(pl.col("kind") == EDGE).select("input_id").unique()
    return (
        outcomes.join(edges, on="input_id", how="semi")
        .group_by("verifier_id")
        .agg(fragile_probes=(~pl.col("outcome").is_in(["pass", "fail"])).sum().cast(pl.Int64))
    )


def pool(probes: pl.DataFrame, verifiers: pl.DataFrame) -> pl.DataFrame:
    """Return all probe texts with a place, for each instruction that has verifiers.

    Args:
        probes: Accepted ``probe_texts``.
        verifiers: ``instruction_id``.

    Returns:
        ``input_id``, ``instruction_id``, ``input``, ``kind``.
    """
    placed = probes.drop_nulls("place").sort("place").select("input", "kind", input_id="probe_id")
    return verifiers.select("instruction_id").unique(maintain_order=True).join(placed, how="cross")


def verdict_matrix(
    verifiers: pl.DataFrame, probes: pl.DataFrame, outcomes: pl.DataFrame
) -> pl.DataFrame:
    """Say of each instruction which probe texts obey it.

    Args:
        verifiers: Those in use: ``verifier_id``, ``instruction_id``, ``samples``.
        probes: Accepted ``probe_texts``.
        outcomes: ``OUTCOME_SCHEMA`` of these verifiers on ``pool``.

    Returns:
        ``verdict_matrix`` without ``batch``.
    """
    placed = probes.drop_nulls("place").sort("place")
    weighed = verifiers.select("verifier_id", "instruction_id", weight="samples")
    said = majority(weighed, outcomes).with_columns(
        # Not two thirds, as among candidates: these were all found to be right.
        obeys=pl.col("passing") > pl.col("failing"),
        known=pl.col("passing") + pl.col("failing") > 0,
    )
    grid = (
        verifiers.select("instruction_id")
        .unique(maintain_order=True)
        .join(
            placed.select("place", "kind", input_id="probe_id", written_for="instruction_id"),
            how="cross",
        )
        .join(said, on=["instruction_id", "input_id"], how="left", maintain_order="left")
        .with_columns(pl.col("obeys", "known").fill_null(False))
    )
    is_own = (pl.col("written_for") == pl.col("instruction_id")).fill_null(False)
    obeys, known = pl.col("obeys"), pl.col("known")
    others = known & ~is_own & (pl.col("kind") != EDGE)

    def bits(column: pl.Expr) -> pl.Expr:
        return column.cast(pl.Int8).cast(pl.String).str.join("")

    return grid.group_by("instruction_id", maintain_order=True).agg(
        texts=pl.len().cast(pl.Int64),
        verdicts=bits(obeys & known),
        known=bits(known),
        base_rate=obeys.filter(others).mean(),
        own_rate=obeys.filter(known & is_own & (pl.col("kind") == OBEYING)).mean(),
    )
