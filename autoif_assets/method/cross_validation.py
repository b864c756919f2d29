"""Cross-validation of verifiers and cases [3.2], and what else tells right verifiers from wrong.

Agreement is not correctness. The paper keeps the cases most functions agree with, then the
functions that agree with most of these; so five equal constants of eight are always kept, for the
cases that contradict them die. Where a recipe asks for it, votes are those of the samples,
constants have none, each label counts for itself, functions are compared on texts that none of
them was written with, and an auditor decides where they differ. Each gate has a reason of its own
and is off in the recipes `paper` and `authors_code`.

What people hand in is executed and judged as the rest is, but not for being alone. A case of theirs
needs no votes: most functions being wrong about it is what it is handed in for. A function of
theirs needs neither siblings nor a number of cases, by label or in all, and a model's cases that
die beside it do not count against it, for the only votes there are people's own. It is rejected for
what it does: it does not load, contradicts itself, says the same of all other texts, has no verdict
on an edge text, or is not with the cases or with most of its siblings, if it has any.
"""

from dataclasses import dataclass, replace

import polars as pl

from autoif_assets.method.gates import accepted, decide
from autoif_assets.method.ids import id_series
from autoif_assets.method.probes import EDGE, OWN
from autoif_assets.method.recipe import Recipe, Threshold
from autoif_assets.method.tried import Tried
from autoif_assets.method.verifiers import (
    OUTCOME_STRUCT,
    USER,
    outcome_of,
)

_NO_VOTE = ("load_error", "nondeterministic")
# Texts beside a function's own cases that tell whether it is constant; of fewer all count.
_OTHER_TEXTS = 8
# Where two thirds of the votes agree, the rest is mistaken; below, nobody knows who is.
_DECISIVE = 2 / 3
# What the auditor says counts between sides of this share of the votes, on so many texts.
_A_SIDE, _ANSWERS = 0.25, 2


@dataclass(frozen=True)
class Judged:
    """What cross-validation finds.

    Attributes:
        verifiers: ``verifiers`` without ``batch``.
        cases: ``verifier_cases`` without ``batch``.
        said: From ``majority``: what most of those with a vote say of all texts.
    """

    verifiers: pl.DataFrame
    cases: pl.DataFrame
    said: pl.DataFrame


def cross_validate(tried: Tried, recipe: Recipe) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the ``verifiers`` and the ``cases`` of `judge`."""
    judged = judge(tried, recipe)
    return judged.verifiers, judged.cases


def judge(tried: Tried, recipe: Recipe) -> Judged:
    """Keep the cases most votes agree with, then the functions that agree with these.

    A function that does not load, or says now this and now that of one text, has no vote. A
    function that crashes, times out or returns no bool on a case does not agree with it. What
    people handed in is exempt from ``too_few_verifiers``, ``too_few_cases``,
    ``no_surviving_case``, ``few_cases_survive`` and ``unbalanced_cases``, their cases from
    ``low_agreement``.

    Args:
        tried: Functions, cases and probe texts, and what came of them.
        recipe: ``min_verifiers``, ``min_cases``, ``case_agreement``, ``verifier_agreement``; the
            gates beyond the paper's: ``count_samples``, ``reject_constants``,
            ``min_cases_per_label``, ``surviving_cases``, ``agreement_by_label``,
            ``sibling_agreement``, ``reject_fragile``, ``auditor_min_agreement`` and, without
            which no auditor is heard, ``audited_texts_per_instruction``.

    Returns:
        What it finds. Reasons of a verifier, in their order:
        ``load_error``, ``nondeterministic``, ``constant``, ``auditor_disagrees``,
        ``too_few_verifiers``, ``too_few_cases``, ``no_surviving_case``, ``few_cases_survive``,
        ``unbalanced_cases``, ``low_agreement``, ``outvoted``, ``fragile``. Reasons of a case:
        ``no_verifier``, ``too_few_verifiers``, ``too_few_cases``, ``low_agreement``.
    """
    if not recipe.audited_texts_per_instruction:
        tried = replace(tried, answers=tried.answers.clear())
    functions = _votes(tried, recipe)
    said = majority(functions, tried.outcomes)
    tried = _with_labelled(tried, functions, said)
    per_instruction = _per_instruction(functions, tried.cases)
    # The authors' code wants 3 functions and 10 cases first; the paper names no such number.
    sampled = ~pl.col("trusted").fill_null(False)
    short = {
        "too_few_verifiers": (pl.col("functions") < recipe.min_verifiers) & sampled,
        "too_few_cases": (pl.col("all_cases") < recipe.min_cases) & sampled,
    }
    cases = _check_cases(tried, functions, per_instruction, short, recipe)
    agreement = siblings(tried, functions, said)
    verifiers = _check_functions(tried, functions, agreement, cases, per_instruction, short, recipe)
    return Judged(verifiers, cases, said)


def eligible(tried: Tried, recipe: Recipe) -> pl.DataFrame:
    """Return who may vote before an auditor has spoken.

    Args:
        tried: The functions, and what they said.
        recipe: ``count_samples`` and ``reject_constants``.

    Returns:
        ``tried.functions`` with ``weight``, the votes of a function: 0 where it is ``barred``
        (a reason) or ``constant``; and ``first_detail``, the first thing that went wrong.
    """
    # What cannot be loaded, or contradicts itself, is no evidence about a case.
    by_verifier = tried.outcomes.group_by("verifier_id").agg(
        barred=pl.col("outcome").filter(pl.col("outcome").is_in(_NO_VOTE)).first(),
        first_detail=pl.col("detail").drop_nulls().first(),
    )
    functions = tried.functions.join(
        by_verifier, on="verifier_id", how="left", maintain_order="left"
    ).join(constants(tried), on="verifier_id", how="left", maintain_order="left")
    samples = pl.col("samples") if recipe.count_samples else pl.lit(1)
    is_constant = pl.col("constant").fill_null(False) & recipe.reject_constants
    may_vote = pl.col("barred").is_null() & ~is_constant
    return functions.with_columns(
        constant=is_constant, weight=pl.when(may_vote).then(samples).otherwise(0).cast(pl.Int64)
    )


def _votes(tried: Tried, recipe: Recipe) -> pl.DataFrame:
    """Return ``eligible`` with ``doubted``: those that the auditor contradicts have no vote."""
    functions = eligible(tried, recipe)
    is_doubted = pl.col("verifier_id").is_in(
        disagreeing(functions, tried, recipe.auditor_min_agreement).implode()
    )
    return functions.with_columns(
        doubted=is_doubted, weight=pl.when(is_doubted).then(0).otherwise("weight")
    )


def constants(tried: Tried) -> pl.DataFrame:
    """Return ``verifier_id``, ``constant``: whether a function says the same of every text.

    Its own cases do not count, so that one which knows them by heart is constant too; nor do the
    texts that no model wrote, so that one which wants no more than some text is. With fewer than
    eight others all texts count.
    """
    edges = tried.probes.filter(pl.col("kind") == EDGE).select("input_id").unique()
    said = tried.outcomes.filter(pl.col("outcome").is_in(["pass", "fail"])).join(
        edges, on="input_id", how="anti"
    )
    others = said.join(tried.authors, on=["verifier_id", "input_id"], how="anti")
    passes = (pl.col("outcome") == "pass").sum()

    def tallied(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        return frame.group_by("verifier_id").agg(
            pl.min_horizontal(passes, pl.len() - passes).alias(f"rarer_{name}"),
            pl.len().alias(f"texts_{name}"),
        )

    enough = pl.col("texts_others").fill_null(0) >= _OTHER_TEXTS
    return (
        tallied(said, "all")
        .join(tallied(others, "others"), on="verifier_id", how="left")
        .select(
            "verifier_id",
            constant=pl.when(enough)
            .then(pl.col("rarer_others") == 0)
            # Three cases of one label say nothing of a function.
            .otherwise((pl.col("rarer_all") == 0) & (pl.col("texts_all") >= _OTHER_TEXTS)),
        )
    )


def disagreeing(functions: pl.DataFrame, tried: Tried, least: float) -> pl.Series:
    """Return the ids of functions that the auditor contradicts more often than not.

    Texts count on which each side has a quarter of the votes: it decides between many, and not
    for one against all. Where it agrees with no function on ``least`` of these, it is the auditor
    that is doubted; and of a single answer nothing is concluded.

    Args:
        functions: ``verifier_id``, ``instruction_id``, ``weight``.
        tried: What they said, and the auditor's answers.
        least: Share of the answers that the best function must agree with.
    """
    heard = functions.filter(pl.col("weight") > 0)
    sides = majority(heard, tried.outcomes.join(tried.answers, on="input_id", how="semi"))
    open_texts = sides.filter(pl.min_horizontal("passing", "failing") >= _A_SIDE)
    counted = tried.answers.join(open_texts, on=["instruction_id", "input_id"], how="semi")
    agreement = agreement_with_auditor(heard, tried.outcomes, counted)
    share = pl.col("answers_agreed") / pl.col("answers")
    best = share.max().over("instruction_id")
    wrong = (pl.col("answers") >= _ANSWERS) & (best >= least) & (share < 0.5)
    return heard.join(agreement, on="verifier_id").filter(wrong)["verifier_id"]


def agreement_with_auditor(
    functions: pl.DataFrame, outcomes: pl.DataFrame, answers: pl.DataFrame
) -> pl.DataFrame:
    """Return ``verifier_id``, ``answers`` on what it was run on, ``answers_agreed`` of them.

    Args:
        functions: ``verifier_id``, ``instruction_id``.
        outcomes: ``OUTCOME_SCHEMA``.
        answers: ``ANSWER_SCHEMA``.
    """
    return (
        outcomes.join(functions.select("verifier_id", "instruction_id"), on="verifier_id")
        .join(answers, on=["instruction_id", "input_id"])
        .group_by("verifier_id")
        .agg(answers=pl.len(), answers_agreed=(pl.col("outcome") == outcome_of("obeys")).sum())
    )


def majority(functions: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return what most votes say of each text.

    Args:
        functions: ``verifier_id``, ``instruction_id``, ``weight``.
        outcomes: ``OUTCOME_SCHEMA``.

    Returns:
        ``instruction_id``, ``input_id``, ``passing`` and ``failing`` (shares of the votes), and
        ``verdict``: null where less than two thirds of the votes agree.
    """
    total = pl.col("weight").sum()
    shares = (
        outcomes.join(functions.filter(pl.col("weight") > 0), on="verifier_id")
        .group_by("instruction_id", "input_id", maintain_order=True)
        .agg(
            passing=pl.col("weight").filter(pl.col("outcome") == "pass").sum() / total,
            failing=pl.col("weight").filter(pl.col("outcome") == "fail").sum() / total,
        )
    )
    return shares.with_columns(
        verdict=pl.when(pl.col("passing") >= _DECISIVE)
        .then(True)
        .when(pl.col("failing") >= _DECISIVE)
        .then(False)
    )


def _with_labelled(tried: Tried, functions: pl.DataFrame, said: pl.DataFrame) -> Tried:
    """Add the probe texts as cases on whose label most votes and the auditor agree."""
    if tried.answers.is_empty():
        return tried
    labelled = (
        said.join(tried.answers, on=["instruction_id", "input_id"])
        .filter(pl.col("verdict") == pl.col("obeys"))
        .join(tried.probes, on=["instruction_id", "input_id"])
        .join(tried.cases, on=["instruction_id", "input"], how="anti")
        .sort("instruction_id", "input_id")
        # A text that was written for two instructions has two ids.
        .unique(["instruction_id", "input"], keep="first", maintain_order=True)
        .select(
            *("input_id", "instruction_id", "input"),
            expected="obeys",
            origin=pl.lit("probe"),
        )
    )
    expected = labelled["expected"].cast(pl.String).str.to_titlecase()
    ids = id_series("case", labelled["instruction_id"], expected, labelled["input"])
    named = labelled.with_columns(case_id=ids)
    cases = pl.concat([tried.cases, named.drop("input_id")], how="diagonal")
    # One text is a case of each instruction for itself.
    said = (
        tried.outcomes.join(functions.select("verifier_id", "instruction_id"), on="verifier_id")
        .join(named.select("instruction_id", "input_id", "case_id"), ["instruction_id", "input_id"])
        .with_columns(input_id="case_id")
        .select(tried.outcomes.columns)
    )
    outcomes = pl.concat([tried.outcomes, said])
    return replace(tried, cases=cases.select(tried.cases.columns), outcomes=outcomes)


def _per_instruction(functions: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    """Return what there is of each instruction.

    ``instruction_id``, ``functions`` and ``votes`` that are heard, ``all_cases``, and whether its
    functions are ``trusted``: people's.
    """
    return (
        functions.group_by("instruction_id", maintain_order=True)
        .agg(
            functions=(pl.col("weight") > 0).sum(),
            votes=pl.col("weight").sum(),
            trusted=(pl.col("origin") == USER).any(),
        )
        .join(cases.group_by("instruction_id").agg(all_cases=pl.len()), "instruction_id", "left")
        .with_columns(pl.col("functions", "votes", "all_cases").fill_null(0).cast(pl.Int64))
    )


def _ballots(tried: Tried, functions: pl.DataFrame) -> pl.DataFrame:
    """Return what functions that may load say of cases, and whether that is what is expected."""
    # Anything but the expected verdict, silence included, is a vote against the case.
    heard = functions.filter(pl.col("barred").is_null()).select(
        "verifier_id", "instruction_id", "weight"
    )
    return (
        tried.outcomes.join(heard, on="verifier_id", how="inner", maintain_order="left")
        .join(
            # A case of one instruction is a text like any other to the next.
            tried.cases.select("instruction_id", "expected", input_id="case_id"),
            on=["instruction_id", "input_id"],
            maintain_order="left",
        )
        .with_columns(agrees=pl.col("outcome") == outcome_of("expected"))
    )


def _check_cases(
    tried: Tried,
    functions: pl.DataFrame,
    per_instruction: pl.DataFrame,
    short: dict[str, pl.Expr],
    recipe: Recipe,
) -> pl.DataFrame:
    """Return ``verifier_cases``: the cases with the share of the votes that agree [3.2]."""
    tallies = (
        _ballots(tried, functions)
        .filter(pl.col("weight") > 0)
        .group_by("input_id")
        .agg(
            agreed=pl.col("agrees").sum().cast(pl.Int64),
            voted=pl.col("weight").filter("agrees").sum().cast(pl.Int64),
            outcomes=pl.struct("verifier_id", "outcome").sort_by("verifier_id"),
        )
    )
    return decide(
        tried.cases.join(per_instruction, on="instruction_id", how="left", maintain_order="left")
        .join(tallies, left_on="case_id", right_on="input_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("functions", "votes", "agreed", "voted", "all_cases").fill_null(0),
            outcomes=pl.col("outcomes").fill_null(pl.lit([], dtype=OUTCOME_STRUCT)),
        )
        .with_columns(agreement=_share("voted", "votes")),
        {
            "no_verifier": pl.col("functions") == 0,
            **short,
            "low_agreement": ~recipe.bound("case_agreement").accepts(pl.col("agreement"))
            & (pl.col("origin") != USER),
        },
    ).drop("all_cases", "votes", "voted", "trusted")


def _check_functions(
    tried: Tried,
    functions: pl.DataFrame,
    agreement: pl.DataFrame,
    cases: pl.DataFrame,
    per_instruction: pl.DataFrame,
    short: dict[str, pl.Expr],
    recipe: Recipe,
) -> pl.DataFrame:
    """Return ``verifiers``: the functions with their accuracy on the surviving cases [3.2]."""
    # Only cases that most functions agree with can tell a right function from a wrong one [3.2].
    surviving = accepted(cases).select(input_id="case_id")
    ballots = _ballots(tried, functions).join(surviving, on="input_id", how="semi")
    agreed = pl.col("agrees").sum().cast(pl.Int64)
    scored = ballots.group_by("verifier_id").agg(
        cases=pl.len().cast(pl.Int64),
        agreed=agreed,
        accuracy_true=pl.col("agrees").filter("expected").mean(),
        accuracy_false=pl.col("agrees").filter(~pl.col("expected")).mean(),
    )
    joined = (
        functions.join(per_instruction, on="instruction_id", how="left", maintain_order="left")
        .join(_balance(cases), on="instruction_id", how="left", maintain_order="left")
        .join(scored, on="verifier_id", how="left", maintain_order="left")
        .join(agreement, on="verifier_id", how="left", maintain_order="left")
        .join(_fragile(tried), on="verifier_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("cases", "agreed", "surviving_true", "surviving_false").fill_null(0),
            accuracy=_share("agreed", "cases"),
            detail=pl.col("first_detail"),
        )
    )
    by_label = recipe.bound("agreement_by_label")
    is_sampled = pl.col("origin") != USER
    rules = {
        **{reason: pl.col("barred") == reason for reason in _NO_VOTE},
        # Before what is short: an instruction with constants alone has no function that counts.
        "constant": pl.col("constant"),
        "auditor_disagrees": pl.col("doubted"),
        **short,
        "no_surviving_case": (pl.col("cases") == 0) & is_sampled,
        "few_cases_survive": ~recipe.bound("surviving_cases").accepts(pl.col("surviving"))
        & is_sampled,
        "unbalanced_cases": (
            pl.min_horizontal("surviving_true", "surviving_false") < recipe.min_cases_per_label
        )
        & is_sampled,
        "low_agreement": ~recipe.bound("verifier_agreement").accepts(pl.col("accuracy"))
        | _below(by_label, "accuracy_true")
        | _below(by_label, "accuracy_false"),
        "outvoted": _below(recipe.bound("sibling_agreement"), "sibling_agreement"),
        "fragile": pl.col("fragile").fill_null(False) & recipe.reject_fragile,
    }
    kept = [*tried.functions.columns, "cases", "agreed", "accuracy", "accuracy_true"]
    kept += ["accuracy_false", "sibling_agreement", "detail", "status", "reason"]
    return decide(joined, rules).select(kept)


def _balance(cases: pl.DataFrame) -> pl.DataFrame:
    """Return by instruction how many cases of each label survive, and the share of all."""
    lives = pl.col("reason").is_null()
    return cases.group_by("instruction_id").agg(
        surviving_true=(lives & pl.col("expected")).sum(),
        surviving_false=(lives & ~pl.col("expected")).sum(),
        surviving=lives.mean(),
    )


def siblings(tried: Tried, functions: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """Return ``verifier_id``, ``sibling_agreement``: how often a function is with the majority.

    That is what ``majority`` returns. Of the texts that were written for its instruction, those
    count on which it is clear; having no verdict is disagreement.
    """
    own = tried.probes.filter(pl.col("kind").is_in(OWN)).select("input_id", "instruction_id")
    # A probe text that became a case is one text.
    cases = tried.cases.filter(pl.col("origin") != "probe")
    texts = pl.concat([own, cases.select("instruction_id", input_id="case_id")], how="diagonal")
    clear = said.drop_nulls("verdict").join(texts, on=["instruction_id", "input_id"], how="semi")
    return (
        tried.outcomes.join(functions.select("verifier_id", "instruction_id"), on="verifier_id")
        .join(clear, on=["instruction_id", "input_id"])
        .group_by("verifier_id")
        .agg(sibling_agreement=(pl.col("outcome") == outcome_of("verdict")).mean())
    )


def _fragile(tried: Tried) -> pl.DataFrame:
    """Return ``verifier_id``, ``fragile``: whether an edge text gets no verdict from it.

    Blank ones do not count: no verifier is asked about a blank response, which is rejected before.
    """
    holds_some = pl.col("input").str.strip_chars() != ""
    edges = tried.probes.filter((pl.col("kind") == EDGE) & holds_some).select("input_id").unique()
    return (
        tried.outcomes.join(edges, on="input_id", how="semi")
        .group_by("verifier_id")
        .agg(fragile=(~pl.col("outcome").is_in(["pass", "fail"])).any())
    )


def _below(bound: Threshold, column: str) -> pl.Expr:
    """Whether a share is known and not within its bound."""
    return ~bound.accepts(pl.col(column)).fill_null(True)


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))
