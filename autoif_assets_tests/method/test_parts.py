"""Big batches are worked on part by part: by instruction, with the result of the whole."""

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.gates import accepted
from autoif_assets.method.pairs import gather_pairs, query_pairs
from autoif_assets.method.queries import filter_queries
from autoif_assets.method.recipe import make_recipe
from autoif_assets.method.resampling import verdicts_with_scores
from autoif_assets.method.responses import (
    parse_responses,
    parse_scores,
    response_prompts,
    score_prompts,
    verify_responses,
)
from autoif_assets.method.training import kto_examples, sft_examples
from autoif_assets_tests.method.frames import outcomes

PAPER = make_recipe("paper")
PROMPTS = pl.DataFrame(
    [
        (
            *(f"p{n}", f"i{n % 3}", f"q{n}", f"Rule {n % 3}.", f"Why {n}?"),
            '[{"role":"system","content":"Be brief."}]' if n % 2 else None,
            f"Why {n}? Rule {n % 3}.",
        )
        for n in range(6)
    ],
    schema=("prompt_id", "instruction_id", "query_id", "instruction", "query", "context", "prompt"),
    orient="row",
)
INSTRUCTIONS = pl.DataFrame(
    {
        "instruction_id": ["i0", "i1", "i2"],
        "instruction": ["Rule 0.", "Rule 1.", "Answer in two words."],
        "category": [None, "casing", None],
    }
)
# What two verifiers say; clear verdicts are drawn more often, so that there are pairs to make.
SAID = [("pass", "pass"), ("fail", "fail"), ("pass", "fail"), ("pass", "error"), ("error", "error")]
# Of each completion: its prompt, its text, what two verifiers say of it, and its score.
COMPLETION = st.tuples(
    st.integers(0, 5),
    st.sampled_from(["yes", "no", "maybe", " yes ", "", None]),
    st.sampled_from([*SAID, *SAID[:2]]),
    st.sampled_from([5, 8, 10]),
)
# Calls take the time, not rows, and few rows make no pairs: many are drawn, or hardly any.
COMPLETIONS = st.lists(COMPLETION, min_size=20, max_size=40) | st.lists(COMPLETION, max_size=3)
# A part may be any of the instructions: none, some or all.
PARTS = st.sets(st.sampled_from(["i0", "i1", "i2"]))


def same(function, key, part, *frames):
    """Check that a part gives the whole's rows of it and, by key, their order; return the whole."""

    def of_part(frame):
        return frame.filter(pl.col("instruction_id").is_in(part))

    whole = function(*frames)
    alone = function(*map(of_part, frames))
    assert alone.schema == whole.schema
    expected = of_part(whole).sort(key, maintain_order=True)
    assert alone.sort(key, maintain_order=True).equals(expected)
    return whole


@pytest.mark.slow
@settings(deadline=None)
@given(COMPLETIONS, PARTS)
# Whether a prompt is kept must not depend on what is kept of another instruction's.
@example([(0, "yes", SAID[0], 5), (1, "yes", SAID[0], 10)], {"i0"})
def test_parts_give_the_result_of_the_whole(drawn, instructions):
    part = sorted(instructions)
    ids = PROMPTS.select("prompt_id", "instruction_id").rows()
    completions = pl.DataFrame(
        [
            (*ids[prompt], "c", number, text, None, "stop", None if text else "refused")
            for number, (prompt, text, _, _) in enumerate(drawn)
        ],
        schema={"prompt_id": pl.String, "instruction_id": pl.String, **COMPLETION_SCHEMA},
        orient="row",
    ).sort("prompt_id", "sample")
    same(lambda f: response_prompts(f, PAPER), "prompt_id", part, PROMPTS)
    responses = accepted(same(parse_responses, ("prompt_id", "sample"), part, completions))
    drawn_for = {n: (said, score) for n, (_, _, said, score) in enumerate(drawn)}
    by_response = {id: drawn_for[n] for id, n in responses.select("response_id", "sample").rows()}
    said = outcomes(
        {f"v{n}": {id: said[n] for id, (said, _) in by_response.items()} for n in range(2)}
    ).join(responses.select("instruction_id", input_id="response_id"), on="input_id")
    verdicts = same(
        lambda r, o: verify_responses(r, o, PAPER), "response_id", part, responses, said
    )
    passed = responses.join(accepted(verdicts), on="response_id", how="semi")
    prompts = same(lambda *f: score_prompts(*f, PAPER), "response_id", part, passed, PROMPTS)
    judged = prompts.drop("prompt").with_columns(
        pl.Series(
            "raw",
            [f'{{"score": {by_response[id][1]}}}' for id in prompts["response_id"]],
            dtype=pl.String,
        ),
        call_id=pl.lit("c"),
        finish_reason=pl.lit("stop"),
        error=pl.lit(None, pl.String),
    )
    scores = same(lambda s: parse_scores(s, PAPER), "response_id", part, judged)
    assessed = same(verdicts_with_scores, "response_id", part, verdicts, scores)
    kept = accepted(
        same(lambda *f: filter_queries(*f, PAPER), "prompt_id", part, PROMPTS, assessed)
    )
    # Of every response, though an asset works in parts: quantiles are those of the batch.
    likelihoods = responses.select("response_id", "instruction_id").with_columns(
        kept=pl.lit(True),
        ifd=pl.int_range(pl.len()) / 10,
        mean_logprob=-pl.int_range(pl.len()) / 10,
    )
    by_ifd = make_recipe("paper", {"likelihood_of": "judged", "ifd_min_quantile": 0.5})
    by_rank = make_recipe("paper", {"likelihood_of": "judged", "pair_order": "likelihood"})
    material = (kept, PROMPTS, responses, assessed)
    examples = same(
        lambda *frames: sft_examples(*frames, likelihoods, by_ifd), "example_id", part, *material
    )
    assert set(examples["response_id"]) == set(accepted(scores)["response_id"])
    same(kto_examples, "example_id", part, *material)
    pairs = same(
        lambda *frames: query_pairs(*frames, by_rank, "b1"),
        "pair_id",
        part,
        *(INSTRUCTIONS, *material, likelihoods),
    )
    same(lambda frame: gather_pairs([("query", frame)], PAPER), "pair_id", part, pairs)
