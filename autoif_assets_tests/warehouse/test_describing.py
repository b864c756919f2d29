import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.warehouse import TABLES
from autoif_assets.warehouse.describing import Tally, column_lineage

from .samples import sample

RESPONSES = TABLES["responses"]


def told(*frames, table=RESPONSES):
    tally = Tally(table)
    for frame in frames:
        assert tally.count(frame) is frame
    return {name: value.value for name, value in tally.metadata().items()}


def rows(*statuses, text="text"):
    frame = sample(RESPONSES, len(statuses), batch="b1")
    reasons = [None if status == "accepted" else "truncated" for status in statuses]
    return frame.with_columns(
        status=pl.Series(statuses, dtype=pl.String),
        reason=pl.Series(reasons, dtype=pl.String),
        response=pl.lit(text),
    )


def test_rows_are_counted_by_status_and_reason_over_all_frames():
    metadata = told(rows("accepted", "rejected"), rows("rejected"))
    assert metadata["dagster/row_count"] == 3
    assert (metadata["rows/accepted"], metadata["rows/rejected"]) == (1, 2)
    assert "| rejected | truncated | 2 |" in metadata["outcomes"]


def test_the_preview_shows_some_of_each_status():
    metadata = told(rows(*["accepted"] * 9), rows("rejected"))
    assert len(metadata["preview/accepted"].splitlines()) == 2 + 3
    assert len(metadata["preview/rejected"].splitlines()) == 2 + 1
    assert "preview/rejected" not in told(rows("accepted"))


@given(st.text(max_size=400))
def test_no_text_breaks_the_table(text):
    preview = told(rows("accepted", text=text))["preview/accepted"]
    header, _, row = preview.split("\n")
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == header.count("|")
    assert "<" not in row.replace("\\<", "")


def test_columns_come_from_the_tables_they_refer_to():
    lineage = column_lineage(RESPONSES)
    assert lineage is not None
    (dep,) = lineage.deps_by_column["prompt_id"]
    assert dep.asset_key.to_user_string() == "augmented_queries"
    assert dep.column_name == "prompt_id"
    assert "call_id" not in lineage.deps_by_column
    assert column_lineage(TABLES["seed_instructions"]) is None


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_table_can_be_described(table):
    metadata = told(sample(table, 2), table=table)
    assert metadata["dagster/row_count"] == 2
    if lineage := metadata.get("dagster/column_lineage"):
        assert set(lineage.deps_by_column) <= {column.name for column in table.columns}


def test_texts_and_measures_come_from_the_columns_they_are_taken_of():
    lineage = column_lineage(TABLES["sft_examples"])
    assert lineage is not None
    origins = {
        column: [f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps]
        for column, deps in lineage.deps_by_column.items()
    }
    assert origins["response"] == ["further_responses.response", "responses.response"]
    assert origins["score"] == ["further_scores.score", "response_scores.score"]
    assert set(origins) == {column.name for column in TABLES["sft_examples"].columns} - {
        *("example_id", "status", "reason"),
    }


def test_a_chart_and_a_mean_of_what_the_table_names():
    metadata = told(rows("accepted", text="a" * 20), rows("rejected", text="b" * 40))
    assert metadata["response/mean_chars"] == 30
    assert metadata["chart/response"].startswith("![distribution of response](data:image/png")
    assert "chart/response" not in told(rows())
