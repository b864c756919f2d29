"""Which candidates are paired, with known answers and the invariants, whatever the candidates."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.method.pairs import (
    draw_pairs,
    failed_verifiers,
    gather_pairs,
    instruction_pairs,
    mean_bias,
    query_pairs,
    tally_bias,
    tell_apart,
)
from autoif_assets.method.recipe import AUDITED, AUTHORS_CODE, RecipeError, make_recipe
from autoif_assets_tests.method.frames import (
    ASSESSED,
    CONTEXT,
    INSTRUCTIONS,
    KEPT,
    NO_LIKELIHOODS,
    PROMPTS,
    TEXTS,
    assessed_as,
    reasons,
)

PAPER = make_recipe("paper")


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


def test_query_pairs_prefer_good_passes_over_clean_fails():
    pairs = query_pairs(INSTRUCTIONS, KEPT, PROMPTS, TEXTS, ASSESSED, NO_LIKELIHOODS, PAPER, "b")
    (pair,) = pairs.drop("pair_id").to_dicts()
    assert pair == {
        "prompt_id": "p",
        "instruction_id": "i",
        "query_id": "q",
        "context": CONTEXT,
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


def test_pairs_in_order_of_likelihood():
    overrides = {
        "likelihood_of": "judged",
        "pair_order": "likelihood",
        "chosen_per_prompt": 1,
        "rejected_per_prompt": 2,
    }
    sides = {"good": True, "better": True, "bad": False, "worse": False, "unread": False}
    material = (INSTRUCTIONS, KEPT, PROMPTS, *assessed_as(sides))
    likelihoods = pl.DataFrame(
        {"response_id": list(sides)[:4], "mean_logprob": [-0.9, -0.2, -0.5, -0.4]}
    )
    pairs = query_pairs(*material, likelihoods, make_recipe("paper", overrides), "b")
    # Those that even out the lengths are others.
    assert pairs.select("chosen", "rejected").rows() == [("better", "worse"), ("better", "bad")]
    overrides["pair_order"] = "random"
    pairs = query_pairs(*material, likelihoods, make_recipe("paper", overrides), "b")
    assert set(pairs["chosen"]) == {"good"}


CANDIDATE = {
    "g": pl.String,
    "instruction_id": pl.String,
    "candidate_id": pl.String,
    "text": pl.String,
    "pass_rate": pl.Float64,
    "score": pl.Float64,
    "failed_verifiers": pl.List(pl.String),
    "origin": pl.String,
    "constrains_length": pl.Boolean,
    "is_positive": pl.Boolean,
    "is_negative": pl.Boolean,
}
# Of each: group, pass rate (None: no verdict), whether it may be chosen, length, and where from.
CANDIDATES = st.lists(
    st.tuples(
        st.sampled_from("ghk"),
        st.sampled_from([None, 0.0, 0.5, 0.75, 1.0]),
        st.booleans(),
        st.integers(1, 40),
        st.sampled_from(["sampled", "near_miss", "further"]),
    ),
    max_size=24,
)


def candidate_frame(rows):
    """Groups g and h are of instruction i; k is of j, which constrains length."""
    return pl.DataFrame(
        [
            (
                *(group, "j" if group == "k" else "i", f"{group}{n}", "x" * size, rate, 9.0),
                *(["v"] if rate == 0 else [], origin, group == "k"),
                *(good and origin != "near_miss", rate == 0),
            )
            for n, (group, rate, good, size, origin) in enumerate(rows)
        ],
        schema=CANDIDATE,
        orient="row",
    )


@settings(deadline=None)
@given(CANDIDATES, st.randoms(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 5))
def test_pair_invariants(rows, random, of_chosen, of_rejected, most):
    recipe = make_recipe(
        "paper",
        {
            "chosen_per_prompt": of_chosen,
            "rejected_per_prompt": of_rejected,
            "pairs_per_prompt": most,
        },
    )
    candidates = candidate_frame(rows)
    pairs = draw_pairs(candidates, "g", recipe, "b")
    shuffled = list(range(candidates.height))
    random.shuffle(shuffled)
    assert pairs.equals(draw_pairs(candidates[shuffled], "g", recipe, "b"))
    assert pairs["pair_id"].n_unique() == pairs.height
    assert (pairs["chosen_pass_rate"] > 0.5).all()
    assert (pairs["rejected_pass_rate"] == 0).all()
    assert (pairs["failed_verifiers"].list.len() > 0).all()
    assert (pairs["chosen_id"] != pairs["rejected_id"]).all()
    assert (pairs["margin"] == pairs["chosen_pass_rate"]).all()
    silent = candidates.filter(pl.col("pass_rate").is_null())["candidate_id"]
    assert not set(silent) & {*pairs["chosen_id"], *pairs["rejected_id"]}
    for (group,), own in candidates.group_by("g"):
        chosen = own.filter(pl.col("is_positive") & (pl.col("pass_rate") > 0.5)).height
        rejected = own.filter("is_negative").height
        found = pairs.filter(g=group)
        assert found.height <= most
        assert found["chosen_id"].n_unique() <= of_chosen
        assert found["rejected_id"].n_unique() <= of_rejected
        if chosen and rejected:
            assert found.height > 0
        if of_chosen * of_rejected <= most:
            assert found.height == min(chosen, of_chosen) * min(rejected, of_rejected)


@settings(deadline=None)
@given(CANDIDATES)
def test_parts_by_instruction_give_the_pairs_of_the_whole(rows):
    candidates = candidate_frame(rows)
    whole = draw_pairs(candidates, "g", PAPER, "b")
    parts = [
        draw_pairs(candidates.filter(instruction_id=key), "g", PAPER, "b") for key in ("i", "j")
    ]
    assert pl.concat(parts).sort("pair_id").equals(whole.sort("pair_id"))


@settings(deadline=None)
@given(CANDIDATES, st.integers(1, 3), st.integers(1, 3))
def test_lengths_of_a_prompt_are_as_even_as_can_be(rows, of_chosen, of_rejected):
    overrides = {"chosen_per_prompt": of_chosen, "rejected_per_prompt": of_rejected}
    recipe = make_recipe("paper", overrides | {"pairs_per_prompt": 9})
    candidates = candidate_frame([row for row in rows if row[0] == "g"])
    pairs = draw_pairs(candidates, "g", recipe, "b")
    if pairs.is_empty():
        return
    usable = candidates.with_columns(length=pl.col("text").str.len_chars())
    sides = [
        usable.filter(rule)["length"].to_list()
        for rule in (pl.col("is_positive") & (pl.col("pass_rate") > 0.5), pl.col("is_negative"))
    ]
    means = [
        all_means(lengths[:12], size)
        for lengths, size in zip(sides, (of_chosen, of_rejected), strict=True)
    ]
    best = min(abs(first - second) for first in means[0] for second in means[1])
    if max(map(len, sides)) <= 12:
        found = (pairs["chosen_length"] - pairs["rejected_length"]).mean()
        assert abs(found) == pytest.approx(best)


def all_means(lengths, size):
    """By brute force, and unlike the code that is tested."""
    size = min(size, len(lengths))
    found = {()}
    for _ in range(size):
        found = {(*taken, i) for taken in found for i in range(len(lengths)) if i not in taken}
    return {sum(lengths[i] for i in taken) / size for taken in found}


def group(name, chosen, rejected):
    return [(name, 1.0, True, size, "sampled") for size in chosen] + [
        (name, 0.0, True, size, "sampled") for size in rejected
    ]


ONE = make_recipe("paper", {"chosen_per_prompt": 1, "rejected_per_prompt": 1})


def differences(rows, **options):
    pairs = draw_pairs(candidate_frame(rows), "g", ONE, "b", **options)
    found = pairs.select("g", pl.col("chosen_length") - pl.col("rejected_length"))
    return dict(found.iter_rows())


def test_what_one_prompt_lacks_another_of_the_instruction_makes_up_for():
    # g must be 10 shorter; h is 10 longer then, though it could be even.
    rows = group("g", [10], [20]) + group("h", [20, 30], [20])
    assert differences(rows) == {"g": -10, "h": 10}
    assert differences([row for row in rows if row[0] == "h"]) == {"h": 0}


def test_where_the_instruction_is_about_length_the_draw_is_left_alone():
    rows = group("k", [*range(31, 39), 7], [20, 7])
    assert differences(rows) == differences(rows, even_lengths=False)
    free = [("g", *rest) for _, *rest in rows]
    assert differences(free) == {"g": 0}
    assert differences(free, even_lengths=False) != {"g": 0}


def test_the_authors_choose_at_half():
    rows = [("g", 0.5, True, 5, "sampled"), ("g", 0.0, False, 5, "sampled")]
    assert draw_pairs(candidate_frame(rows), "g", PAPER, "b").is_empty()
    authors = make_recipe("authors_code")
    assert draw_pairs(candidate_frame(rows), "g", authors, "b").height == 1


def test_another_batch_draws_others():
    candidates = candidate_frame(group("k", [5] * 9, [5] * 9))
    first, second = (draw_pairs(candidates, "g", PAPER, b)["pair_id"] for b in "ab")
    assert set(first) != set(second)


@pytest.mark.parametrize(
    ("chosen", "rejected", "origin"),
    [
        ("sampled", "sampled", "sampled"),
        ("sampled", "near_miss", "near_miss"),
        ("further", "sampled", "further"),
        ("sampled", "further", "further"),
        ("test_case", "test_case", "test_case"),
    ],
)
def test_a_pair_says_where_it_comes_from(chosen, rejected, origin):
    rows = [("g", 1.0, True, 5, chosen), ("g", 0.0, False, 6, rejected)]
    assert draw_pairs(candidate_frame(rows), "g", PAPER, "b")["origin"].to_list() == [origin]


def test_failed_verifiers_are_those_that_said_no():
    said = [
        [
            {"verifier_id": "w", "outcome": "fail"},
            {"verifier_id": "v", "outcome": "fail"},
            {"verifier_id": "u", "outcome": "timeout"},
        ],
        [{"verifier_id": "v", "outcome": "pass"}],
        [],
    ]
    frame = pl.DataFrame(
        {"outcomes": said},
        schema={"outcomes": pl.List(pl.Struct({"verifier_id": pl.String, "outcome": pl.String}))},
    )
    assert frame.select(failed_verifiers()).to_series().to_list() == [["v", "w"], [], []]


def test_biases_are_means_over_what_they_concern():
    pairs = pl.DataFrame(
        {
            "chosen_length": [10, 20, 900],
            "rejected_length": [20, 24, 1],
            "constrains_length": [False, False, True],
            "chosen_score": [9.0, 8.0, None],
            "rejected_score": [4.0, None, None],
        }
    )
    tallies = [tally_bias(pairs[:1]), tally_bias(pairs[1:]), tally_bias(pairs.clear())]
    assert mean_bias(tallies) == {"length_bias": -7.0, "score_bias": 5.0}
    assert mean_bias([]) == mean_bias([tally_bias(pairs.clear())]) == {}


LONG = " ".join(f"word{n}" for n in range(80))
# Eighty characters without a space.
HAN = "".join(chr(0x4E00 + n) for n in range(80))


NOISE = r"^~<\|/^//%+<^#\/\^#\~=++/%<|~|"


def text_pair(chosen, rejected, score=None):
    return {
        "pair_id": "1",
        "prompt_id": "p",
        "instruction_id": "i",
        "context": CONTEXT,
        "prompt": "Why?",
        "chosen": chosen,
        "rejected": rejected,
        "chosen_id": "c",
        "rejected_id": "r",
        "chosen_pass_rate": 1.0,
        "rejected_pass_rate": 0.0,
        "chosen_score": 9.0,
        "rejected_score": score,
        "chosen_length": len(chosen),
        "rejected_length": len(rejected),
        "failed_verifiers": ["v"],
        "margin": 1.0,
        "constrains_length": False,
        "origin": "sampled",
    }


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("An answer.", NOISE, "degenerate"),
        ("An answer.", "and so on and on " * 20, "degenerate"),
        ("An answer.", "ha" * 200, "degenerate"),
        # What asks for symbols, or to repeat oneself, gets that.
        ("<<<>>>", NOISE, None),
        ("so on " * 40, "and so on and on " * 20, None),
        (NOISE, "An answer.", None),
        ("An answer.", "\U0001f600\U0001f600", None),
        ("An answer.", "| a | b |\n|-----|-----|\n| 1 | 2 |", None),
        ("An answer.", "x^2 + y^2 = z^2", None),
        ("An answer.", LONG, None),
        ("An answer.", HAN, None),
        ("An answer.", " ", "empty"),
    ],
)
def test_noise_is_rejected_where_the_recipe_says_so(chosen, rejected, reason):
    pairs = pl.DataFrame([text_pair(chosen, rejected)])
    assert tell_apart(pairs, AUDITED)["reason"].to_list() == [reason]
    kept = None if reason == "degenerate" else reason
    for recipe in (PAPER, AUTHORS_CODE):
        assert tell_apart(pairs, recipe)["reason"].to_list() == [kept]


def test_a_rejected_response_may_need_a_score():
    pairs = pl.DataFrame([text_pair("Yes.", "No.", score) for score in (None, 2.0, 3.0)])
    bounded = make_recipe("paper", {"score_failing": True, "min_rejected_score": ">= 3"})
    assert tell_apart(pairs, bounded)["reason"].to_list() == [None, "low_rejected_score", None]
    assert tell_apart(pairs, PAPER)["reason"].to_list() == [None] * 3
    with pytest.raises(RecipeError, match="needs score_failing"):
        make_recipe("paper", {"min_rejected_score": "> 2"})


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("a b", "a  b\n", "identical"),
        ("", "x", "empty"),
        ("x", " ", "empty"),
        ("x", "y", None),
        # One word of eighty is nothing to learn from; of four, or the case of all, it is.
        (LONG, LONG.replace("word40", "other"), "near_identical"),
        ("no comma in here", "no comma, in here", None),
        (HAN, HAN.replace(HAN[40], "春"), "near_identical"),
        (HAN, HAN[::-1], None),
        (LONG, LONG.upper(), None),
        (LONG, " ".join(sorted(LONG.split(), reverse=True)), None),
    ],
)
def test_useless_pairs_are_kept_with_a_reason(chosen, rejected, reason):
    pair = text_pair(chosen, rejected)
    query_level = pl.DataFrame([pair])
    instruction_level = query_level.drop("prompt_id", "context").with_columns(pair_id=pl.lit("2"))
    pairs = gather_pairs([("instruction", instruction_level), ("query", query_level)], PAPER)
    assert reasons(pairs, "pair_id") == {"1": reason, "2": reason}
    assert pairs.select("level", "prompt_id", "context").rows() == [
        ("instruction", None, None),
        ("query", pair["prompt_id"], CONTEXT),
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=6))
def test_accepted_pairs_are_never_identical(texts):
    rows = [
        row
        for n, (chosen, rejected) in enumerate(texts)
        for row in ((f"g{n}", chosen, 1.0), (f"g{n}", rejected, 0.0))
    ]
    candidates = pl.DataFrame(
        [
            (g, "i", f"{g}{rate}", text, rate, None, [], "sampled", False, rate > 0, rate == 0)
            for g, text, rate in rows
        ],
        schema=CANDIDATE,
        orient="row",
    )
    drawn = draw_pairs(candidates, "g", PAPER, "b").rename({"g": "prompt_id"})
    assert drawn.height == len(texts)
    drawn = drawn.with_columns(instruction_id=pl.lit("i"), prompt=pl.lit("p"))
    for row in gather_pairs([("query", drawn)], PAPER).iter_rows(named=True):
        same = row["chosen"].split() == row["rejected"].split()
        assert (row["status"] == "rejected") or not same
