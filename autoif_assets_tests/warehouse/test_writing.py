"""Frames are checked, and converted where that loses nothing."""

from datetime import UTC, datetime

import polars as pl
import pytest

from autoif_assets.warehouse import TABLES, SchemaMismatch, polars_schema
from autoif_assets.warehouse.writing import conform

from .samples import sample

VERDICTS = TABLES["response_verdicts"]
CALLS = TABLES["llm_calls"]
B1 = [{"batch": "b1"}]


def verdicts(**columns: pl.Expr) -> pl.DataFrame:
    return sample(VERDICTS, 4, batch="b1").with_columns(**columns)


def refusal(frame: pl.DataFrame, table=VERDICTS, partitions=B1) -> str:
    with pytest.raises(SchemaMismatch) as caught:
        conform(table, frame, partitions)
    return str(caught.value)


def test_a_fitting_frame_comes_back_in_declared_order():
    frame = verdicts()
    assert conform(VERDICTS, frame.select(reversed(frame.columns)), B1).equals(frame)


def test_missing_and_unknown_columns_are_named_together():
    message = refusal(verdicts(extra=pl.lit(1)).drop("passed", "reason"))
    assert "response_verdicts" in message
    assert "column passed is missing: expected BIGINT" in message
    assert "column reason is missing: expected VARCHAR" in message
    assert "column extra (Int32) is unknown" in message


def test_a_fraction_is_not_stored_as_an_integer():
    message = refusal(verdicts(passed=pl.lit(1.75)))
    assert "column passed: expected BIGINT, found Float64 (such as 1.75)" in message


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("passed", pl.lit("3"), "String"),
        ("passed", pl.lit(True), "Boolean"),
        ("response_id", pl.lit(3), "Int32"),
        ("pass_rate", pl.lit("0.5"), "String"),
        ("outcomes", pl.lit("pass"), "String"),
    ],
)
def test_other_types_are_refused(column, value, found):
    message = refusal(verdicts(**{column: value}))
    assert f"column {column}: expected" in message
    assert f"found {found}" in message


@pytest.mark.parametrize(
    "struct",
    [
        pl.struct(verifier_id=pl.lit("v"), outcome=pl.lit("pass"), new=pl.lit(1)),
        pl.struct(verifier_id=pl.lit("v")),
        pl.struct(outcome=pl.lit("pass"), verifier_id=pl.lit("v")),
    ],
    ids=["more fields", "fewer fields", "swapped fields"],
)
def test_other_struct_fields_are_refused(struct):
    message = refusal(verdicts(outcomes=pl.concat_list(struct)))
    assert "column outcomes: expected STRUCT(verifier_id VARCHAR, outcome VARCHAR)[]" in message


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt16, pl.Int32, pl.UInt64])
def test_integers_widen(dtype):
    frame = conform(VERDICTS, verdicts(passed=pl.col("passed").cast(dtype)), B1)
    assert frame.schema == polars_schema(VERDICTS)
    assert frame["passed"].to_list() == [0, 1, 2, 3]


def test_an_integer_out_of_range_is_refused():
    message = refusal(verdicts(passed=pl.lit(2**63, pl.UInt64)))
    assert "column passed: expected BIGINT, found UInt64" in message
    assert "out of range" in message


def test_an_integer_that_a_double_cannot_hold_is_refused():
    fits = conform(VERDICTS, verdicts(pass_rate=pl.lit(2**53)), B1)
    assert fits["pass_rate"][0] == 2.0**53
    assert "row 0 would change from 9007199254740993" in refusal(
        verdicts(pass_rate=pl.lit(2**53 + 1))
    )


def test_all_null_columns_take_the_declared_type():
    frame = conform(VERDICTS, verdicts(reason=None, pass_rate=None, status=pl.lit("accepted")), B1)
    assert frame.schema == polars_schema(VERDICTS)


def test_empty_lists_and_null_fields_take_the_declared_type():
    empty = conform(VERDICTS, verdicts(outcomes=pl.lit([], pl.List(pl.Null))), B1)
    assert empty.schema == polars_schema(VERDICTS)
    half = pl.concat_list(pl.struct(verifier_id=pl.lit("v"), outcome=pl.lit(None)))
    frame = conform(VERDICTS, verdicts(outcomes=half), B1)
    assert frame["outcomes"][0].to_list() == [{"verifier_id": "v", "outcome": None}]


def test_categories_become_text():
    frame = verdicts().with_columns(pl.col("status").cast(pl.Enum(["accepted", "rejected"])))
    assert conform(VERDICTS, frame, B1).schema == polars_schema(VERDICTS)


def test_times_become_utc_and_naive_times_are_refused():
    slices = [{"batch": "b1", "asset": "responses"}]
    frame = sample(CALLS, 2, batch="b1", asset="responses")
    berlin = frame.with_columns(pl.col("started_at").dt.convert_time_zone("Europe/Berlin"))
    assert conform(CALLS, berlin, slices)["started_at"][0] == datetime(2024, 1, 1, tzinfo=UTC)
    naive = frame.with_columns(pl.col("started_at").dt.replace_time_zone(None))
    assert "column started_at: expected TIMESTAMPTZ" in refusal(naive, CALLS, slices)


def test_nanoseconds_are_not_cut_off():
    slices = [{"batch": "b1", "asset": "responses"}]
    frame = sample(CALLS, 2, batch="b1", asset="responses")
    nano = pl.col("started_at").cast(pl.Datetime("ns", "UTC"))
    assert conform(CALLS, frame.with_columns(nano), slices).equals(frame)
    finer = frame.with_columns(nano + pl.duration(nanoseconds=1))
    assert "column started_at: expected TIMESTAMPTZ" in refusal(finer, CALLS, slices)


def test_nulls_where_none_may_be_are_counted():
    hole = pl.when(pl.col("passed") > 1).then(None).otherwise(pl.col("passed"))
    message = refusal(verdicts(passed=hole))
    assert "column passed may not be null: 2 of 4 rows are, the first is row 2" in message


def test_repeated_keys_are_named():
    message = refusal(verdicts(response_id=pl.lit("same")))
    assert "key (batch, response_id) must be unique: 4 rows" in message
    assert "same" in message


def test_rows_of_another_partition_are_refused():
    frame = pl.concat([verdicts(), sample(VERDICTS, 2, batch="b2")])
    message = refusal(frame)
    assert "2 rows belong to another partition, such as {'batch': 'b2'}" in message
    both = [*B1, {"batch": "b2"}]
    assert conform(VERDICTS, frame, both).height == 6


def test_a_gate_accepts_or_rejects_for_a_reason():
    assert "such as 'maybe'" in refusal(verdicts(status=pl.lit("maybe")))
    message = refusal(verdicts(reason=pl.lit(None, pl.String)))
    assert "2 rejected rows give no reason" in message
