"""Shares that should stay within bounds: what a person should look at, and no error."""

from autoif_assets.assets.checks.common import Check, Found, Look
from autoif_assets.method.checks import EARLIER_BATCHES, yields
from autoif_assets.warehouse.quality import (
    accepted_counts,
    largest_instruction,
    length_bias,
    silent_runs,
)
from autoif_assets.warehouse.schema import Table

MAX_NO_VERDICT_SHARE = 0.2
MAX_INSTRUCTION_SHARE = 0.2
# With fewer instructions, a fifth of the rows is what one of them should have.
MIN_INSTRUCTIONS = 10
MAX_LENGTH_BIAS = 0.15
# The mean of fewer pairs is that far from zero by chance.
MIN_PAIRS = 200


def no_verdict_share(table: Table) -> Check:
    """Return the check that most executions of verifiers end in a verdict."""

    def find(look: Look) -> Found:
        runs, silent, outcome = look.rows(silent_runs(table, look.slices)).row(0)
        share = silent / runs if runs else 0.0
        wrong = (
            f"{share:.0%} of {runs} executions gave no verdict, most often because of {outcome}: "
            f"look at the outcomes in {table.name}, and give verifiers more time or memory in the "
            f"settings of the sandbox if they need it."
        )
        return Found(
            [wrong] if share > MAX_NO_VERDICT_SHARE else [], {"runs": runs, "share": share}
        )

    return Check(
        "no_verdict_share",
        f"At most {MAX_NO_VERDICT_SHARE:.0%} of the executions of verifiers ended in a timeout, "
        f"an error, a crash or for want of memory.",
        find,
    )


def dominance(table: Table) -> Check:
    """Return the check that no instruction has too many of the rows."""

    def find(look: Look) -> Found:
        rows = look.rows(largest_instruction(table, look.slices))
        instruction, share, instructions = rows.row(0) if rows.height else ("", 0.0, 0)
        wrong = (
            f"{share:.0%} of the rows are of instruction {instruction}, out of {instructions}: "
            f"see which gate drops the other instructions, or ask for more of them."
        )
        too_many = instructions >= MIN_INSTRUCTIONS and share > MAX_INSTRUCTION_SHARE
        return Found(
            [wrong] if too_many else [], {"instructions": instructions, "largest share": share}
        )

    return Check(
        "dominance",
        f"No instruction has more than {MAX_INSTRUCTION_SHARE:.0%} of the rows, where there are "
        f"{MIN_INSTRUCTIONS} or more.",
        find,
    )


def even_lengths(table: Table) -> Check:
    """Return the check that chosen texts are about as long as rejected ones."""

    def find(look: Look) -> Found:
        pairs, difference, length = look.rows(length_bias(table, look.slices)).row(0)
        share = difference / length if length else 0.0
        wrong = (
            f"Chosen texts are {abs(difference or 0):.0f} characters "
            f"{'longer' if share > 0 else 'shorter'} than rejected ones on average, {share:+.0%} "
            f"of their length: DPO will learn that. Sample more responses per prompt, so that "
            f"there are more lengths to choose from, or train with a length penalty."
        )
        biased = pairs >= MIN_PAIRS and abs(share) > MAX_LENGTH_BIAS
        return Found([wrong] if biased else [], {"pairs": pairs, "share": share})

    return Check(
        "length_bias",
        f"Where the instruction is not about length, the mean lengths of chosen and rejected "
        f"differ by at most {MAX_LENGTH_BIAS:.0%}, once there are {MIN_PAIRS} pairs.",
        find,
    )


def yield_bounds(table: Table) -> Check:
    """Return the check that the gate accepts as many rows as in other batches."""

    def find(look: Look) -> Found:
        found = yields(look.rows(accepted_counts(table)))
        if look.slices is not None:
            found = found.filter(batch=look.slices[0]["batch"])
        strange = [row for row in found.iter_rows(named=True) if row["usual"] is False]
        numbers = {}
        if look.slices is not None and found.height:
            bounds = found.row(0, named=True)
            numbers = {
                name: bounds[name] for name in ("share", "low", "high") if bounds[name] is not None
            }
        return Found([_unusual(table, row) for row in strange[:3]], numbers)

    return Check(
        "yield_bounds",
        f"The share of accepted rows is within three standard deviations of the other batches', "
        f"once there are {EARLIER_BATCHES}.",
        find,
    )


def _unusual(table: Table, row: dict[str, float | str]) -> str:
    return (
        f"{row['share']:.0%} of the rows of batch {row['batch']} were accepted; other batches lead "
        f"to expect {row['low']:.0%} to {row['high']:.0%}. Look at the reasons in {table.name}, "
        f"and at what changed: the model, the recipe or a prompt."
    )
