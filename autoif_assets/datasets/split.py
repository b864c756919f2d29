"""Which rows of a dataset go to train, which to eval, and which to neither."""

from dataclasses import dataclass

import polars as pl

from autoif_assets.datasets.formats import Split
from autoif_assets.method.holdout import Sides


@dataclass(frozen=True)
class DatasetSplit:
    """On which side the rows of a dataset are.

    Attributes:
        instructions: Ids of the instructions that are divided; rows of others are not written.
        sides: Where these and their prompts are.
        eval_share: As asked for.
        seed: Seed of the split.
    """

    instructions: frozenset[str]
    sides: Sides
    eval_share: float
    seed: int

    def of(self, side: Split) -> frozenset[str]:
        """Return the instructions of a side."""
        held_out = self.sides.held_out
        return self.instructions & held_out if side == "eval" else self.instructions - held_out

    def rows(self, rows: pl.DataFrame, side: Split) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rows of a side, and those of its instructions that neither side has.

        Rows whose prompt is the instruction alone, so that their ``prompt_id`` is null, go by
        their instruction.
        """
        here = rows.filter(pl.col("instruction_id").is_in(sorted(self.of(side))))
        left_out = self.sides.left_out.select("prompt_id")
        return (
            here.join(left_out, on="prompt_id", how="anti", maintain_order="left"),
            here.join(left_out, on="prompt_id", how="semi", maintain_order="left"),
        )
