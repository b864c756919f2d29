"""The macro ``dataset`` gives the rows of the exported files."""

import duckdb
import polars as pl
import pytest

from .pipeline import exported

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


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize("dataset", WANTED)
def test_a_split_holds_the_rows_of_its_files(made, dataset, split):
    files = exported(made.data, dataset).filter(split=split)
    wanted = files.select(**WANTED[dataset]).sort("id")
    with duckdb.connect(made.data / "warehouse.duckdb", read_only=True) as con:
        found = con.execute(
            f"SELECT {', '.join(WANTED[dataset])} FROM autoif.dataset(?) WHERE dataset = ? "
            f"ORDER BY id",
            [split, dataset],
        ).fetchall()
    assert found == wanted.rows()
    assert found
