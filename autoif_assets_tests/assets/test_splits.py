"""What the exported files share, and that the macro ``dataset`` gives their rows."""

import re
from itertools import product

import duckdb
import polars as pl
import pytest

from autoif_assets.method.holdout import demands

from .pipeline import exported, run_batch, tables

pytestmark = pytest.mark.slow


def said(column: str, turn: int) -> pl.Expr:
    return pl.col(column).list.get(turn).struct.field("content")


WANTED = {
    "sft": {"id": "example_id", "prompt": said("messages", 0), "chosen": said("messages", 1)},
    "preference": {
        "id": "pair_id",
        "prompt": said("prompt", 0),
        "chosen": said("chosen", 0),
        "rejected": said("rejected", 0),
    },
    "kto": {
        "id": "example_id",
        "prompt": said("prompt", 0),
        "chosen": pl.when("label").then(said("completion", 0)),
        "rejected": pl.when(~pl.col("label")).then(said("completion", 0)),
    },
}


@pytest.fixture
def shared(copied):
    """The batch as if all instructions had drawn from three queries, exported again; its runs."""
    with duckdb.connect(copied.data / "pipeline.duckdb") as con:
        for table in ("augmented_queries", "filtered_queries", "sft_examples", "kto_examples"):
            con.execute(f"UPDATE autoif.{table} SET query_id = 'q' || ascii(md5(prompt_id)) % 3")
    url = copied.simulator.base_url
    return copied, {name: run_batch(copied.data, url, only=f"{name}_dataset") for name in WANTED}


def content(data):
    """Return the queries, and the demands, that each dataset's files have on each side."""
    t = tables(data)
    instructions = t["verified_instructions"].with_columns(
        demand=demands(t["verified_instructions"])
    )
    found = {}
    for dataset in WANTED:
        rows = exported(data, dataset).join(
            t["augmented_queries"].select("prompt_id", "query_id"), on="prompt_id", how="left"
        )
        rows = rows.join(instructions.select("instruction_id", "demand"), on="instruction_id")
        for side, what in product(("train", "eval"), ("query_id", "demand")):
            found[dataset, side, what] = set(rows.filter(split=side)[what].drop_nulls())
    return found


def check_nothing_is_shared(data):
    found = content(data)
    assert all(found.values())
    for (one, other), what in product(product(WANTED, repeat=2), ("query_id", "demand")):
        assert not found[one, "train", what] & found[other, "eval", what], (one, other, what)


def test_nothing_that_one_dataset_trains_on_is_in_the_eval_of_any(made):
    check_nothing_is_shared(made.data)
    # The batch divided its queries, so that no row is lost.
    assert tables(made.data)["dataset_left_out"].is_empty()
    for dataset in WANTED:
        (event,) = made.result.asset_materializations_for_node(f"{dataset}_dataset")
        assert event.metadata["left_out/train"].value == 0


def test_rows_of_shared_queries_are_left_out_and_told(shared, made):
    batch, results = shared
    check_nothing_is_shared(batch.data)
    for dataset, result in results.items():
        assert result.success
        assert all(check.passed for check in result.get_asset_check_evaluations())
        (event,) = result.asset_materializations_for_node(f"{dataset}_dataset")
        assert "dataset_left_out" in event.metadata["why_left_out"].value
        card = (batch.data / "exports" / dataset / "README.md").read_text()
        for side in ("train", "eval"):
            lost = event.metadata[f"left_out/{side}"].value
            before, after = (
                exported(data, dataset).filter(split=side).height
                for data in (made.data, batch.data)
            )
            assert 0 < after == before - lost
            assert re.search(rf"^\| {side} \| {after} \| \d+ \| {lost} \|$", card, re.MULTILINE)
        assert event.metadata["left_out/train"].value > 0


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize("dataset", WANTED)
@pytest.mark.parametrize("queries", ["divided", "shared"])
def test_a_split_holds_the_rows_of_its_files(request, queries, dataset, split):
    batch = (
        request.getfixturevalue("made")
        if queries == "divided"
        else (request.getfixturevalue("shared")[0])
    )
    files = exported(batch.data, dataset).filter(split=split)
    wanted = files.select(**WANTED[dataset]).sort("id")
    with duckdb.connect(batch.data / "pipeline.duckdb", read_only=True) as con:
        found = con.execute(
            f"SELECT {', '.join(WANTED[dataset])} FROM autoif.dataset(?) WHERE dataset = ? "
            f"ORDER BY id",
            [split, dataset],
        ).fetchall()
    assert found == wanted.rows()
    assert found
