"""On which side everything there is lies, for the exports and for who asks policies."""

from collections.abc import Sequence

import polars as pl

from autoif_assets.method.gates import ACCEPTED
from autoif_assets.method.holdout import Sides, find_sides
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verdict_vectors import same_verdicts
from autoif_assets.warehouse import Partition, Warehouse, excluded_batches


def read_sides(
    warehouse: Warehouse, recipe: Recipe, exported: Sequence[Partition] | None = None
) -> tuple[Sides, frozenset[str]]:
    """Divide the instructions and prompts of all batches, exported or not.

    Every export and every policy goes by this one division, so that what one is trained on is
    evaluated on by none. SFT examples and preference pairs are what both sides are to have
    something of. The instructions of KTO examples are among theirs: a prompt with a label has a
    good response, which makes an SFT example; so those that a selection rejects are divided, too.

    Args:
        warehouse: Where the tables are.
        recipe: ``eval_share`` and ``seed``.
        exported: The slices of the batches that are exported; all that are not excluded if None.

    Returns:
        The sides, and the ids of the instructions of the exported examples and pairs.
    """
    if exported is None:
        exported = _included(warehouse)
    examples = warehouse.read(
        "sft_examples", partitions=exported, columns=["instruction_id", "prompt_id"]
    )
    pairs = warehouse.read(
        "preference_pairs",
        partitions=exported,
        columns=["instruction_id", "prompt_id"],
        where_status=ACCEPTED,
    )
    prompts = warehouse.read(
        "augmented_queries", columns=["prompt_id", "instruction_id", "query_id"]
    )
    with_rows = pl.concat([examples["prompt_id"], pairs["prompt_id"]]).drop_nulls().unique()
    of_examples, of_pairs = (frozenset(one["instruction_id"]) for one in (examples, pairs))
    order = _order(warehouse)
    sides = find_sides(
        _made(_instructions(warehouse), order),
        prompts.with_columns(has_rows=pl.col("prompt_id").is_in(with_rows.implode())),
        of_examples,
        of_pairs,
        _made(_same(warehouse), order),
        recipe,
    )
    return sides, of_examples | of_pairs


def _included(warehouse: Warehouse) -> list[Partition] | None:
    excluded = set(excluded_batches(warehouse))
    if not excluded:
        return None
    held = warehouse.query("SELECT DISTINCT batch FROM autoif.augmented_queries")["batch"]
    return [{"batch": batch} for batch in held if batch not in excluded]


def _instructions(warehouse: Warehouse) -> pl.DataFrame:
    """Read the verified instructions of all batches."""
    return warehouse.read(
        "verified_instructions",
        columns=["batch", "instruction_id", "instruction"],
        where_status=ACCEPTED,
    )


def _same(warehouse: Warehouse) -> pl.DataFrame:
    """Read which instructions demand the same, by their verdicts; batches of before have none."""
    columns = ["batch", "instruction_id", "verdicts", "known"]
    return same_verdicts(warehouse.read("verdict_matrix", columns=columns))


def _order(warehouse: Warehouse) -> pl.DataFrame:
    """Read ``batch`` and ``made``, the place of a batch among all."""
    batches = warehouse.read("batches", columns=["batch", "created_at"])
    order = batches.sort("created_at", "batch", nulls_last=False).select("batch")
    return order.with_row_index("made")


def _made(found: pl.DataFrame, order: pl.DataFrame) -> pl.DataFrame:
    """Say of rows when their batch was made."""
    # Of a batch that is known no more, what is left comes last.
    return found.join(order, on="batch", how="left").with_columns(
        pl.col("made").fill_null(order.height)
    )
