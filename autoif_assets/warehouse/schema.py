"""What a table is, and what derives from its declaration: types, DDL and slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from autoif_assets.warehouse.sql import literal

SCHEMA = "autoif"

Partition = Mapping[str, str]
"""The value of each partition column of one slice, such as ``{"batch": "b1"}``."""

_SCALARS: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "BOOLEAN": pl.Boolean(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "DATE": pl.Date(),
    "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True)
class Column:
    """A column: its DuckDB type, one sentence, whether it may be null, and what it may hold.

    ``values`` closes a vocabulary. It is checked when a frame is written and not by a DuckDB
    ENUM: that saves 5 % of the file and no time, a new value would need a migration, and what
    people read would be a Polars Categorical instead of text.
    """

    name: str
    type: str
    description: str
    nullable: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignKey:
    """Columns whose values, where none of them is null, are found in another table.

    It is documented and looked at by asset checks, not enforced: each slice is replaced on its
    own, so a child may wait for its new parents.

    Attributes:
        columns: Columns of the table that has the key.
        table: The table referred to.
        to: Its columns, in the same order.
        or_table: A second table with these columns; a row is found in either.
    """

    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]
    or_table: str | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables referred to."""
        return (self.table,) if self.or_table is None else (self.table, self.or_table)

    def leading_to(self, parents: Mapping[str, "Table"], partitions: Sequence[str]) -> "ForeignKey":
        """Return the key into other tables, led by those ``partitions`` that these have, too."""
        table = parents.get(self.table)
        if table is None:
            return self
        shared = tuple(name for name in partitions if name in table.partitions)
        other = parents.get(self.or_table or "")
        return replace(
            self,
            columns=(*self.columns[:1], *shared, *self.columns[1:]),
            table=table.name,
            to=(*self.to[:1], *shared, *self.to[1:]),
            or_table=self.or_table if other is None else other.name,
        )


@dataclass(frozen=True)
class Table:
    """A table of schema ``autoif``.

    Attributes:
        name: Also the name of the asset that fills it.
        description: One sentence: what a row is.
        section: The paper's section (arXiv 2406.13542), or "" where it has none.
        columns: In display order; a frame is matched by name, never by position.
        key: Columns that identify a row.
        partitions: Columns that name the slice one run replaces; empty: the whole table.
        foreign_keys: Where rows come from.
        origins: Columns that are no keys, each with the column of another table, as
            ``table.column``, that it is taken or computed from.
        charts: Columns whose distribution people are shown, each with what it is: a ``share``
            from 0 to 1, a ``score`` from 0 to 10, or a text, of which the ``length`` is shown.
        rule: The paper's rule for its rows, in a sentence; "" where it has none.
    """

    name: str
    description: str
    section: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partitions: tuple[str, ...] = ("batch",)
    foreign_keys: tuple[ForeignKey, ...] = ()
    origins: tuple[tuple[str, str], ...] = ()
    charts: tuple[tuple[str, str], ...] = ()
    rule: str = ""

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage that every batch goes through; those of a policy are not."""
        return bool(self.section) and "policy" not in self.partitions

    @property
    def is_gate(self) -> bool:
        """Whether the table holds all its candidates with a status and a reason."""
        return any(column.name == "status" for column in self.columns)

    def variant(
        self,
        name: str,
        description: str,
        section: str,
        *,
        partition: Column | None = None,
        after: Mapping[str, Column] | None = None,
        changed: Sequence[Column] = (),
        added: Sequence[Column] = (),
        instead_of: Mapping[str, "Table"] | None = None,
        foreign_keys: Sequence[ForeignKey] = (),
        origins: Sequence[tuple[str, str]] = (),
        rule: str = "",
    ) -> "Table":
        """Return a table like this one: what is not named here is as it is declared here.

        Args:
            name: Name of the new table.
            description: One sentence: what a row is.
            section: The paper's section.
            partition: A further partition column. It stands after the first column, in the key
                as well, and in foreign keys to tables that have it, too.
            after: Further columns, by the column that each stands behind.
            changed: Columns that take the place of those of the same name.
            added: Further columns at the end.
            instead_of: The table to refer to, by the name of the one referred to here.
            foreign_keys: Further foreign keys.
            origins: Further origins.
            rule: The paper's rule for its rows.

        Raises:
            ValueError: ``after`` or ``changed`` names a column that this table does not have.
        """
        behind, place = dict(after or {}), {column.name: column for column in changed}
        parents = dict(instead_of or {})
        # A column that was renamed here would otherwise be missing there without a word.
        if strange := {*behind, *place} - {column.name for column in self.columns}:
            raise ValueError(f"{name}: {self.name} has no column {', '.join(sorted(strange))}.")
        # Every table is led by its batch, in columns as in keys; what narrows it comes next.
        if partition is not None:
            behind = {self.columns[0].name: partition} | behind
        columns: list[Column] = []
        for column in self.columns:
            columns.append(place.get(column.name, column))
            if column.name in behind:
                columns.append(behind[column.name])
        further = () if partition is None else (partition.name,)
        return replace(
            self,
            name=name,
            description=description,
            section=section,
            rule=rule,
            columns=(*columns, *added),
            key=(*self.key[:1], *further, *self.key[1:]),
            partitions=(*self.partitions, *further),
            foreign_keys=(
                *(key.leading_to(parents, further) for key in self.foreign_keys),
                *foreign_keys,
            ),
            origins=(*(_taken_from(parents, *origin) for origin in self.origins), *origins),
        )


def _taken_from(parents: Mapping[str, Table], column: str, origin: str) -> tuple[str, str]:
    """Return an origin with the table that stands in the place of its own."""
    parent, _, theirs = origin.partition(".")
    return column, f"{parents[parent].name if parent in parents else parent}.{theirs}"


def polars_type(duckdb_type: str) -> pl.DataType:
    """Return the Polars type of a DuckDB type such as ``STRUCT(a VARCHAR, b BIGINT[])[]``.

    Raises:
        ValueError: the type is not one of those the tables use.
    """
    text = duckdb_type.strip()
    # The brackets of a list come last whatever it is a list of.
    if text.endswith("[]"):
        return pl.List(polars_type(text[:-2]))
    if text.startswith("STRUCT(") and text.endswith(")"):
        fields = (field.split(None, 1) for field in _outer_fields(text[len("STRUCT(") : -1]))
        return pl.Struct({name: polars_type(type_) for name, type_ in fields})
    if text not in _SCALARS:
        raise ValueError(
            f"The DuckDB type {text!r} has no Polars type here; known are "
            f"{', '.join(_SCALARS)}, STRUCT(…) and lists of these."
        )
    return _SCALARS[text]


def _outer_fields(fields: str) -> list[str]:
    """Split ``a VARCHAR, b STRUCT(c BIGINT, d DATE)`` at its outer commas."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(fields):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(fields[start:i].strip())
            start = i + 1
    return [*parts, fields[start:].strip()]


def polars_schema(table: Table) -> pl.Schema:
    """Return the declared columns of ``table`` with their Polars types, in display order."""
    return pl.Schema({column.name: polars_type(column.type) for column in table.columns})


def empty_frame(table: Table) -> pl.DataFrame:
    """Return a frame of no rows with the declared columns of ``table``."""
    return polars_schema(table).to_frame()


def as_declared(schema: pl.Schema) -> list[pl.Expr]:
    """Return the columns of ``schema``, cast to its types."""
    return [pl.col(name).cast(dtype) for name, dtype in schema.items()]


def create_table(table: Table) -> str:
    """Return the CREATE TABLE statement.

    The key is not declared to DuckDB: writing checks it, every key contains the partition
    columns, and an index of it made files half as large again.
    """
    columns = ",\n".join(f"    {_column(column)}" for column in table.columns)
    return f"CREATE TABLE {SCHEMA}.{table.name} (\n{columns}\n);"


def _column(column: Column) -> str:
    return f'"{column.name}" {column.type}' + ("" if column.nullable else " NOT NULL")


def comments(table: Table) -> str:
    """Return COMMENT statements, so that database tools show what each column means."""
    lines = [f"COMMENT ON TABLE {SCHEMA}.{table.name} IS {literal(table.description)};"]
    lines += [
        f'COMMENT ON COLUMN {SCHEMA}.{table.name}."{column.name}" IS {literal(column.description)};'
        for column in table.columns
    ]
    return "\n".join(lines)


def slices_to_write(
    table: Table, partition: Partition | None, partitions: Sequence[Partition]
) -> list[Partition]:
    """Return the slices, each named by all partition columns of ``table``.

    Raises:
        ValueError: a slice is named otherwise, or none is and the table has some.
    """
    slices = [*([] if partition is None else [partition]), *partitions]
    for one in slices:
        _check_slice(table, one, set(one) == set(table.partitions))
    # Who forgets to say which slice must not replace the whole table.
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
        _check_slice(table, one, set(one) <= set(table.partitions))
    return slices


def _check_slice(table: Table, partition: Partition, fits: bool) -> None:
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
    # Partitions of which there are none are no rows, not all rows.
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
