"""Queries that look for what is wrong with stored rows; each returns SQL and its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoif_assets.warehouse.schema import SCHEMA, ForeignKey, Partition, Table, condition
from autoif_assets.warehouse.tables import TABLES

Query = tuple[str, list[object]]

# Skipped inputs are those after too many timeouts and crashes of one verifier.
_SILENT = ("timeout", "error", "crash", "memory", "skipped")

# A response that the verifiers do not accept is there to be rejected, or labelled as bad; and of a
# verifier that a gate rejects people's labels tell whether it should have.
_REJECTED_BY_DESIGN = {
    ("query_preference_pairs", ("batch", "rejected_id")),
    ("kto_examples", ("batch", "response_id")),
    ("online_preference_pairs", ("batch", "policy", "rejected_id")),
    ("labelled_agreement", ("batch", "verifier_id")),
}


def key_faults(table: Table, slices: Sequence[Partition] | None) -> Query:
    """One row: ``nulls`` and ``repeated`` rows, and an ``example`` of a repeated key."""
    where, values = condition(slices)
    columns = [f'"{column}"' for column in table.key]
    null = " OR ".join(f"{column} IS NULL" for column in columns)
    return (
        f"SELECT CAST(coalesce(sum(n) FILTER (WHERE {null}), 0) AS BIGINT) AS nulls, "
        f"CAST(coalesce(sum(n - 1), 0) AS BIGINT) AS repeated, "
        f"any_value(concat_ws(', ', {', '.join(columns)})) FILTER (WHERE n > 1) AS example "
        f"FROM (SELECT {', '.join(columns)}, count(*) AS n FROM {SCHEMA}.{table.name} "
        f"WHERE {where} GROUP BY ALL)",
        values,
    )


def silent_runs(table: Table, slices: Sequence[Partition] | None) -> Query:
    """One row: ``runs`` of verifiers, how many were ``silent``, their most common ``outcome``."""
    where, values = condition(slices)
    silent = f"outcome IN ({', '.join(repr(outcome) for outcome in _SILENT)})"
    return (
        f"SELECT count(*) AS runs, count(*) FILTER (WHERE {silent}) AS silent, "
        f"mode(outcome) FILTER (WHERE {silent}) AS outcome "
        f"FROM (SELECT unnest(outcomes).outcome AS outcome FROM {SCHEMA}.{table.name} "
        f"WHERE {where})",
        values,
    )


def largest_instruction(table: Table, slices: Sequence[Partition] | None) -> Query:
    """At most one row: the ``instruction_id`` with most rows, its ``share``, ``instructions``."""
    where, values = condition(slices)
    return (
        f"SELECT instruction_id, CAST(count(*) / sum(count(*)) OVER () AS DOUBLE) AS share, "
        f"count(*) OVER () AS instructions FROM {SCHEMA}.{table.name} "
        f"WHERE {where}{and_accepted(table)} GROUP BY instruction_id "
        f"ORDER BY share DESC, instruction_id LIMIT 1",
        values,
    )


def length_bias(table: Table, slices: Sequence[Partition] | None) -> Query:
    """One row: mean ``difference`` (chosen minus rejected) and mean ``length`` of ``pairs``.

    In characters; of accepted pairs whose instruction does not constrain length.
    """
    where, values = condition(slices)
    return (
        f"SELECT count(*) AS pairs, avg(chosen_length - rejected_length) AS difference, "
        f"avg(chosen_length + rejected_length) / 2 AS length FROM {SCHEMA}.{table.name} "
        f"WHERE {where}{and_accepted(table)} AND NOT constrains_length",
        values,
    )


def accepted_counts(table: Table) -> Query:
    """One row a batch: ``batch``, ``rows``, and how many of them are ``accepted``."""
    return (
        f"SELECT batch, count(*) AS rows, count(*) FILTER (WHERE status = 'accepted') AS accepted "
        f"FROM {SCHEMA}.{table.name} GROUP BY batch ORDER BY batch",
        [],
    )


def in_both_splits(dataset: str, table: Table) -> Query:
    """One row: ``instructions``, ``prompts`` and ``queries`` in both splits, and an ``example``.

    Args:
        dataset: ``sft``, ``preference``, ``kto`` or ``reward``.
        table: Where its rows come from.
    """
    # Not from autoif.dataset, which carries the texts along: too much for millions of rows.
    both = (
        "SELECT {0} FROM sides WHERE {0} IS NOT NULL GROUP BY ALL HAVING count(DISTINCT split) > 1"
    )
    parts = {"instructions": "instruction_id", "prompts": "prompt", "queries": "query_id"}
    return (
        f"WITH sides AS (SELECT DISTINCT split, instruction_id, hash(prompt) AS prompt, query_id "
        f"{_exported(table)}), "
        + ", ".join(f"{name} AS ({both.format(column)})" for name, column in parts.items())
        + " SELECT "
        + ", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for name in parts)
        + ", coalesce("
        + ", ".join(
            f"(SELECT min(instruction_id) FROM sides SEMI JOIN {name} USING ({column}))"
            for name, column in parts.items()
        )
        + ") AS example",
        [dataset, dataset],
    )


def exported_instructions(dataset: str, table: Table) -> Query:
    """``split``, ``instruction_id``, ``instruction``: those that have rows in a split."""
    return (
        f"SELECT DISTINCT split, instruction_id, instruction FROM "
        f"(SELECT DISTINCT split, instruction_id, batch {_exported(table)}) "
        f"JOIN {SCHEMA}.verified_instructions USING (batch, instruction_id) ORDER BY ALL",
        [dataset, dataset],
    )


def verdict_vectors() -> Query:
    """``batch``, ``instruction_id``, ``verdicts``, ``known`` of all batches."""
    return f"SELECT batch, instruction_id, verdicts, known FROM {SCHEMA}.verdict_matrix", []


def _exported(table: Table) -> str:
    """Return the SQL after SELECT that reads the exported rows of a table with their sides.

    Columns are those of the table, ``split`` and ``query_id``; parameters the dataset, twice.
    """
    # Pairs of test cases have no prompt of a query, and pairs name the prompt only.
    asked = (
        ""
        if any(column.name == "query_id" for column in table.columns)
        else (
            f"LEFT JOIN (SELECT batch, prompt_id, query_id FROM {SCHEMA}.augmented_queries) "
            f"USING (batch, prompt_id) "
        )
    )
    # Where a row was when it was made is not where it was exported to.
    rows = f"{SCHEMA}.{table.name}"
    if any(column.name == "split" for column in table.columns):
        rows = f"(SELECT * EXCLUDE (split) FROM {rows})"
    return (
        f"FROM {rows} "
        f"JOIN (FROM {SCHEMA}.dataset_splits WHERE dataset = ?) USING (instruction_id) "
        f"{asked}"
        f"ANTI JOIN (FROM {SCHEMA}.dataset_left_out WHERE dataset = ?) USING (prompt_id) "
        f"ANTI JOIN (FROM {SCHEMA}.batches WHERE excluded) USING (batch) "
        f"WHERE true{and_accepted(table)}"
    )


def agreement_on_responses(slices: Sequence[Partition] | None) -> Query:
    """``verifier_id``, ``response_agreement``: how often it says what most say of a response.

    Of the sampled responses that most of their instruction's verdicts are for or against.
    """
    where, values = condition(slices)
    return (
        f"SELECT said.verifier_id AS verifier_id, "
        f"avg(CAST((said.outcome = 'pass') = passes AS DOUBLE)) AS response_agreement "
        f"FROM (SELECT passed > failed AS passes, unnest(outcomes) AS said "
        f"FROM {SCHEMA}.response_verdicts WHERE {where} AND passed <> failed) "
        f"WHERE said.outcome IN ('pass', 'fail') GROUP BY said.verifier_id ORDER BY verifier_id",
        values,
    )


def sampled_texts(
    table: Table, passes: Mapping[str, str], rows: int, slices: Sequence[Partition] | None
) -> Query:
    """``input_id``, ``instruction_id``, ``input``, ``query``, ``passes``: the first rows by id.

    Content ids are hashes, so these are any rows, and always the same. Ids are led by their
    batch: an instruction may be in several, each with verifiers of its own.

    Args:
        table: A table of training data.
        passes: The columns of texts, each with SQL of whether verifiers let it pass.
        rows: How many rows at most.
        slices: Of these slices.
    """
    where, values = condition(slices)
    row_id = table.key[-1]
    # Without a prompt there are test cases that answer no query.
    asked = (
        f"(SELECT query FROM {SCHEMA}.augmented_queries AS asked WHERE asked.batch = sample.batch "
        f"AND asked.prompt_id = sample.prompt_id)"
        if "prompt_id" in [column.name for column in table.columns]
        else "CAST(NULL AS VARCHAR)"
    )
    return (
        f"WITH sample AS (FROM {SCHEMA}.{table.name} WHERE {where} "
        f"ORDER BY {row_id}, batch LIMIT {rows}) "
        + " UNION ALL ".join(
            f"SELECT '{column} of ' || batch || '/' || {row_id} AS input_id, "
            f"batch || '/' || instruction_id AS instruction_id, {column} AS input, "
            f"{asked} AS query, {does_pass} AS passes FROM sample"
            for column, does_pass in passes.items()
        )
        + " ORDER BY input_id",
        values,
    )


def verifiers_of(instructions: Sequence[str]) -> Query:
    """``verifier_id``, ``instruction_id``, ``source``: accepted, ids as of ``sampled_texts``."""
    return (
        f"SELECT batch || '/' || verifier_id AS verifier_id, "
        f"batch || '/' || instruction_id AS instruction_id, source FROM {SCHEMA}.verifier_audits "
        f"WHERE status = 'accepted' AND list_contains(?, batch || '/' || instruction_id) "
        f"ORDER BY ALL",
        [list(instructions)],
    )


@dataclass(frozen=True)
class Orphans:
    """Rows of a table that a foreign key leads nowhere from.

    Attributes:
        key: The foreign key.
        rows: How many rows; 0 if all is well.
        example: The id that one of them refers to in vain.
    """

    key: ForeignKey
    rows: int
    example: str | None


def count_orphans(table: Table, slices: Sequence[Partition] | None) -> Query:
    """Return a query for the orphans of each foreign key of ``table``, and its parameters.

    Its columns are ``key`` (number of the foreign key in ``table.foreign_keys``), ``rows`` and
    ``example``.
    """
    where, values = condition(slices)
    return _unmatched(table, table.foreign_keys, where, values, "true")


def gated_keys(table: Table) -> list[ForeignKey]:
    """Return the foreign keys that lead an accepted row to accepted rows of a gate."""
    return [
        key
        for key in table.foreign_keys
        if TABLES[key.table].is_gate and (table.name, key.columns) not in _REJECTED_BY_DESIGN
    ]


def count_unaccepted(table: Table, slices: Sequence[Partition] | None) -> Query:
    """Return a query for the accepted rows that come from no accepted one, and its parameters.

    Every row of a table that is no gate counts as accepted. Its columns are ``key`` (number of
    the key in ``gated_keys(table)``), ``rows`` and ``example``.
    """
    where, values = condition(slices)
    where += and_accepted(table)
    return _unmatched(table, gated_keys(table), where, values, "status = 'accepted'")


def and_accepted(table: Table) -> str:
    """Return the SQL that narrows a condition to accepted rows; all are where there is no gate."""
    return " AND status = 'accepted'" if table.is_gate else ""


def _unmatched(
    table: Table, keys: Sequence[ForeignKey], where: str, values: list[object], parents: str
) -> Query:
    """Count the rows, of those ``where`` says, that refer to no row of which ``parents`` holds."""
    counts = [
        f'SELECT {number} AS key, count(*) AS rows, any_value("{key.columns[-1]}") AS example '
        f"FROM (FROM {SCHEMA}.{table.name} WHERE {where}) AS child "
        f"ANTI JOIN ({_parents(key, parents)}) AS parent "
        f"ON {_match(key)} WHERE {_all_given(key)}"
        for number, key in enumerate(keys)
    ]
    return "\nUNION ALL\n".join(counts) + "\nORDER BY key", values * len(counts)


def _parents(key: ForeignKey, condition: str) -> str:
    columns = ", ".join(f'"{column}"' for column in key.to)
    parents = [f"SELECT {columns} FROM {SCHEMA}.{table} WHERE {condition}" for table in key.tables]
    # Queries that a batch is pinned to are kept there when others take their place.
    if key.tables == ("seed_queries",):
        parents.append(f"SELECT text_id FROM {SCHEMA}.input_sets")
    return " UNION ALL ".join(parents)


def _match(key: ForeignKey) -> str:
    pairs = zip(key.columns, key.to, strict=True)
    return "(" + " AND ".join(f'child."{column}" = parent."{to}"' for column, to in pairs) + ")"


def _all_given(key: ForeignKey) -> str:
    return " AND ".join(f'child."{column}" IS NOT NULL' for column in key.columns)
