"""Small frames the method's tests share."""

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.probes import PROBE_SCHEMA
from autoif_assets.method.tried import ANSWER_SCHEMA, Tried
from autoif_assets.method.verifiers import OUTCOME_SCHEMA


def completions(*rows: dict[str, object], **keys: pl.DataType | type[pl.DataType]) -> pl.DataFrame:
    """Completion frame: whole answers of call "c" unless a row says otherwise."""
    whole = {"call_id": "c", "sample": 0, "reasoning": None, "finish_reason": "stop", "error": None}
    return pl.DataFrame([{**whole, **row} for row in rows], schema={**keys, **COMPLETION_SCHEMA})


def outcomes(table: dict[str, dict[str, str]]) -> pl.DataFrame:
    """Outcome frame from {verifier: {input: outcome}}."""
    rows = [
        (verifier, given, outcome, None)
        for verifier, by_input in table.items()
        for given, outcome in by_input.items()
    ]
    return pl.DataFrame(rows, schema=dict(OUTCOME_SCHEMA), orient="row")


def tried(
    functions: pl.DataFrame, cases: pl.DataFrame, said: pl.DataFrame, **beside: pl.DataFrame
) -> Tried:
    """Functions and cases, both accepted, and what came of them."""
    wrote = {"sample": pl.int_range(pl.len()), "reason": pl.lit(None, pl.String)}
    if "origin" not in functions.columns:
        functions = functions.with_columns(origin=pl.lit("sampled"))
    kept = {"status": pl.lit("accepted"), "reason": pl.lit(None, pl.String)}
    came = {"sample": pl.lit(0)}
    if "origin" not in cases.columns:
        cases = cases.with_columns(origin=pl.lit("boundary"))
    if "query" not in cases.columns:
        cases = cases.with_columns(query=pl.lit(None, pl.String))
    of = Tried.of(functions.with_columns(**wrote), cases.with_columns(**kept, **came), **beside)
    return replace(of, outcomes=said)


def functions(samples: dict[str, int], instruction_id: str = "i") -> pl.DataFrame:
    """Functions of one instruction, by how many samples wrote each."""
    return pl.DataFrame(
        {"verifier_id": list(samples), "samples": list(samples.values())},
        schema={"verifier_id": pl.String, "samples": pl.Int64},
    ).select(
        "verifier_id",
        pl.lit(instruction_id).alias("instruction_id"),
        pl.format("def {}", "verifier_id").alias("source"),
        pl.lit("sampled").alias("origin"),
        pl.lit(None, pl.String).alias("parent_id"),
        "samples",
    )


def cases_of(expected: dict[str, bool], instruction_id: str = "i") -> pl.DataFrame:
    """Cases of one instruction, as ``Tried`` has them; the text is the id in capitals."""
    return pl.DataFrame(
        {"case_id": list(expected), "expected": list(expected.values())},
        schema={"case_id": pl.String, "expected": pl.Boolean},
    ).select(
        "case_id",
        pl.lit(instruction_id).alias("instruction_id"),
        pl.col("case_id").str.to_uppercase().alias("input"),
        pl.lit(None, pl.String).alias("query"),
        "expected",
        pl.lit("function").alias("origin"),
    )


def probes_of(kinds: dict[str, str], instruction_id: str = "i") -> pl.DataFrame:
    """Probe texts that one instruction is tried on, by kind; the text is the id in capitals."""
    rows = [(name, instruction_id, kind, name.upper()) for name, kind in kinds.items()]
    return pl.DataFrame(rows, schema=PROBE_SCHEMA, orient="row")


def answers_of(obeys: dict[str, bool], instruction_id: str = "i") -> pl.DataFrame:
    """What the auditor says of texts of one instruction."""
    rows = [(instruction_id, name, said) for name, said in obeys.items()]
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA, orient="row")


YES_NO = {"a": True, "b": True, "c": True, "d": False, "e": False, "f": False}
# What a sign stands for.
SAID = {
    "+": "pass",
    "-": "fail",
    "x": "error",
    "t": "timeout",
    "l": "load_error",
    "n": "nondeterministic",
}


def signed(verdicts: dict[str, str], texts: Iterable[str]) -> pl.DataFrame:
    """Outcome frame from {verifier: a sign a text}."""
    names = list(texts)
    return outcomes(
        {
            name: dict(zip(names, map(SAID.__getitem__, signs), strict=True))
            for name, signs in verdicts.items()
        }
    )


def said_of(
    verdicts: dict[str, str],
    cases: dict[str, bool],
    *,
    probes: dict[str, str] | None = None,
    answers: dict[str, bool] | None = None,
    samples: dict[str, int] | None = None,
    own: dict[str, list[str]] | None = None,
) -> Tried:
    """Functions and what they said, a sign a text: first of the cases, then of the probes.

    Args:
        verdicts: A text of signs by function.
        cases: Whether each case is to pass, by its id.
        probes: Kind of each probe by its id.
        answers: What the auditor says of texts, by their ids.
        samples: How many completions wrote a function, 1 if left out.
        own: The cases that came with a function.
    """
    texts = [*cases, *(probes or {})]
    own_rows = [(name, case) for name, names in (own or {}).items() for case in names]
    return Tried(
        functions({name: (samples or {}).get(name, 1) for name in verdicts}),
        cases_of(cases),
        pl.DataFrame(own_rows, {"verifier_id": pl.String, "input_id": pl.String}, orient="row"),
        probes_of(probes or {}),
        answers_of(answers or {}),
        signed(verdicts, texts),
    )


def matrix(vectors: dict[str, str], batch: str = "b1") -> pl.DataFrame:
    """What ``same_verdicts`` reads: a sign a text, 1 and 0 for verdicts, ? for none."""
    rows = [
        (batch, name, signs.replace("?", "0"), signs.replace("0", "1").replace("?", "0"))
        for name, signs in vectors.items()
    ]
    names = ("batch", "instruction_id", "verdicts", "known")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def reasons(frame: pl.DataFrame, key: str) -> dict[str, str | None]:
    """Map each row's key to its reason (None: accepted)."""
    assert frame.filter((pl.col("status") == "accepted") != pl.col("reason").is_null()).is_empty()
    return dict(frame.select(key, "reason").iter_rows())


# One prompt whose responses serve as everything they may serve as.
INSTRUCTIONS = pl.DataFrame(
    {"instruction_id": ["i"], "instruction": ["Be kind."], "category": ["tone"]}
)
KEPT = pl.DataFrame({"prompt_id": ["p"], "instruction_id": ["i"], "query_id": ["q"]})
CONTEXT = '[{"role":"system","content":"Be brief."}]'
PROMPTS = pl.DataFrame(
    {"prompt_id": ["p", "other"], "context": [CONTEXT, None], "prompt": ["Why? Be kind.", "x"]}
)
# Response, prompt, pass rate, score, whether it may be chosen and rejected, and its verdict by v.
ASSESSED = pl.DataFrame(
    [
        ("good", "p", 1.0, 9.0, True, False, "pass"),
        ("dull", "p", 1.0, 6.0, False, False, "pass"),
        ("bad", "p", 0.0, 2.0, False, True, "fail"),
        ("crashed", "p", None, None, False, False, "crash"),
        ("half", "p", 0.5, None, False, False, "fail"),
        ("elsewhere", "other", 1.0, 9.0, True, False, "pass"),
    ],
    schema=[
        *("response_id", "prompt_id", "pass_rate", "score"),
        *("is_positive", "is_negative", "outcome"),
    ],
    orient="row",
).select(
    pl.exclude("outcome"),
    origin=pl.lit("sampled"),
    outcomes=pl.concat_list(pl.struct(pl.lit("v").alias("verifier_id"), "outcome")),
)
TEXTS = ASSESSED.select("response_id", response=pl.col("response_id") + " text")
NO_LIKELIHOODS = pl.DataFrame(
    schema={
        "response_id": pl.String,
        "kept": pl.Boolean,
        "ifd": pl.Float64,
        "mean_logprob": pl.Float64,
    }
)


def assessed_as(sides):
    """Return texts and assessed responses of prompt p: those that may be chosen, and rejected."""
    assessed = pl.DataFrame(
        {"response_id": list(sides), "prompt_id": "p", "is_positive": list(sides.values())}
    ).with_columns(
        pass_rate=pl.col("is_positive").cast(pl.Float64),
        score=pl.lit(9.0),
        is_negative=~pl.col("is_positive"),
        origin=pl.lit("sampled"),
        outcomes=pl.concat_list(pl.struct(verifier_id=pl.lit("v"), outcome=pl.lit("fail"))),
    )
    return assessed.select("response_id", response="response_id"), assessed
