"""How all that is stored is divided, whatever is exported of it."""

from datetime import UTC, datetime

import polars as pl
import pytest

from autoif_assets.assets.sides import read_sides
from autoif_assets.method.ids import content_id
from autoif_assets.method.recipe import make_recipe
from autoif_assets.warehouse import TABLES, Batch, Warehouse, save_batch
from autoif_assets_tests.warehouse.samples import sample

pytestmark = pytest.mark.slow

SHARE = 0.4
# The first instruction of each batch demands the same in other words; all others differ.
SAME = ("Use no commas.", "Avoid using commas")
OTHERS = 20


def names(batch):
    return [f"{batch}-{number}" for number in range(OTHERS + 1)]


def made(data, years, excluded=()):
    """Make batches in these years."""
    warehouse = Warehouse(data)
    for (batch, year), text in zip(years.items(), SAME, strict=True):
        created = datetime(year, 1, 1, tzinfo=UTC)
        save_batch(warehouse, Batch(batch, created_at=created, excluded=batch in excluded))
        texts = [text, *(f"Say `{name}`." for name in names(batch)[1:])]
        for table in ("verified_instructions", "augmented_queries", "sft_examples"):
            frame = sample(TABLES[table], OTHERS + 1, batch=batch).with_columns(
                instruction_id=pl.Series(names(batch))
            )
            if table == "verified_instructions":
                accepted = pl.lit("accepted")
                frame = frame.with_columns(
                    instruction=pl.Series(texts), status=accepted, reason=pl.lit(None, pl.String)
                )
            warehouse.write(table, frame, {"batch": batch})
    return warehouse


def below(name, seed):
    """Whether an instruction is held out where its id alone decides."""
    return int(content_id("split", str(seed), name), 16) / 2**64 < SHARE


@pytest.mark.parametrize("years", [(2024, 2025), (2025, 2024)])
@pytest.mark.parametrize("excluded", [(), ("a",), ("b",)])
def test_a_demand_is_where_the_batch_that_was_made_first_has_it(tmp_path, years, excluded):
    # With this seed they are on different sides.
    seed = next(n for n in range(99) if below("a-0", n) != below("b-0", n))
    recipe = make_recipe("paper", {"eval_share": SHARE, "seed": seed})
    warehouse = made(tmp_path, dict(zip("ab", years, strict=True)), excluded)
    sides, exported = read_sides(warehouse, recipe)
    first = "a" if years[0] < years[1] else "b"
    for batch in "ab":
        assert (f"{batch}-0" in sides.held_out) == below(f"{first}-0", seed)
        for name in names(batch)[1:]:
            assert (name in sides.held_out) == below(name, seed)
    # What a person excludes is in no export, and moves nothing.
    assert exported == {name for batch in "ab" if batch not in excluded for name in names(batch)}


def test_what_the_same_texts_obey_is_on_one_side(tmp_path):
    """As soon as a batch has verdicts; what was made without is where it was."""
    warehouse = made(tmp_path, {"a": 2024, "b": 2025})
    recipe = make_recipe("paper", {"eval_share": SHARE})
    before, _ = read_sides(warehouse, recipe)
    train, out = (
        next(name for name in names("b")[1:] if (name in before.held_out) == side)
        for side in (False, True)
    )
    vectors = sample(TABLES["verdict_matrix"], 2, batch="b").with_columns(
        instruction_id=pl.Series([train, out]),
        verdicts=pl.lit("01" * 10),
        known=pl.lit("1" * 20),
    )
    warehouse.write("verdict_matrix", vectors, {"batch": "b"})
    assert read_sides(warehouse, recipe)[0].held_out == before.held_out - {out}
    # The same bits are other texts in another batch.
    parted = [vectors[n : n + 1].with_columns(batch=pl.lit(b)) for n, b in enumerate("ab")]
    for batch, frame in zip("ab", parted, strict=True):
        warehouse.write("verdict_matrix", frame, {"batch": batch})
    assert read_sides(warehouse, recipe)[0].held_out == before.held_out
