import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.profile import make_profile
from autoif_assets.method.training import (
    draw_pairs,
    gather_pairs,
    instruction_pairs,
    query_pairs,
    sft_examples,
)
from autoif_assets_tests.method.frames import reasons

PAPER = make_profile("paper")
KEPT = pl.DataFrame({"prompt_id": ["p"], "instruction_id": ["i"], "query_id": ["q"]})
PROMPTS = pl.DataFrame({"prompt_id": ["p", "other"], "prompt": ["Why? Be brief.", "x"]})


def test_sft_examples_join_prompt_and_response():
    examples = sft_examples(
        KEPT,
        PROMPTS,
        pl.DataFrame({"response_id": ["r", "s"], "response": ["Because.", "No."]}),
        pl.DataFrame({"response_id": ["r", "s"], "pass_rate": [1.0, 0.75]}),
        pl.DataFrame({"response_id": ["r"], "prompt_id": ["p"], "score": [9.0]}),
    )
    assert examples.drop("example_id").rows() == [
        ("p", "r", "i", "q", "Why? Be brief.", "Because.", 1.0, 9.0)
    ]


def test_query_pairs_prefer_good_passes_over_clean_fails():
    verdicts = pl.DataFrame(
        {
            "response_id": ["good", "dull", "bad", "crashed", "half"],
            "prompt_id": "p",
            "passed": [2, 2, 0, 0, 1],
            "pass_rate": [1.0, 1.0, 0.0, None, 0.5],
            "reason": [None, None, "low_pass_rate", "no_verdict", "low_pass_rate"],
        }
    )
    texts = verdicts.select("response_id", response="response_id")
    scores = pl.DataFrame({"response_id": ["good"]})
    pairs = query_pairs(KEPT, PROMPTS, texts, verdicts, scores, PAPER, "b")
    assert pairs.select("chosen", "rejected", "chosen_pass_rate", "rejected_pass_rate").rows() == [
        ("good", "bad", 1.0, 0.0)
    ]
    assert pairs["prompt"].to_list() == ["Why? Be brief."]


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
        pl.DataFrame({"instruction_id": ["i"], "instruction": ["Be brief."]}),
        pl.DataFrame({"verifier_id": ["v", "w"]}),
        cases,
        PAPER,
        "b",
    )
    assert pairs.select("prompt", "chosen", "rejected").rows() == [
        ("Be brief.", "text yes", "text no")
    ]


CANDIDATES = st.lists(
    st.tuples(st.sampled_from("gh"), st.sampled_from([0.0, 0.5, 0.75, 1.0]), st.booleans()),
    max_size=14,
)


def candidate_frame(rows):
    return pl.DataFrame(
        [(g, f"{g}{n}", f"text {n}", r, good, r == 0) for n, (g, r, good) in enumerate(rows)],
        schema={
            "g": pl.String,
            "candidate_id": pl.String,
            "text": pl.String,
            "pass_rate": pl.Float64,
            "is_positive": pl.Boolean,
            "is_negative": pl.Boolean,
        },
        orient="row",
    )


@given(CANDIDATES, st.randoms())
def test_pair_invariants(rows, random):
    candidates = candidate_frame(rows)
    pairs = draw_pairs(candidates, "g", PAPER, "b")
    shuffled = list(range(candidates.height))
    random.shuffle(shuffled)
    assert pairs.equals(draw_pairs(candidates[shuffled], "g", PAPER, "b"))
    assert pairs["pair_id"].n_unique() == pairs.height
    assert (pairs["chosen_pass_rate"] > 0.5).all()
    assert (pairs["rejected_pass_rate"] == 0).all()
    for group, own in candidates.group_by("g"):
        chosen = own.filter(pl.col("is_positive") & (pl.col("pass_rate") > 0.5)).height
        rejected = own.filter("is_negative").height
        assert pairs.filter(g=group[0]).height == min(chosen, 2) * min(rejected, 2)


def test_the_authors_choose_at_half():
    rows = [("g", 0.5, True), ("g", 0.0, False)]
    assert draw_pairs(candidate_frame(rows), "g", PAPER, "b").is_empty()
    authors = make_profile("authors_code")
    assert draw_pairs(candidate_frame(rows), "g", authors, "b").height == 1


def test_another_batch_draws_others():
    rows = [("g", 1.0, True)] * 9 + [("g", 0.0, False)] * 9
    first, second = (draw_pairs(candidate_frame(rows), "g", PAPER, b)["pair_id"] for b in "ab")
    assert set(first) != set(second)


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [("a b", "a  b\n", "identical"), ("", "x", "empty"), ("x", " ", "empty"), ("x", "y", None)],
)
def test_useless_pairs_are_kept_with_a_reason(chosen, rejected, reason):
    pair = {
        "pair_id": "1",
        "prompt_id": "p",
        "instruction_id": "i",
        "prompt": "Why?",
        "chosen": chosen,
        "rejected": rejected,
        "chosen_id": "c",
        "rejected_id": "r",
        "chosen_pass_rate": 1.0,
        "rejected_pass_rate": 0.0,
    }
    query_level = pl.DataFrame([pair])
    instruction_level = query_level.drop("prompt_id").clear()
    pairs = gather_pairs([("instruction", instruction_level), ("query", query_level)])
    assert reasons(pairs, "pair_id") == {"1": reason}
    assert pairs["level"].to_list() == ["query"]
