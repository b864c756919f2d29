"""Checks of what was made: blocking where data would be poisoned, else what people should look at.

They run in the step that made the rows, after these were stored, and read them from the database:
what is there is what is trained on. `stage` turns them into Dagster's asset checks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from autoif_assets.method.gates import EARLIER_BATCHES, yields
from autoif_assets.method.holdout import demands
from autoif_assets.method.recipe import Recipe
from autoif_assets.method.verdict_vectors import same_verdicts
from autoif_assets.method.verifiers import contradicted, verifier_runs
from autoif_assets.warehouse import TABLES, ForeignKey, Partition, Table
from autoif_assets.warehouse.quality import (
    Orphans,
    accepted_counts,
    count_orphans,
    count_unaccepted,
    exported_instructions,
    gated_keys,
    in_both_splits,
    key_faults,
    largest_instruction,
    length_bias,
    sampled_texts,
    silent_runs,
    verdict_vectors,
    verifiers_of,
)

MAX_NO_VERDICT_SHARE = 0.2
MAX_INSTRUCTION_SHARE = 0.2
# With fewer instructions, a fifth of the rows is what one of them should have.
MIN_INSTRUCTIONS = 10
MAX_LENGTH_BIAS = 0.15
# The mean of fewer pairs is that far from zero by chance.
MIN_PAIRS = 200
EXECUTED_AGAIN = 50  # rows

_AGAIN = "materialize this asset again, and what comes before it."


class Query(Protocol):
    """Runs a query that reads: SQL and its parameters in, rows out."""

    def __call__(self, sql: str, params: Sequence[object] = ()) -> pl.DataFrame:
        """Return the rows."""
        ...


@dataclass(frozen=True)
class CheckContext:
    """What a check looks at.

    Attributes:
        query: Reads the database.
        slices: The slices that were written; None for all rows.
        recipe: The recipe they were made with; for checks that execute.
        execute: Runs verifiers in the sandbox: ``verifier_runs`` in, ``OUTCOME_SCHEMA`` out; for
            checks that execute.
    """

    query: Query
    slices: Sequence[Partition] | None
    recipe: Recipe | None = None
    execute: Callable[[pl.DataFrame], pl.DataFrame] | None = None

    def rows(self, query: tuple[str, list[object]]) -> pl.DataFrame:
        """Return the result of one of `warehouse.quality`'s queries."""
        return self.query(*query)


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        wrong: Sentences; none if all is well.
        numbers: Metadata, under names that stay the same across runs.
    """

    wrong: Sequence[str]
    numbers: Mapping[str, int | float]


@dataclass(frozen=True)
class Check:
    """A check of an asset: its name, what it says is so, and how to find out.

    Attributes:
        name: As Dagster shows it.
        description: What is so if it passes.
        find: Looks at the rows.
        blocking: Whether a failure is an error that stops what is downstream; else a warning.
        executes: Whether it runs verifiers; the database is not held meanwhile.
    """

    name: str
    description: str
    find: Callable[[CheckContext], Finding]
    blocking: bool = False
    executes: bool = False


def checks_of(table: Table) -> list[Check]:
    """Return the checks that follow from the declaration of a table."""
    checks = [keys(table)]
    if table.foreign_keys:
        checks.append(foreign_keys(table))
    if gated_keys(table):
        checks.append(accepted_parents(table))
    if table.is_gate and any(column.name == "outcomes" for column in table.columns):
        checks.append(no_verdict_share(table))
    # Policies differ in what they can do: that of one says nothing of another's.
    if table.is_gate and table.is_stage and table.partitions:
        checks.append(yield_bounds(table))
    return checks


def keys(table: Table) -> Check:
    """Return the check that the key of every row is there, and is its own."""
    columns = ", ".join(table.key)

    def find(context: CheckContext) -> Finding:
        nulls, repeated, example = context.rows(key_faults(table, context.slices)).row(0)
        wrong = []
        if nulls:
            wrong.append(f"{nulls} rows have a null in ({columns}): {_AGAIN}")
        if repeated:
            wrong.append(
                f"{repeated} rows repeat the key ({columns}) of another, such as {example}: "
                f"{_AGAIN}"
            )
        return Finding(wrong, {"rows with null keys": nulls, "rows with repeated keys": repeated})

    return Check("keys", f"({columns}) is never null and names one row.", find, blocking=True)


def foreign_keys(table: Table) -> Check:
    """Return the check that no foreign key leads nowhere."""

    def find(context: CheckContext) -> Finding:
        found = _orphans(table.foreign_keys, context.rows(count_orphans(table, context.slices)))
        return Finding(
            [f"{_lost(one)} that is not in {_tables(one)}, {_such(one)}" for one in _some(found)],
            {f"orphans by {', '.join(one.key.columns)}": one.rows for one in found},
        )

    # Not blocking: a batch whose first stages were made anew is so until its later ones are.
    return Check(
        "foreign_keys",
        f"Every row refers to rows that are there, in {_referred(table.foreign_keys)}.",
        find,
    )


def accepted_parents(table: Table) -> Check:
    """Return the check that no accepted row comes from a rejected one."""
    gates = gated_keys(table)

    def find(context: CheckContext) -> Finding:
        found = _orphans(gates, context.rows(count_unaccepted(table, context.slices)))
        return Finding(
            [
                f"{_lost(one)} that {_tables(one)} did not accept, {_such(one)}"
                for one in _some(found)
            ],
            {f"not accepted by {', '.join(one.key.columns)}": one.rows for one in found},
        )

    return Check(
        "accepted_parents",
        f"Every {'accepted ' if table.is_gate else ''}row comes from accepted rows of "
        f"{_referred(gates)}.",
        find,
        blocking=True,
    )


def _referred(keys: Sequence[ForeignKey]) -> str:
    return ", ".join(dict.fromkeys(parent for key in keys for parent in key.tables))


def _orphans(keys: Sequence[ForeignKey], rows: pl.DataFrame) -> list[Orphans]:
    return [Orphans(key, *row) for key, (_, *row) in zip(keys, rows.iter_rows(), strict=True)]


def _some(found: list[Orphans]) -> list[Orphans]:
    return [one for one in found if one.rows]


def _lost(one: Orphans) -> str:
    return f"{one.rows} rows have a {one.key.columns[-1]}"


def _tables(one: Orphans) -> str:
    return " or ".join(one.key.tables)


def _such(one: Orphans) -> str:
    return f"such as {one.example}: {_AGAIN}"


def no_verdict_share(table: Table) -> Check:
    """Return the check that most executions of verifiers end in a verdict."""

    def find(context: CheckContext) -> Finding:
        runs, silent, outcome = context.rows(silent_runs(table, context.slices)).row(0)
        share = silent / runs if runs else 0.0
        wrong = (
            f"{share:.0%} of {runs} executions gave no verdict, most often because of {outcome}: "
            f"look at the outcomes in {table.name}, and give verifiers more time or memory in the "
            f"settings of the sandbox if they need it."
        )
        return Finding(
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

    def find(context: CheckContext) -> Finding:
        rows = context.rows(largest_instruction(table, context.slices))
        instruction, share, instructions = rows.row(0) if rows.height else ("", 0.0, 0)
        wrong = (
            f"{share:.0%} of the rows are of instruction {instruction}, out of {instructions}: "
            f"see which gate drops the other instructions, or ask for more of them."
        )
        too_many = instructions >= MIN_INSTRUCTIONS and share > MAX_INSTRUCTION_SHARE
        return Finding(
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

    def find(context: CheckContext) -> Finding:
        pairs, difference, length = context.rows(length_bias(table, context.slices)).row(0)
        share = difference / length if length else 0.0
        wrong = (
            f"Chosen texts are {abs(difference or 0):.0f} characters "
            f"{'longer' if share > 0 else 'shorter'} than rejected ones on average, {share:+.0%} "
            f"of their length: DPO will learn that. Sample more responses per prompt, so that "
            f"there are more lengths to choose from, or train with a length penalty."
        )
        biased = pairs >= MIN_PAIRS and abs(share) > MAX_LENGTH_BIAS
        return Finding([wrong] if biased else [], {"pairs": pairs, "share": share})

    return Check(
        "length_bias",
        f"Where the instruction is not about length, the mean lengths of chosen and rejected "
        f"differ by at most {MAX_LENGTH_BIAS:.0%}, once there are {MIN_PAIRS} pairs.",
        find,
    )


def yield_bounds(table: Table) -> Check:
    """Return the check that the gate accepts as many rows as in other batches."""

    def find(context: CheckContext) -> Finding:
        found = yields(context.rows(accepted_counts(table)))
        if context.slices is not None:
            found = found.filter(batch=context.slices[0]["batch"])
        strange = [row for row in found.iter_rows(named=True) if row["usual"] is False]
        numbers = {}
        if context.slices is not None and found.height:
            bounds = found.row(0, named=True)
            numbers = {
                name: bounds[name] for name in ("share", "low", "high") if bounds[name] is not None
            }
        return Finding([_unusual(table, row) for row in strange[:3]], numbers)

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


def pass_again(passes: Mapping[str, str], bound: str) -> Callable[[Table], Check]:
    """Return the check that what should pass does so again when executed again, and no other text.

    Args:
        passes: Columns of texts, each with SQL of whether they shall pass.
        bound: The number of the recipe that says which share of the verdicts must be ``pass``.
    """

    def check(table: Table) -> Check:
        def find(context: CheckContext) -> Finding:
            if context.execute is None or context.recipe is None:
                raise TypeError("pass_again runs verifiers: give its context recipe and execute.")
            sample = sampled_texts(table, passes, EXECUTED_AGAIN, context.slices)
            texts = context.rows(sample)
            if not texts.height:
                return Finding([], {"texts": 0, "contradicted": 0})
            verifiers = context.rows(verifiers_of(texts["instruction_id"].unique().to_list()))
            outcomes = context.execute(verifier_runs(verifiers, texts))
            threshold = context.recipe.bound(bound)
            wrong = contradicted(texts, outcomes, threshold)
            sentences = []
            if wrong.height:
                first = wrong.row(0, named=True)
                expected = f"{threshold}" if first["passes"] else "none"
                sentences.append(
                    f"{wrong.height} of {texts.height} texts, executed again, do not do what they "
                    f"are there for: {first['input_id']} passed {first['passed']} of "
                    f"{first['passed'] + first['failed']} verdicts, and should pass {expected}. If "
                    f"the recipe changed, materialize the batch again from response_verdicts and "
                    f"verifiers on; otherwise see whether its verifiers give other answers at "
                    f"other times."
                )
            return Finding(sentences, {"texts": texts.height, "contradicted": wrong.height})

        return Check(
            "pass_again",
            f"Executed again on {EXECUTED_AGAIN} rows, the verifiers let {' and '.join(passes)} "
            f"pass where they are to, and none of them where they are not to.",
            find,
            blocking=True,
            executes=True,
        )

    return check


def splits(dataset: str, table: str) -> Check:
    """Return the check that nothing that is trained on is evaluated on.

    Args:
        dataset: ``sft``, ``preference``, ``kto`` or ``reward``.
        table: Where its rows come from.
    """

    def find(context: CheckContext) -> Finding:
        found = context.rows(in_both_splits(dataset, TABLES[table]))
        *counts, example = found.row(0)
        named = context.rows(exported_instructions(dataset, TABLES[table]))
        same = same_verdicts(context.rows(verdict_vectors()))
        sides = (
            named.with_columns(demand=demands(named, same))
            .group_by("demand")
            .agg(pl.col("split").n_unique(), pl.col("instruction_id").min())
        )
        both = sides.filter(pl.col("split") > 1)["instruction_id"].sort()
        numbers = dict(zip(("instructions", "prompts", "queries"), counts, strict=True))
        numbers["demands"] = both.len()
        if example is None and both.len():
            example = both[0]
        words = ", ".join(f"{count} {name}" for name, count in numbers.items() if count)
        wrong = (
            f"In both splits are {words}, such as of instruction {example}: do not train on these "
            f"files; materialize this asset again."
        )
        return Finding(
            [wrong] if words else [],
            {f"{name} in both": count for name, count in numbers.items()},
        )

    return Check(
        "splits",
        "No instruction, in these or other words, no prompt and no query is in both splits.",
        find,
        blocking=True,
    )
