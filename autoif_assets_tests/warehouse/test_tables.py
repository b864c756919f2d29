"""The declarations, and what is derived from them."""

from dataclasses import replace

import duckdb
import polars as pl
import pytest

from autoif_assets.warehouse import (
    TABLES,
    Column,
    ForeignKey,
    Table,
    empty_frame,
    polars_schema,
)
from autoif_assets.warehouse.schema import create_table, polars_type

EVERY = pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))


@EVERY
def test_names_and_keys_are_sound(table: Table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert set(table.key) <= set(names)
    assert not any(column.nullable for column in table.columns if column.name in table.key)
    assert table.description.endswith(".")
    assert all(column.description.endswith(".") for column in table.columns)


@EVERY
def test_key_contains_the_partition_so_that_checking_a_slice_is_enough(table: Table):
    assert set(table.partitions) <= set(table.key)
    types = {column.name: column.type for column in table.columns}
    assert all(types[name] == "VARCHAR" for name in table.partitions)


@EVERY
def test_a_gate_has_status_and_reason(table: Table):
    names = {column.name for column in table.columns}
    assert ("status" in names) == ("reason" in names)


@EVERY
def test_duckdb_and_polars_agree_on_every_type(table: Table):
    con = duckdb.connect()
    con.execute("CREATE SCHEMA autoif")
    con.execute(create_table(table))
    found = pl.DataFrame(con.sql(f"FROM autoif.{table.name}").to_arrow_table())
    assert found.columns == polars_schema(table).names()
    for name, dtype in polars_schema(table).items():
        if isinstance(dtype, pl.Datetime):
            assert isinstance(found.schema[name], pl.Datetime)
        else:
            assert found.schema[name] == dtype


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("BIGINT", pl.Int64()),
        ("VARCHAR[][]", pl.List(pl.List(pl.String()))),
        (
            "STRUCT(a VARCHAR, b STRUCT(c BIGINT, d DOUBLE)[], e BOOLEAN)[]",
            pl.List(
                pl.Struct(
                    {
                        "a": pl.String,
                        "b": pl.List(pl.Struct({"c": pl.Int64, "d": pl.Float64})),
                        "e": pl.Boolean,
                    }
                )
            ),
        ),
    ],
)
def test_polars_type_reads_nested_types(text, dtype):
    assert polars_type(text) == dtype


def test_polars_type_names_an_unknown_type():
    with pytest.raises(ValueError, match="HUGEINT"):
        polars_type("HUGEINT[]")


def test_empty_frame_has_the_declared_columns():
    table = TABLES["response_verdicts"]
    assert empty_frame(table).is_empty()
    assert empty_frame(table).schema == polars_schema(table)


@EVERY
def test_foreign_keys_lead_to_columns_that_are_there(table: Table):
    types = {column.name: column.type for column in table.columns}
    for key in table.foreign_keys:
        there = {column.name: column.type for column in TABLES[key.table].columns}
        assert [types[name] for name in key.columns] == [there[name] for name in key.to]


@EVERY
def test_closed_vocabularies_are_of_text(table: Table):
    assert all(column.type == "VARCHAR" for column in table.columns if column.values)


def test_charts_and_origins_name_columns_that_are_there():
    for table in TABLES.values():
        columns = {column.name: column for column in table.columns}
        for column, what in table.charts:
            text = columns[column].type == "VARCHAR"
            assert what in (("length",) if text else ("share", "score")), (table.name, column)
        names = list(TABLES)
        for column, origin in table.origins:
            assert column in columns, (table.name, column)
            parent, _, theirs = origin.partition(".")
            assert theirs in {one.name for one in TABLES[parent].columns}, (table.name, origin)
            assert names.index(parent) < names.index(table.name), (table.name, origin)


@pytest.mark.parametrize(
    ("base", "variants"),
    [
        ("responses", ("further_responses", "policy_responses")),
        ("response_verdicts", ("further_verdicts", "policy_verdicts")),
        ("response_scores", ("further_scores",)),
        ("query_preference_pairs", ("online_preference_pairs",)),
    ],
)
def test_a_table_like_another_has_its_columns_in_their_order(base, variants):
    names = [column.name for column in TABLES[base].columns]
    for variant in variants:
        theirs = [column.name for column in TABLES[variant].columns if column.name in names]
        assert theirs == names


def test_what_is_added_to_a_table_is_in_its_variants():
    note, policy = Column("note", "VARCHAR", "A note."), Column("policy", "VARCHAR", "A policy.")
    more = replace(
        TABLES["response_verdicts"],
        columns=(*TABLES["response_verdicts"].columns, note),
        key=("batch", "response_id", "note"),
        foreign_keys=(ForeignKey(("batch", "note"), "responses", ("batch", "response")),),
        origins=(("note", "responses.response"),),
    )
    answers = TABLES["responses"].variant("answers", "An answer.", "", partition=policy)
    judged = more.variant(
        "judged",
        "A judged answer.",
        "",
        partition=policy,
        changed=(replace(note, nullable=True),),
        instead_of={"responses": answers},
    )
    assert judged.columns[1] == policy
    assert judged.columns[-1] == replace(note, nullable=True)
    assert judged.key == ("batch", "policy", "response_id", "note")
    assert judged.partitions == ("batch", "policy")
    (key,) = judged.foreign_keys
    assert key == ForeignKey(
        ("batch", "policy", "note"), "answers", ("batch", "policy", "response")
    )
    assert judged.origins == (("note", "answers.response"),)
    assert judged.charts == more.charts


def test_a_variant_of_columns_that_are_not_there_is_told():
    with pytest.raises(ValueError, match=r"judged: responses has no column note, status_code\."):
        TABLES["responses"].variant(
            "judged",
            "A judged answer.",
            "",
            after={"status_code": Column("policy", "VARCHAR", "A policy.")},
            changed=(Column("note", "VARCHAR", "A note."),),
        )
