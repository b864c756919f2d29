import polars as pl

from autoif_assets.method.profile import make_profile
from autoif_assets.method.training import (
    instruction_pairs,
    kto_examples,
    query_pairs,
    sft_examples,
)

PAPER = make_profile("paper")
INSTRUCTIONS = pl.DataFrame(
    {"instruction_id": ["i"], "instruction": ["Be kind."], "category": ["tone"]}
)
KEPT = pl.DataFrame({"prompt_id": ["p"], "instruction_id": ["i"], "query_id": ["q"]})
PROMPTS = pl.DataFrame({"prompt_id": ["p", "other"], "prompt": ["Why? Be kind.", "x"]})
# Response, prompt, pass rate, score, whether it may be chosen and rejected, and its verdict by v.
JUDGED = pl.DataFrame(
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
TEXTS = JUDGED.select("response_id", response=pl.col("response_id") + " text")


def test_sft_examples_join_prompt_and_response():
    examples = sft_examples(KEPT, PROMPTS, TEXTS, JUDGED)
    assert examples.drop("example_id").rows() == [
        ("p", "good", "i", "q", "Why? Be kind.", "good text", 1.0, 9.0)
    ]


def test_kto_examples_are_what_may_be_chosen_and_what_may_be_rejected():
    examples = kto_examples(KEPT, PROMPTS, TEXTS, JUDGED)
    assert examples.select("prompt", "completion", "label", "pass_rate", "score").rows() == [
        ("Why? Be kind.", "good text", True, 1.0, 9.0),
        ("Why? Be kind.", "bad text", False, 0.0, 2.0),
    ]
    assert not set(examples["example_id"]) & set(
        sft_examples(KEPT, PROMPTS, TEXTS, JUDGED)["example_id"]
    )


def test_query_pairs_prefer_good_passes_over_clean_fails():
    pairs = query_pairs(INSTRUCTIONS, KEPT, PROMPTS, TEXTS, JUDGED, PAPER, "b")
    (pair,) = pairs.drop("pair_id").to_dicts()
    assert pair == {
        "prompt_id": "p",
        "instruction_id": "i",
        "query_id": "q",
        "prompt": "Why? Be kind.",
        "chosen": "good text",
        "rejected": "bad text",
        "chosen_id": "good",
        "rejected_id": "bad",
        "chosen_pass_rate": 1.0,
        "rejected_pass_rate": 0.0,
        "chosen_score": 9.0,
        "rejected_score": 2.0,
        "chosen_length": 9,
        "rejected_length": 8,
        "failed_verifiers": ["v"],
        "margin": 1.0,
        "constrains_length": False,
        "origin": "sampled",
    }


def test_instruction_pairs_use_surviving_verifiers_only():
    def case(case_id, **said):
        verdicts = [{"verifier_id": v, "outcome": outcome} for v, outcome in said.items()]
        return {
            "case_id": case_id,
            "instruction_id": "i",
            "input": f"text {case_id}",
            "outcomes": verdicts,
        }

    cases = pl.DataFrame(
        [
            case("yes", v="pass", w="pass", dropped="fail"),
            case("no", v="fail", w="fail", dropped="pass"),
            case("split", v="pass", w="fail", dropped="fail"),
            case("crash", v="error", w="error", dropped="fail"),
        ]
    )
    pairs = instruction_pairs(
        INSTRUCTIONS.with_columns(instruction=pl.lit("Write at most 9 words.")),
        pl.DataFrame({"verifier_id": ["v", "w"]}),
        cases,
        PAPER,
        "b",
    )
    assert pairs.select(
        *("prompt", "chosen", "rejected", "failed_verifiers", "constrains_length", "origin"),
        "chosen_score",
    ).rows() == [
        ("Write at most 9 words.", "text yes", "text no", ["v", "w"], True, "test_case", None)
    ]
