"""How verifiers and the gates that reject them agree with labels that people gave responses."""

import polars as pl

from autoif_assets.method.ids import content_id, id_series, normalise

IN_USE = "in use"
ENOUGH = 20
"""Labelled rows below which agreement says little."""

LABELLED_SCHEMA = {
    "instruction_id": pl.String,
    "input_id": pl.String,
    "input": pl.String,
    "query": pl.String,
    "expected": pl.Boolean,
}


def labelled_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Name the texts that people labelled.

    Args:
        rows: ``instruction``, ``response``, ``query: str|null``, ``follows: bool``.

    Returns:
        ``LABELLED_SCHEMA``, each text once.
    """
    texts = [normalise(text) for text in rows["instruction"]]
    of = pl.Series([content_id("instruction", text) for text in texts], dtype=pl.String)
    # Without a query and with an empty one are two things to a verifier that takes it.
    asked = rows["query"].is_not_null().cast(pl.String)
    input_id = id_series("labelled", of, rows["response"], asked, rows["query"].fill_null(""))
    named = rows.select("query", input="response", expected="follows")
    named = named.with_columns(instruction_id=of, input_id=input_id)
    return named.select(*LABELLED_SCHEMA).unique(maintain_order=True)


def judged_verifiers(verifiers: pl.DataFrame, audits: pl.DataFrame) -> pl.DataFrame:
    """Say of each verifier which gate rejected it.

    Args:
        verifiers: All ``verifiers``: ``verifier_id``, ``instruction_id``, ``source``, ``origin``,
            ``reason``.
        audits: All ``verifier_audits``: ``verifier_id``, ``reason``.

    Returns:
        ``verifiers`` with ``gate`` for ``reason``: the first reason there is, or ``in use``.
    """
    audited = audits.select("verifier_id", audit="reason")
    gate = pl.coalesce("reason", "audit", pl.lit(IN_USE))
    return (
        verifiers.join(audited, on="verifier_id", how="left", maintain_order="left")
        .with_columns(gate=gate)
        .drop("reason", "audit")
    )


def labelled_agreement(
    verifiers: pl.DataFrame, texts: pl.DataFrame, outcomes: pl.DataFrame
) -> pl.DataFrame:
    """Compare what verifiers say of labelled texts with the labels.

    Args:
        verifiers: From ``judged_verifiers``.
        texts: From ``labelled_texts``.
        outcomes: ``OUTCOME_SCHEMA`` of the verifiers on these.

    Returns:
        ``labelled_agreement`` without ``batch``: a row for each verifier that has texts. Giving no
        verdict is no agreement, and counted apart.
    """
    right = pl.when("expected").then(pl.lit("pass")).otherwise(pl.lit("fail"))
    has_verdict = pl.col("outcome").is_in(["pass", "fail"])
    tallies = (
        outcomes.join(verifiers.select("verifier_id", "instruction_id"), on="verifier_id")
        .join(texts, on=["instruction_id", "input_id"])
        .group_by("verifier_id")
        .agg(
            texts=pl.len().cast(pl.Int64),
            following=pl.col("expected").sum().cast(pl.Int64),
            agreed=(pl.col("outcome") == right).sum().cast(pl.Int64),
            no_verdict=(~has_verdict).sum().cast(pl.Int64),
        )
    )
    return (
        verifiers.join(tallies, on="verifier_id", maintain_order="left")
        .with_columns(share=pl.col("agreed") / pl.col("texts"))
        .select(
            *("verifier_id", "instruction_id", "origin", "gate"),
            *("texts", "following", "agreed", "no_verdict", "share"),
        )
    )


def agreement_by_gate(agreement: pl.DataFrame) -> pl.DataFrame:
    """Sum up what the gates did to verifiers that people's labels speak of.

    Args:
        agreement: From ``labelled_agreement``.

    Returns:
        ``gate``, ``verifiers``, ``all_agreed`` (verifiers that agree with all labels: of a gate
        those that it rejects wrongly), ``tested`` (of these, those whose labels are of both kinds,
        so that no constant is among them) and ``share`` of the texts that are agreed on. Those in
        use come first.
    """
    whole = pl.col("agreed") == pl.col("texts")
    both = (pl.col("following") > 0) & (pl.col("following") < pl.col("texts"))
    return (
        agreement.group_by("gate")
        .agg(
            verifiers=pl.len().cast(pl.Int64),
            all_agreed=whole.sum().cast(pl.Int64),
            tested=(whole & both).sum().cast(pl.Int64),
            share=pl.col("agreed").sum() / pl.col("texts").sum(),
        )
        .sort(pl.col("gate") != IN_USE, "gate")
    )
