import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.charts import Bar
from autoif_assets.resources import metadata
from autoif_assets.resources.metadata import Distribution, Tally, column_lineage
from autoif_assets.warehouse import TABLES
from autoif_assets_tests.warehouse.samples import sample

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
    assert metadata["yield"] == 0.3333
    assert "| rejected | truncated | 2 |" in metadata["outcomes"]


def test_the_preview_shows_some_of_each_status():
    metadata = told(rows(*["accepted"] * 9), rows("rejected"))
    assert len(metadata["preview/accepted"].splitlines()) == 2 + 3
    assert len(metadata["preview/rejected"].splitlines()) == 2 + 1
    assert "preview/rejected" not in told(rows("accepted"))


def test_python_is_shown_as_code_which_nothing_in_it_ends():
    source = 'def evaluate(response):\n    return "```" in response  # \x1b[31m'
    table = TABLES["verifier_audits"]
    frame = sample(table, 1).with_columns(source=pl.lit(source), status=pl.lit("accepted"))
    shown = told(frame, table=table)["preview/accepted"]
    block = source.replace("\x1b", "")
    assert shown.endswith(f"\n\n````python\n{block}\n````")
    assert "source" not in shown.splitlines()[0]


@given(st.text(st.one_of(st.characters(), st.sampled_from("\x1b\x9b\u202e\u2066|<")), max_size=400))
def test_no_text_breaks_the_table(text):
    preview = told(rows("accepted", text=text))["preview/accepted"]
    header, _, row = preview.split("\n")
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == header.count("|")
    assert "<" not in row.replace("\\<", "")
    assert not {"\x1b", "\x7f", "\x9b", "\u202e", "\u2066"} & set(row)


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
    assert metadata["chart/response"].startswith("![distribution of response](data:image/svg+xml")
    assert "chart/response" not in told(rows())


@pytest.fixture
def drawn(monkeypatch):
    """What the chart is drawn of, in its place."""
    monkeypatch.setattr(metadata, "histogram_chart", lambda bars, axis: (bars, axis))

    def of(what, *frames):
        counted = Distribution("x", what)
        for frame in frames:
            counted.count(frame)
        return *counted.chart(), *counted.mean()

    return of


def gate(accepted, rejected):
    values = [*accepted, *rejected]
    status = ["accepted"] * len(accepted) + ["rejected"] * len(rejected)
    return pl.DataFrame({"x": values, "status": status})


def test_shares_are_counted_by_tenths_and_the_whole_is_apart(drawn):
    frames = gate([1.0, 1.0, 0.95, 0.3], [0.0, None]), gate([0.7], [0.1 + 0.2])
    bars, axis, name, mean = drawn("share", *frames)
    assert axis == "x"
    assert [bar for bar in bars if bar.kept or bar.dropped] == [
        Bar("0", 0, 1),
        Bar("0.3", 1, 1),
        Bar("0.7", 1, 0),
        Bar("0.9", 1, 0),
        Bar("1", 2, 0),
    ]
    assert len(bars) == 11
    assert (name, mean) == ("x/mean", round((1 + 1 + 0.95 + 0.3 + 0.7 + 0.3) / 7, 4))


def test_scores(drawn):
    bars, _, name, mean = drawn("score", gate([10.0, 8.5], [0.0]))
    assert bars[10] == Bar("10", 1, 0)
    assert bars[8] == Bar("8", 1, 0)
    assert bars[0] == Bar("0", 0, 1)
    assert (name, mean) == ("x/mean", round(18.5 / 3, 4))


def test_lengths_are_counted_by_powers_of_two_from_the_least_to_the_greatest(drawn):
    frame = pl.DataFrame({"x": ["", "ä" * 16, "b" * 17, "c" * 100, None]})
    bars, axis, name, mean = drawn("length", frame)
    assert bars == [Bar("≤ 16", 2, 0), Bar("≤ 32", 1, 0), Bar("≤ 64", 0, 0), Bar("≤ 128", 1, 0)]
    assert axis == "x, characters"
    assert (name, mean) == ("x/mean_chars", 133 / 4)


def test_what_the_warehouse_refuses_is_not_counted():
    for frame in (pl.DataFrame({"y": [1.0]}), pl.DataFrame({"x": ["text"]}), pl.DataFrame()):
        counted = Distribution("x", "share")
        counted.count(frame)
        assert counted.chart() == ""
