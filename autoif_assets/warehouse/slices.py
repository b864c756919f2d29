"""The slices of a table that runs replace: what names one, and its SQL condition."""

from collections.abc import Mapping, Sequence

from autoif_assets.warehouse.schema import Table

Partition = Mapping[str, str]
"""The value of each partition column of one slice, such as ``{"batch": "b1"}``."""


def slices_to_write(
    table: Table, partition: Partition | None, partitions: Sequence[Partition]
) -> list[Partition]:
    """Return the slices, each named by all partition columns of ``table``.

    Raises:
        ValueError: a slice is named otherwise, or none is and the table has some.
    """
    slices = [*([] if partition is None else [partition]), *partitions]
    for one in slices:
        _check(table, one, set(one) == set(table.partitions))
    if table.partitions and not slices:
        raise ValueError(
            f"Table {table.name} is written by {', '.join(table.partitions)}: say which."
        )
    return slices


def slices_to_read(
    table: Table, partition: Partition | None, partitions: Sequence[Partition] | None
) -> list[Partition] | None:
    """Return the slices, each named by some partition columns; None for the whole table.

    Raises:
        ValueError: a slice is named by other columns.
    """
    if partition is None and partitions is None:
        return None
    slices = [*([] if partition is None else [partition]), *(partitions or ())]
    for one in slices:
        _check(table, one, set(one) <= set(table.partitions))
    return slices


def _check(table: Table, partition: Partition, fits: bool) -> None:
    if not (partition and fits):
        raise ValueError(
            f"Table {table.name} is partitioned by {', '.join(table.partitions) or 'nothing'}; "
            f"{dict(partition)} does not name a slice of it."
        )
    for name, value in partition.items():
        if not isinstance(value, str):
            raise ValueError(f"Partition column {name} of {table.name} is text, not {value!r}.")


def condition(slices: Sequence[Partition] | None) -> tuple[str, list[object]]:
    """Return an SQL condition with its parameters: true for None, false for no slices."""
    if slices is None:
        return "true", []
    if not slices:
        return "false", []
    terms = [" AND ".join(f'"{name}" = ?' for name in one) for one in slices]
    values: list[object] = [value for one in slices for value in one.values()]
    return "(" + " OR ".join(f"({term})" for term in terms) + ")", values


def in_words(slices: Sequence[Partition] | None) -> str:
    """Return the slices as the end of a sentence, such as `` of batch 'b1' and 2 more``."""
    if not slices:
        return ""
    first = ", ".join(f"{name} {value[:60]!r}" for name, value in slices[0].items())
    return f" of {first}" + (f" and {len(slices) - 1} more" if len(slices) > 1 else "")
