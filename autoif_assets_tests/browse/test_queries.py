"""Filters, orders and pages: what an address asks, as SQL that nothing written can leave."""

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.browse.queries import (
    CELL_CHARS,
    COMPARISONS,
    BadAddress,
    Filter,
    Relation,
    Selection,
    address,
    catalogue,
    page_of,
    pairs,
    selection,
    where,
)

# A column for each kind, of names that SQL would take otherwise.
KINDS = {
    "text": "VARCHAR",
    'a "b"; --': "BIGINT",
    "a.b": "DOUBLE",
    "flag": "BOOLEAN",
    "at": "TIMESTAMPTZ",
    "names": "VARCHAR[]",
    "verdicts": "STRUCT(verifier_id VARCHAR, outcome VARCHAR)[]",
    "span": "INTERVAL",
    "map": "MAP(VARCHAR, INTEGER)",
    "price": "DECIMAL(9,2)",
}
RELATION = Relation("mine", "its table", KINDS)
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "'; DROP TABLE mine; --",
        "1",
        "-1e400",
        "nan",
        "true",
        "2024-01-01",
        "%",
        "_",
        "\0",
        "é É",
    ]
)
FILTERS = st.builds(Filter, st.sampled_from(list(KINDS)), st.sampled_from(list(COMPARISONS)), TEXTS)
SELECTIONS = st.builds(
    Selection,
    filters=st.lists(FILTERS, max_size=3, unique=True).map(tuple),
    sort=st.just("") | st.sampled_from(list(KINDS)),
    page=st.integers(1, 999_999_999),
).flatmap(
    lambda one: st.just(one) if not one.sort else st.builds(_sorted, st.just(one), st.booleans())
)
WORDS = ["", "a", "A", "ab", "b%", "_", "é", "'", '"', "\n", "null", None]


def _sorted(one, descending):
    return Selection(one.filters, one.sort, descending, one.page, one.form)


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        columns = ", ".join(
            f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, kind in KINDS.items()
        )
        con.execute(f'CREATE SCHEMA mine; CREATE TABLE mine."its table" ({columns})')
        con.executemany(
            'INSERT INTO mine."its table" VALUES (?, ?, ?, ?, now(), [?, NULL], [],'
            " INTERVAL 1 DAY, MAP {'a': 1}, 1.5)",
            [[word, i, i / 4, i % 2 == 0, word] for i, word in enumerate(WORDS)],
        )
        yield con


def asked(con, sql, values):
    return pl.DataFrame(con.sql(sql, params=values).to_arrow_table())


@given(of=SELECTIONS)
def test_an_address_is_read_back_as_it_was_written(of):
    assert selection(RELATION, pairs(RELATION, of)) == of
    assert address(RELATION, of).isascii()


@given(of=SELECTIONS)
def test_whatever_is_asked_is_answered_or_does_not_fit_its_column(con, of):
    try:
        found = asked(con, *page_of(RELATION, of))
    except duckdb.ConversionException:
        return
    assert found.height <= of.size
    assert con.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(1,)]


@given(value=TEXTS | st.sampled_from([word for word in WORDS if word is not None]))
def test_texts_are_compared_as_they_are(con, value):
    def left(comparison):
        condition, values = where(RELATION, [Filter("text", comparison, value)])
        return asked(con, f"SELECT text FROM {RELATION.sql} WHERE {condition}", values)[
            "text"
        ].to_list()

    assert left("") == [word for word in WORDS if word == value]
    assert left("not") == [word for word in WORDS if word != value]
    assert left("null") == [None]
    assert left("known") == [word for word in WORDS if word is not None]
    if value.isascii():
        parts = [word for word in WORDS if word is not None and value.lower() in word.lower()]
        assert left("has") == parts


@pytest.mark.parametrize(
    ("name", "comparison", "value", "rows"),
    [
        ('a "b"; --', "ge", "9", [9, 10, 11]),
        ("a.b", "lt", "0.5", [0, 1]),
        ("flag", "", "true", [0, 2, 4, 6, 8, 10]),
        ("names", "has", "AB", [3]),
        ("at", "gt", "2020-01-01", list(range(12))),
    ],
)
def test_numbers_flags_times_and_lists_are_compared_by_their_kind(
    con, name, comparison, value, rows
):
    condition, values = where(RELATION, [Filter(name, comparison, value)])
    found = asked(con, f'SELECT "a ""b""; --" AS n FROM {RELATION.sql} WHERE {condition}', values)
    assert sorted(found["n"]) == rows


def test_pages_hold_every_row_once_and_long_texts_in_part(con):
    con.execute(
        "CREATE TABLE mine.many AS"
        " SELECT i % 7 AS n, repeat('x', 5000) AS long FROM range(120) t(i)"
    )
    relation = Relation("mine", "many", {"n": "BIGINT", "long": "VARCHAR"})
    found = [
        asked(con, *page_of(relation, Selection(sort="n", descending=True, page=n)))
        for n in (1, 2, 3, 4)
    ]
    assert [one.height for one in found] == [50, 50, 20, 0]
    assert pl.concat(found)["v0"].to_list() == sorted((i % 7 for i in range(120)), reverse=True)
    assert set(found[0]["v1"].str.len_chars()) == {CELL_CHARS}
    assert set(found[0]["n1"]) == {5000}
    con.execute("DROP TABLE mine.many")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("nothing", "1", "no column 'nothing'"),
        ("text.like", "1", "'text.like' compares in no known way"),
        ('text" OR 1=1 --', "1", "no column"),
        ("_sort", "text; DROP", "no column"),
        ("_page", "0", "'0' is no number of a page"),
        ("_page", "9" * 40, "no number of a page"),
        ("_page", "²", "no number of a page"),
    ],
)
def test_what_cannot_be_asked_is_told(name, value, told):
    with pytest.raises(BadAddress, match=told):
        selection(RELATION, [(name, value)])


def test_tables_of_ones_own_are_listed_behind_ours(con):
    found = catalogue(lambda sql, values: asked(con, sql, values))
    assert [(one.address, one.group, one.columns) for one in found.values()] == [
        ("mine.its table", "Schema mine", KINDS | {"at": "TIMESTAMP WITH TIME ZONE"})
    ]
