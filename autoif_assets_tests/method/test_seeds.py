import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from autoif_assets.method.ids import content_id, normalise
from autoif_assets.method.seeds import select_instructions, select_queries
from autoif_assets.method.text import length_of

CANDIDATES = {
    "source": pl.String,
    "line": pl.Int64,
    "text": pl.String,
    "context": pl.String,
    "reason": pl.String,
}


def candidates(texts, reasons=None, contexts=None):
    nothing = [None] * len(texts)
    rows = zip(texts, contexts or nothing, reasons or nothing, strict=True)
    return pl.DataFrame(
        [("f", line, *row) for line, row in enumerate(rows, start=1)],
        schema=CANDIDATES,
        orient="row",
    )


def test_both_limits_are_exclusive():
    frame = select_queries(candidates(["x" * n for n in (20, 21, 299, 300)]), 20, 300)
    assert frame["reason"].to_list() == ["too_short", None, None, "too_long"]
    assert frame["status"].to_list() == ["rejected", "accepted", "accepted", "rejected"]


def test_reasons_in_order():
    texts = ["Why is the sky blue?", "Why is the  sky blue?", "why is sky blue", "", None, None]
    reasons = [None, None, None, None, None, "no_human_turn"]
    frame = select_queries(candidates(texts, reasons), 5, 100)
    assert frame["reason"].to_list() == [
        None,
        "duplicate",
        "near_duplicate",
        "empty",
        "empty",
        "no_human_turn",
    ]
    assert frame["query"].to_list()[3:] == ["", "", ""]


def test_a_query_keeps_its_line_breaks_and_its_id_ignores_them():
    frame = select_queries(candidates(["  Fix this:\r\nx = 1\ry\n"]), 5, 100)
    assert frame["query"].item() == "Fix this:\nx = 1\ny"
    assert frame["query_id"].item() == content_id("query", "Fix this: x = 1 y")


def test_a_query_is_another_one_where_other_things_were_said_before_it():
    texts = ["Why is that?", "Why is that?", "Why is that?", "Why  is that?", "why is that"]
    frame = select_queries(candidates(texts, None, [None, "[1]", "[2]", "[1]", "[2]"]), 5, 100)
    assert frame["reason"].to_list() == [None, None, None, "duplicate", "near_duplicate"]
    assert frame["context"].to_list() == [None, "[1]", "[2]", "[1]", "[2]"]
    ids = frame["query_id"].to_list()
    assert ids[0] == content_id("query", "Why is that?")
    assert len(set(ids[:3])) == 3
    assert ids[3] == ids[1]


def test_a_rejected_text_is_no_original():
    frame = select_queries(candidates(["a b c", "Please, a b c."]), 5, 100)
    assert frame["reason"].to_list() == ["too_short", None]


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=10))
@example(["0\U00020000"])
def test_every_candidate_stays_and_accepted_ids_differ(texts):
    frame = select_queries(candidates(texts), 2, 9)
    assert frame["line"].to_list() == list(range(1, len(texts) + 1))
    accepted = frame.filter(status="accepted")
    assert accepted["query_id"].is_unique().all()
    assert accepted.select(length_of(pl.col("query")).is_between(3, 8)).to_series().all()
    assert (frame["reason"].is_null() == (frame["status"] == "accepted")).all()
    assert all(
        key == content_id("query", normalise(query))
        for key, query in frame.select("query_id", "query").iter_rows()
    )


def test_instructions():
    frame = pl.DataFrame(
        {
            "source": ["f"] * 5,
            "line": [1, 2, 3, 4, 5],
            "text": ["Use  no\ncommas.", "Use no commas.", "use no comma", " ", "Use 3 dots."],
            "category": ["punctuation", None, None, " ", ""],
            "verifier": ["[1]", None, None, None, None],
            "cases": [None, None, None, None, "[2]"],
            "reason": pl.Series([None] * 5, dtype=pl.String),
        }
    )
    frame = select_instructions(frame)
    assert frame["instruction"].to_list()[0] == "Use no commas."
    assert frame["instruction_id"].to_list()[0] == content_id("instruction", "Use no commas.")
    assert frame["reason"].to_list() == [None, "duplicate", "near_duplicate", "empty", None]
    assert frame["category"].to_list() == ["punctuation", None, None, None, None]
    assert frame["verifier"].to_list() == ["[1]", None, None, None, None]
    assert frame["cases"].to_list() == [None, None, None, None, "[2]"]
