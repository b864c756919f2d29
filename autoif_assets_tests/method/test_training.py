import polars as pl

from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.training import kto_examples, sft_examples
from autoif_assets_tests.method.frames import (
    ASSESSED,
    CONTEXT,
    KEPT,
    NO_LIKELIHOODS,
    PROMPTS,
    TEXTS,
    assessed_as,
    reasons,
)

PAPER = make_recipe("paper")


def test_sft_examples_join_prompt_and_response():
    examples = sft_examples(KEPT, PROMPTS, TEXTS, ASSESSED, NO_LIKELIHOODS, PAPER)
    prompt = (CONTEXT, "Why? Be kind.")
    assert examples.drop("example_id").rows() == [
        ("p", "good", "i", "q", *prompt, "good text", 1.0, 9.0, None, "accepted", None)
    ]


def test_sft_examples_may_be_kept_short():
    for most, expected in ((len("good text"), None), (len("good text") - 1, "too_long")):
        recipe = make_recipe("paper", {"sft_max_chars": most})
        examples = sft_examples(KEPT, PROMPTS, TEXTS, ASSESSED, NO_LIKELIHOODS, recipe)
        assert reasons(examples, "response_id") == {"good": expected}


def test_kto_examples_are_what_may_be_chosen_and_what_may_be_rejected():
    examples = kto_examples(KEPT, PROMPTS, TEXTS, ASSESSED)
    assert examples.select("prompt", "completion", "label", "pass_rate", "score").rows() == [
        ("Why? Be kind.", "good text", True, 1.0, 9.0),
        ("Why? Be kind.", "bad text", False, 0.0, 2.0),
    ]
    assert examples["context"].to_list() == [CONTEXT, CONTEXT]
    assert not set(examples["example_id"]) & set(
        sft_examples(KEPT, PROMPTS, TEXTS, ASSESSED, NO_LIKELIHOODS, PAPER)["example_id"]
    )


def test_ifd_selects_sft_examples_by_the_quantiles_of_the_batch():
    ids = [f"r{n}" for n in range(5)]
    likelihoods = pl.DataFrame(
        {
            "response_id": [*ids, "elsewhere", "negative"],
            "kept": [True] * 6 + [False],
            "ifd": [0.2, 0.4, 0.6, 1.1, None, 0.8, 0.0],
        }
    )
    overrides = {
        "likelihood_of": "kept",
        "ifd_min_quantile": 0.3,
        "ifd_max_quantile": 0.7,
        "ifd_below": 1.0,
    }
    examples = sft_examples(
        *(KEPT, PROMPTS, *assessed_as(dict.fromkeys(ids, True)), likelihoods),
        make_recipe("paper", overrides),
    )
    # Of 0.2, 0.4, 0.6 and 0.8 the quantiles are 0.38 and 0.62.
    assert reasons(examples, "response_id") == {
        "r0": "low_ifd",
        "r1": None,
        "r2": None,
        "r3": "ifd_not_below",
        "r4": "no_ifd",
    }
