"""Back-translation of verifiers and the check that it does not contradict the instruction [3.2]."""

import polars as pl

from autoif_assets.method.completions import unusable, usable
from autoif_assets.method.gates import decide
from autoif_assets.method.ids import id_series
from autoif_assets.method.judgements import parse_nli_label
from autoif_assets.method.parsing import parse_back_translation
from autoif_assets.method.prompts import BACK_TRANSLATION, NLI
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verifiers import USER


def back_translation_prompts(verifiers: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return ``verifier_id``, ``instruction_id``, ``prompt``.

    Args:
        verifiers: Accepted ``verifiers``.
        recipe: ``back_translations_per_instruction`` best verifiers of each instruction are
            taken: by accuracy, then by id, so that the choice is reproducible. Also ``prompts``.
    """
    ranked = verifiers.sort("accuracy", "verifier_id", descending=[True, False])
    limit = recipe.back_translations_per_instruction
    if limit is not None:
        ranked = ranked.group_by("instruction_id", maintain_order=True).head(limit)
    ordered = ranked.sort("instruction_id", "verifier_id")
    prompts = BACK_TRANSLATION.of(recipe.prompts).render_rows(ordered)
    return ordered.select("verifier_id", "instruction_id", prompts)


def parse_back_translations(completions: pl.DataFrame) -> pl.DataFrame:
    """Read one sentence out of each back-translation.

    Args:
        completions: Completion frame with ``verifier_id``, ``instruction_id``.

    Returns:
        The completions with ``back_translation`` (null where none could be read) and
        ``unusable``, the reason why not.
    """
    parsed = [
        parse_back_translation(raw) if ok else None
        for raw, ok in zip(completions["raw"], usable(completions), strict=True)
    ]
    sentence = pl.Series("back_translation", parsed, dtype=pl.String)
    gated = decide(
        completions.with_columns(sentence),
        {**unusable(), "unparsed": pl.col("back_translation").is_null()},
    )
    return gated.rename({"reason": "unusable"}).drop("status")


def nli_pairs(back_translations: pl.DataFrame, instructions: pl.DataFrame) -> pl.DataFrame:
    """Return distinct ``pair_id``, ``premise`` (instruction), ``hypothesis`` (back-translation)."""
    translated = back_translations.drop_nulls("back_translation")
    return (
        translated.with_columns(pair_id=_pair_ids(translated))
        .join(instructions.select("instruction_id", "instruction"), on="instruction_id")
        .select("pair_id", premise="instruction", hypothesis="back_translation")
        .unique("pair_id")
        .sort("pair_id")
    )


def nli_prompts(pairs: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return ``pair_id``, ``prompt`` for the supervision model as NLI judge.

    Args:
        pairs: ``pair_id``, ``premise``, ``hypothesis``.
        recipe: ``prompts``.
    """
    return pairs.select("pair_id", NLI.of(recipe.prompts).render_rows(pairs))


def parse_nli(completions: pl.DataFrame) -> pl.DataFrame:
    """Return ``pair_id``, ``nli_label``, ``nli_by``, ``nli_raw``, ``nli_call_id``."""
    labels = [
        parse_nli_label(raw) if ok else None
        for raw, ok in zip(completions["raw"], usable(completions), strict=True)
    ]
    return completions.select(
        "pair_id",
        nli_label=pl.Series(labels, dtype=pl.String),
        nli_by=pl.lit("supervision"),
        nli_raw=pl.col("raw"),
        nli_call_id=pl.col("call_id"),
    )


def check_back_translations(parsed: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Join labels to back-translations.

    Args:
        parsed: From ``parse_back_translations``.
        labels: ``pair_id``, ``nli_label``, ``nli_by``, ``nli_raw``, ``nli_call_id``.

    Returns:
        ``back_translations`` without ``batch``. Reasons: those of an unusable completion,
        ``unparsed``, ``no_label``, ``contradiction``.
    """
    joined = parsed.with_columns(pair_id=_pair_ids(parsed)).join(
        labels, on="pair_id", how="left", maintain_order="left"
    )
    reasons = joined["unusable"].drop_nulls().unique(maintain_order=True)
    return decide(
        joined,
        {
            **{reason: pl.col("unusable") == reason for reason in reasons},
            "no_label": pl.col("nli_label").is_null(),
            "contradiction": pl.col("nli_label") == "contradiction",
        },
    ).select(
        "verifier_id",
        "instruction_id",
        "back_translation",
        "raw",
        "finish_reason",
        "call_id",
        "nli_label",
        "nli_by",
        "nli_raw",
        "nli_call_id",
        "status",
        "reason",
    )


def back_translation_labels(back_translations: pl.DataFrame) -> pl.DataFrame:
    """Return ``instruction_id``, ``entailments``, ``neutrals`` and ``contradictions``.

    Args:
        back_translations: All ``back_translations``.
    """
    label = pl.col("nli_label")
    return back_translations.group_by("instruction_id").agg(
        entailments=(label == "entailment").sum(),
        neutrals=(label == "neutral").sum(),
        contradictions=(label == "contradiction").sum(),
    )


def contradicting(recipe: Recipe) -> pl.Expr:
    """Return whether the labels of an instruction's back-translations reject it.

    By the paper any contradiction does; where one rejects its verifier alone, half of all do.

    Args:
        recipe: ``contradiction_rejects``.
    """
    against = pl.col("contradictions")
    if recipe.contradiction_rejects == "instruction":
        return against > 0
    labelled = against + pl.col("entailments") + pl.col("neutrals")
    return (against > 0) & (against * 2 >= labelled)


def verify_instructions(
    instructions: pl.DataFrame,
    verifiers: pl.DataFrame,
    cases: pl.DataFrame,
    back_translations: pl.DataFrame,
    matrix: pl.DataFrame,
    recipe: Recipe,
) -> pl.DataFrame:
    """Decide which instructions are verified.

    Args:
        instructions: Accepted ``augmented_instructions``.
        verifiers: Accepted ``verifier_audits``: ``instruction_id``, ``origin``.
        cases: Accepted ``verifier_cases``.
        back_translations: All ``back_translations``.
        matrix: ``instruction_id``, ``base_rate``, ``own_rate`` of ``verdict_matrix``.
        recipe: ``contradiction_rejects``, ``min_base_rate``, ``max_base_rate``.

    Returns:
        ``verified_instructions`` without ``batch``. Reasons: ``contradiction``, ``no_verifier``,
        ``no_case`` (which a verifier that people handed in does not need),
        ``no_back_translation`` (none could be read and labelled), ``vacuous`` (nearly any text
        obeys) and ``impossible`` (hardly any does, not even of those that were to).
    """
    joined = (
        instructions.select("instruction_id", "instruction", "category")
        .join(
            verifiers.group_by("instruction_id").agg(
                verifiers=pl.len(), trusted=(pl.col("origin") == USER).any()
            ),
            on="instruction_id",
            how="left",
            maintain_order="left",
        )
        .join(
            cases.group_by("instruction_id").agg(cases=pl.len()),
            on="instruction_id",
            how="left",
            maintain_order="left",
        )
        .join(
            back_translation_labels(back_translations),
            on="instruction_id",
            how="left",
            maintain_order="left",
        )
        .join(matrix, on="instruction_id", how="left", maintain_order="left")
    )
    numbers = ("verifiers", "cases", "entailments", "neutrals", "contradictions")
    rate, least = pl.col("base_rate"), recipe.min_base_rate
    return decide(
        joined.with_columns(pl.col(*numbers).fill_null(0).cast(pl.Int64)),
        {
            "contradiction": contradicting(recipe),
            "no_verifier": pl.col("verifiers") == 0,
            "no_case": (pl.col("cases") == 0) & ~pl.col("trusted"),
            "no_back_translation": pl.col("entailments") + pl.col("neutrals") == 0,
            "vacuous": rate > recipe.max_base_rate,
            # Few texts hold a given word twice by chance; but those do that were to.
            "impossible": (rate < least) & (pl.col("own_rate").fill_null(0) < least),
        },
    ).drop("own_rate", "trusted")


def _pair_ids(back_translations: pl.DataFrame) -> pl.Series:
    return id_series(
        "nli", back_translations["instruction_id"], back_translations["back_translation"]
    )
