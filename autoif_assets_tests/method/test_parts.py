"""Big batches are worked on part by part: by instruction, with the result of the whole."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.completions import COMPLETION_SCHEMA
from autoif_assets.method.gates import accepted
from autoif_assets.method.profile import make_profile
from autoif_assets.method.responses import (
    filter_queries,
    judge_responses,
    parse_responses,
    parse_scores,
    response_prompts,
    score_prompts,
)
from autoif_assets.method.training import gather_pairs, query_pairs, sft_examples
from autoif_assets_tests.method.frames import outcomes

PAPER = make_profile("paper")
PROMPTS = pl.DataFrame(
    [
        (f"p{n}", f"i{n % 3}", f"q{n}", f"Rule {n % 3}.", f"Why {n}?", f"Why {n}? Rule {n % 3}.")
        for n in range(6)
    ],
    schema=("prompt_id", "instruction_id", "query_id", "instruction", "query", "prompt"),
    orient="row",
)
# Of each completion: its prompt, its text, what two verifiers say of it, and its score.
COMPLETIONS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["yes", "no", "maybe", " yes ", "", None]),
        st.tuples(*[st.sampled_from(["pass", "fail", "error"])] * 2),
        st.integers(5, 10),
    ),
    max_size=30,
)


def in_parts(function, *frames):
    """Work on the instructions one by one and put the results together."""
    ids = sorted({key for frame in frames for key in frame["instruction_id"]})
    parts = [function(*(frame.filter(instruction_id=key) for frame in frames)) for key in ids]
    return pl.concat([function(*(frame.clear() for frame in frames)), *parts])


def same(function, key, *frames):
    """Check that parts give the rows of the whole and, by key, their order; return the whole."""
    whole = function(*frames)
    parts = in_parts(function, *frames)
    assert parts.sort(key, maintain_order=True).equals(whole.sort(key, maintain_order=True))
    return whole


@given(COMPLETIONS)
def test_parts_give_the_result_of_the_whole(drawn):
    ids = PROMPTS.select("prompt_id", "instruction_id").rows()
    completions = pl.DataFrame(
        [
            (*ids[prompt], "c", number, text, None, "stop", None if text else "refused")
            for number, (prompt, text, _, _) in enumerate(drawn)
        ],
        schema={"prompt_id": pl.String, "instruction_id": pl.String, **COMPLETION_SCHEMA},
        orient="row",
    ).sort("prompt_id", "sample")
    same(response_prompts, "prompt_id", PROMPTS)
    responses = accepted(same(parse_responses, ("prompt_id", "sample"), completions))
    drawn_for = {n: (said, score) for n, (_, _, said, score) in enumerate(drawn)}
    by_response = {id: drawn_for[n] for id, n in responses.select("response_id", "sample").rows()}
    said = outcomes(
        {f"v{n}": {id: said[n] for id, (said, _) in by_response.items()} for n in range(2)}
    ).join(responses.select("instruction_id", input_id="response_id"), on="input_id")
    verdicts = same(lambda r, o: judge_responses(r, o, PAPER), "response_id", responses, said)
    passed = responses.join(accepted(verdicts), on="response_id", how="semi")
    prompts = same(score_prompts, "response_id", passed, PROMPTS)
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
    scores = same(lambda s: parse_scores(s, PAPER), "response_id", judged)
    kept = accepted(same(filter_queries, "prompt_id", PROMPTS, verdicts, scores))
    material = (kept, PROMPTS, responses)
    examples = same(sft_examples, "example_id", *material, accepted(verdicts), accepted(scores))
    assert set(examples["response_id"]) == set(accepted(scores)["response_id"])
    pairs = same(
        lambda *frames: query_pairs(*frames, PAPER, "b1"),
        "pair_id",
        *(*material, verdicts, accepted(scores)),
    )
    same(lambda frame: gather_pairs([("query", frame)]), "pair_id", pairs)
