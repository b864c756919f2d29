import polars as pl

from autoif_assets.method.pairs import PAIR_COLUMNS
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.training import (
    instruction_pairs,
    kto_examples,
    query_pairs,
    sft_examples,
    spin_pairs,
)
from autoif_assets_tests.method.frames import reasons

PAPER = make_recipe("paper")
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


NO_LIKELIHOODS = pl.DataFrame(
    schema={
        "response_id": pl.String,
        "kept": pl.Boolean,
        "ifd": pl.Float64,
        "mean_logprob": pl.Float64,
    }
)


def judged_as(sides):
    """Return texts and judged responses of prompt p: those that may be chosen, and rejected."""
    judged = pl.DataFrame(
        {"response_id": list(sides), "prompt_id": "p", "is_positive": list(sides.values())}
    ).with_columns(
        pass_rate=pl.col("is_positive").cast(pl.Float64),
        score=pl.lit(9.0),
        is_negative=~pl.col("is_positive"),
        origin=pl.lit("sampled"),
        outcomes=pl.concat_list(pl.struct(verifier_id=pl.lit("v"), outcome=pl.lit("fail"))),
    )
    return judged.select("response_id", response="response_id"), judged


def test_sft_examples_join_prompt_and_response():
    examples = sft_examples(KEPT, PROMPTS, TEXTS, JUDGED, NO_LIKELIHOODS, PAPER)
    assert examples.drop("example_id").rows() == [
        ("p", "good", "i", "q", "Why? Be kind.", "good text", 1.0, 9.0, None, "accepted", None)
    ]


def test_kto_examples_are_what_may_be_chosen_and_what_may_be_rejected():
    examples = kto_examples(KEPT, PROMPTS, TEXTS, JUDGED)
    assert examples.select("prompt", "completion", "label", "pass_rate", "score").rows() == [
        ("Why? Be kind.", "good text", True, 1.0, 9.0),
        ("Why? Be kind.", "bad text", False, 0.0, 2.0),
    ]
    assert not set(examples["example_id"]) & set(
        sft_examples(KEPT, PROMPTS, TEXTS, JUDGED, NO_LIKELIHOODS, PAPER)["example_id"]
    )


def test_query_pairs_prefer_good_passes_over_clean_fails():
    pairs = query_pairs(INSTRUCTIONS, KEPT, PROMPTS, TEXTS, JUDGED, NO_LIKELIHOODS, PAPER, "b")
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


def test_ifd_selects_sft_examples_by_the_quantiles_of_the_batch():
    ids = [f"r{n}" for n in range(5)]
    likelihoods = pl.DataFrame(
        {
            "response_id": [*ids, "elsewhere", "negative"],
            "kept": [True] * 6 + [False],
            "ifd": [0.2, 0.4, 0.6, 1.1, None, 0.8, 0.0],
        }
    )
    numbers = {
        "likelihood_of": "kept",
        "ifd_min_quantile": 0.3,
        "ifd_max_quantile": 0.7,
        "ifd_below": 1.0,
    }
    examples = sft_examples(
        *(KEPT, PROMPTS, *judged_as(dict.fromkeys(ids, True)), likelihoods),
        make_recipe("paper", numbers),
    )
    # Of 0.2, 0.4, 0.6 and 0.8 the quantiles are 0.38 and 0.62.
    assert reasons(examples, "response_id") == {
        "r0": "low_ifd",
        "r1": None,
        "r2": None,
        "r3": "ifd_not_below",
        "r4": "no_ifd",
    }


def test_pairs_in_order_of_likelihood():
    numbers = {
        "likelihood_of": "judged",
        "pair_order": "likelihood",
        "chosen_per_prompt": 1,
        "rejected_per_prompt": 2,
    }
    sides = {"good": True, "better": True, "bad": False, "worse": False, "unread": False}
    material = (INSTRUCTIONS, KEPT, PROMPTS, *judged_as(sides))
    likelihoods = pl.DataFrame(
        {"response_id": list(sides)[:4], "mean_logprob": [-0.9, -0.2, -0.5, -0.4]}
    )
    pairs = query_pairs(*material, likelihoods, make_recipe("paper", numbers), "b")
    # Those that even out the lengths are others.
    assert pairs.select("chosen", "rejected").rows() == [("better", "worse"), ("better", "bad")]
    numbers["pair_order"] = "random"
    pairs = query_pairs(*material, likelihoods, make_recipe("paper", numbers), "b")
    assert set(pairs["chosen"]) == {"good"}


def test_spin_pairs_prefer_the_training_response_to_the_policys_own():
    examples = pl.DataFrame(
        {
            "prompt_id": ["p", "q"],
            "instruction_id": "i",
            "response_id": ["t", "u"],
            "response": ["teacher", "alone"],
            "pass_rate": [1.0, 1.0],
            "score": [9.0, 9.0],
        }
    )
    policy = pl.DataFrame(
        {
            "prompt_id": ["p", "p", "other"],
            "instruction_id": "i",
            "response_id": ["t", "o", "x"],
            "response": ["teacher", "own", "nothing to learn"],
        }
    )
    pairs = spin_pairs(INSTRUCTIONS, examples, policy, PAPER, "b")
    assert pairs.columns == ["prompt_id", "pair_id", *PAIR_COLUMNS]
    assert pairs.drop("pair_id", "chosen_id", "rejected_id").to_dicts() == [
        {
            "prompt_id": "p",
            "chosen": "teacher",
            "rejected": "own",
            "chosen_pass_rate": 1.0,
            "rejected_pass_rate": None,
            "chosen_score": 9.0,
            "rejected_score": None,
            "chosen_length": 7,
            "rejected_length": 3,
            "failed_verifiers": [],
            "margin": None,
            "constrains_length": False,
            "origin": "spin",
        }
    ]


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
