"""The declarations, and what is derived from them."""

import duckdb
import polars as pl
import pytest

from autoif_assets.warehouse import TABLES, Table, empty_frame, polars_schema
from autoif_assets.warehouse.columns import create_table, polars_type

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
