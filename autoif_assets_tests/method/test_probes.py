"""Probe texts: what is asked for, what is read, and who is tried on what."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.gates import accepted
from autoif_assets.method.probes import (
    BREAKING,
    CASE,
    EDGE,
    EDGE_TEXTS,
    OBEYING,
    OTHER,
    PROBE_SCHEMA,
    SHARED,
    parse_probes,
    probe_prompts,
    probe_texts,
    tried_on,
)
from autoif_assets.method.recipe import RECIPES, make_recipe
from autoif_assets.method.resampling import near_miss_prompts
from autoif_assets.method.responses import response_prompts
from autoif_assets_tests.method.frames import completions, reasons

AUDITED = RECIPES["audited"]
KEYS = {"instruction_id": pl.String, "prompt_id": pl.String, "kind": pl.String}
QUERIES = pl.DataFrame(
    {
        "prompt_id": ["p1", "p2"],
        "instruction_id": ["i", "j"],
        "query_id": ["q1", "q1"],
        "instruction": ["Be {{ kind }}.", "Use no commas."],
        "query": ["Why?", "Why?"],
        "context": [None, '[{"role":"system","content":"Be brief."}]'],
        "prompt": ["-", "-"],
    }
)
CASES = pl.DataFrame(schema={"case_id": pl.String, "instruction_id": pl.String, "input": pl.String})


def wrote(*rows):
    """What models wrote: rows of instruction, kind and text."""
    return parse_probes(
        completions(
            *(
                {"instruction_id": i, "prompt_id": "p", "kind": kind, "raw": raw, "sample": n}
                for n, (i, kind, raw) in enumerate(rows)
            ),
            **KEYS,
        )
    )


def cases(*rows):
    return pl.DataFrame(rows, CASES.schema, orient="row")


# --- what is asked for ----------------------------------------------------------------------


@pytest.mark.parametrize("language", [None, "German"])
def test_probes_are_asked_for_as_responses_are(language):
    recipe = make_recipe("audited", {"language": language, "near_misses_per_prompt": 1})
    asked = probe_prompts(QUERIES, recipe)
    for kind in (OBEYING, BREAKING):
        assert asked[kind].select("instruction_id", "prompt_id", "kind").rows() == [
            ("i", "p1", kind),
            ("j", "p2", kind),
        ]
        assert asked[kind]["context"].to_list() == QUERIES["context"].to_list()
    assert (
        asked[OBEYING]["prompt"].to_list() == response_prompts(QUERIES, recipe)["prompt"].to_list()
    )
    good = QUERIES.select("prompt_id").with_columns(
        is_judged=True, passes=True, is_positive=True, is_negative=False
    )
    missed = near_miss_prompts(QUERIES, good, recipe)
    assert asked[BREAKING]["prompt"].to_list() == missed["prompt"].to_list()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("obeying_probes_per_instruction", OBEYING),
        ("breaking_probes_per_instruction", BREAKING),
    ],
)
def test_none_is_asked_for_where_the_recipe_wants_none(number, kind):
    asked = probe_prompts(QUERIES, make_recipe("audited", {number: 0}))
    assert {name: frame.height for name, frame in asked.items()} == {
        name: 0 if name == kind else 2 for name in (OBEYING, BREAKING)
    }


@pytest.mark.parametrize("name", ["paper", "authors_code"])
def test_the_papers_recipes_ask_for_none(name):
    assert all(frame.is_empty() for frame in probe_prompts(QUERIES, make_recipe(name)).values())


def test_without_prompts_none_is_asked_for():
    asked = probe_prompts(QUERIES.clear(), AUDITED)
    assert asked[OBEYING].is_empty()
    assert asked[OBEYING].schema == probe_prompts(QUERIES, AUDITED)[OBEYING].schema


# --- what is read ---------------------------------------------------------------------------


def test_every_completion_keeps_its_reason():
    rows = [
        {"raw": " one \n"},
        {"raw": "one"},
        {"raw": "one", "kind": BREAKING},
        {"raw": "one", "instruction_id": "j"},
        {"raw": "cut", "finish_reason": "length"},
        {"raw": "cut"},
        {"raw": None, "finish_reason": None, "error": "400: no"},
        {"raw": "  "},
        {"raw": "a<|im_end|>b"},
        {"raw": "bell\a"},
    ]
    own = {"instruction_id": "i", "prompt_id": "p", "kind": OBEYING}
    read = parse_probes(
        completions(*({**own, "sample": n, **row} for n, row in enumerate(rows)), **KEYS)
    )
    assert reasons(read, "sample") == {
        0: None,
        1: "duplicate",
        2: "duplicate",  # one text cannot both obey and break it
        3: None,
        4: "truncated",
        5: None,
        6: "call_refused",
        7: "empty",
        8: "control_tokens",
        9: "control_characters",
    }
    assert read["input"][0] == "one"
    assert read["probe_id"].null_count() == 1
    assert parse_probes(completions(**KEYS)).schema == read.schema


# --- the texts of a batch -------------------------------------------------------------------


def test_texts_of_a_batch_have_places_edges_first():
    written = wrote(("i", OBEYING, "one"), ("i", BREAKING, "two"), ("j", OBEYING, "one"))
    made = probe_texts(written, cases(("c", "i", "three"), ("d", "j", "two")), AUDITED)
    assert made["position"].to_list() == list(range(made.height))
    placed = made.drop_nulls("place").sort("place")
    assert placed["place"].to_list() == list(range(placed.height))
    assert placed["kind"].to_list()[: len(EDGE_TEXTS)] == [EDGE] * len(EDGE_TEXTS)
    assert set(placed["input"][: len(EDGE_TEXTS)]) == set(EDGE_TEXTS)
    # Each text once, be it written for two instructions or a case as well.
    assert sorted(placed["input"][len(EDGE_TEXTS) :]) == ["one", "three", "two"]
    # What was paid for keeps its row, and a case has its own table.
    assert made.filter(pl.col("kind") == OBEYING).height == 2
    assert made.filter(pl.col("kind") == CASE)["place"].null_count() == 0


def test_no_more_texts_have_places_than_the_recipe_wants():
    written = wrote(*(("i", OBEYING, f"text {n}") for n in range(20)))
    for limit in (0, 3, len(EDGE_TEXTS), 15):
        recipe = make_recipe("audited", {"probe_texts_per_batch": limit})
        made = probe_texts(written, CASES, recipe)
        assert made["place"].drop_nulls().sort().to_list() == list(range(limit))
        assert made.filter(pl.col("kind") == OBEYING).height == 20


def test_the_sample_is_that_of_the_seed():
    written = wrote(*(("i", OBEYING, f"text {n}") for n in range(20)))

    def sample(seed):
        recipe = make_recipe("audited", {"probe_texts_per_batch": 12, "seed": seed})
        return probe_texts(written, CASES, recipe).drop_nulls("place")["input"].to_list()

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_where_none_was_written_there_are_none():
    made = probe_texts(wrote(), cases(("c", "i", "three")), AUDITED)
    assert made.is_empty()
    full = probe_texts(wrote(("i", OBEYING, "one")), CASES, AUDITED)
    assert made.schema == full.schema


def test_where_no_answer_is_whole_cases_and_edges_are_left():
    made = probe_texts(wrote(("i", OBEYING, " ")), cases(("c", "i", "three")), AUDITED)
    assert reasons(made.filter(pl.col("kind") == OBEYING), "kind") == {OBEYING: "empty"}
    assert accepted(made).height == len(EDGE_TEXTS) + 1


# --- who is tried on what -------------------------------------------------------------------

INSTRUCTIONS = pl.DataFrame({"instruction_id": ["i", "j", "i"]})


def test_an_instruction_is_tried_on_its_own_texts_edges_and_some_of_others():
    written = wrote(("i", OBEYING, "one"), ("i", BREAKING, "two"), ("j", OBEYING, "three"))
    probes = accepted(probe_texts(written, cases(("c", "k", "four")), AUDITED))
    of = tried_on(probes, INSTRUCTIONS)
    assert of.schema == pl.Schema(PROBE_SCHEMA)
    assert of.select("instruction_id", "input_id").is_unique().all()
    by_kind = {
        name: dict(of.filter(instruction_id=name).group_by("kind").agg("input").iter_rows())
        for name in ("i", "j")
    }
    assert sorted(by_kind["i"]) == sorted([OBEYING, BREAKING, EDGE, OTHER])
    assert sorted(by_kind["i"][OTHER]) == ["four", "three"]
    assert sorted(by_kind["j"][OTHER]) == ["four", "one", "two"]
    assert all(sorted(texts[EDGE]) == sorted(EDGE_TEXTS) for texts in by_kind.values())


def test_a_text_of_two_instructions_is_tried_once_and_is_each_ones_own():
    written = wrote(("i", OBEYING, "one"), ("j", BREAKING, "one"))
    of = tried_on(accepted(probe_texts(written, CASES, AUDITED)), INSTRUCTIONS)
    ones = of.filter(input="one").sort("instruction_id")
    assert ones.select("instruction_id", "kind").rows() == [("i", OBEYING), ("j", BREAKING)]


def test_only_so_many_texts_of_others_are_tried():
    written = wrote(*(("k", OBEYING, f"text {n}") for n in range(SHARED + 20)))
    of = tried_on(accepted(probe_texts(written, CASES, AUDITED)), INSTRUCTIONS)
    others = of.filter(kind=OTHER)
    assert others.group_by("instruction_id").len()["len"].to_list() == [SHARED] * 2
    # The same for all.
    assert others["input_id"].n_unique() == SHARED


@pytest.mark.parametrize(("probes", "instructions"), [(True, False), (False, True), (False, False)])
def test_without_probes_or_instructions_nothing_is_tried(probes, instructions):
    known = accepted(probe_texts(wrote(("i", OBEYING, "one")), CASES, AUDITED))
    of = tried_on(
        known if probes else known.clear(), INSTRUCTIONS if instructions else INSTRUCTIONS.clear()
    )
    assert of.is_empty()
    assert of.schema == pl.Schema(PROBE_SCHEMA)


_TEXT = st.sampled_from(
    ["a", "b", " a ", "", "\n", "🙂", "\u202e", "null", "<|im_end|>", "\0", *EDGE_TEXTS]
)
_ROW = st.tuples(st.sampled_from("ij"), st.sampled_from([OBEYING, BREAKING]), _TEXT)


@given(st.lists(_ROW, max_size=12), st.lists(_TEXT, unique=True, max_size=4), st.integers(0, 20))
def test_any_texts_keep_one_row_each(rows, inputs, limit):
    written = wrote(*rows)
    known = cases(*((f"c{n}", "j", text) for n, text in enumerate(inputs)))
    recipe = make_recipe("audited", {"probe_texts_per_batch": limit})
    made = probe_texts(written, known, recipe)
    paid = made.filter(pl.col("kind").is_in([OBEYING, BREAKING]))
    assert paid["sample"].to_list() == list(range(len(rows)))
    placed = made.drop_nulls("place")
    assert placed["place"].sort().to_list() == list(range(placed.height))
    assert placed.height <= limit
    assert placed["input"].is_unique().all()
    assert set(placed["status"]) <= {"accepted"}
    of = tried_on(accepted(made), INSTRUCTIONS)
    assert of.select("instruction_id", "input_id").is_unique().all()
    assert of.select("instruction_id", "input").is_unique().all()
    assert of["kind"].is_in([OBEYING, BREAKING, EDGE, OTHER]).all()
