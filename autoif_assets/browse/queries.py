"""What is asked of a table: its filters, order and page, as an address has them and as SQL.

Names are those of the database's own catalogue; what a person wrote is a parameter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from autoif_assets.warehouse.relations import Query, naming
from autoif_assets.warehouse.schema import SCHEMA
from autoif_assets.warehouse.tables import OUTCOMES, TABLES
from autoif_assets.warehouse.views import describe, views

PAGE_ROWS = 50
PAGE_PAIRS = 10
CELL_CHARS = 2_000
"""Most characters of a value that a page of rows holds."""
_LIST_ITEMS = 100
# What tables of ones own hold of other kinds is shown as DuckDB writes it.
_AS_THEY_ARE = ("BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP WITH TIME ZONE")

COMPARISONS = {
    "": "is",
    "not": "is not",
    "has": "contains",
    "lt": "<",
    "le": "≤",
    "gt": ">",
    "ge": "≥",
    "null": "is null",
    "known": "is not null",
}
"""What stands behind a column's name in an address, such as ``score.ge=8``, in words."""
_SIGNS = {
    "": "=",
    "not": "IS DISTINCT FROM",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "null": "IS NULL",
    "known": "IS NOT NULL",
}
# What is no column in an address; no column of ours begins so.
NAMES, SORT, PAGE, FORM = "_id", "_sort", "_page", "_as"

# The first table of each group, as the tables are declared in the order of the flow.
_GROUPS = {
    "seed_instructions": "Seeds",
    "augmented_instructions": "Instructions and verifiers",
    "augmented_queries": "Prompts and responses",
    "sft_examples": "Training data",
    "policies": "Policies",
    "batches": "Beside the flow",
}

# A database has a table of its migrations, too, and those that people have made in it.
_CATALOGUE = """
SELECT schema_name, table_name, column_name, data_type,
    (schema_name, table_name) IN (
        SELECT (schema_name, view_name) FROM duckdb_views()
        WHERE database_name = current_database()
    ) AS is_view
FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal
ORDER BY schema_name <> 'autoif', schema_name, table_name, column_index
"""


class BadAddress(ValueError):
    """What an address asks for is not there, or cannot be asked."""


@dataclass(frozen=True)
class Relation:
    """A table or view of the database.

    Attributes:
        schema: Its schema.
        name: Its name.
        columns: DuckDB's type by column.
        is_view: Whether it is computed.
    """

    schema: str
    name: str
    columns: Mapping[str, str]
    is_view: bool = False

    @property
    def address(self) -> str:
        """What names it in an address."""
        return self.name if self.schema == SCHEMA else f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """What names it in SQL."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def is_declared(self) -> bool:
        """Whether it is one of our tables, whose rows have a page of their own."""
        return self.schema == SCHEMA and self.name in TABLES

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row; empty where that is not known."""
        return TABLES[self.name].key if self.is_declared else ()

    @property
    def has_pairs(self) -> bool:
        """Whether its rows are preference pairs."""
        return {"prompt", "chosen", "rejected"} <= set(self.columns)

    @property
    def description(self) -> str:
        """What a row is, if known."""
        if self.is_declared:
            return TABLES[self.name].description
        if self.is_view and self.schema == SCHEMA and (sql := views().get(self.name)):
            return describe(sql)[0]
        return ""

    @property
    def meanings(self) -> Mapping[str, str]:
        """What the columns are, as far as known."""
        declared = TABLES[self.name].columns if self.is_declared else ()
        return {column.name: column.description for column in declared}

    @property
    def group(self) -> str:
        """The group it is listed in."""
        if not self.is_declared:
            return "Views" if self.schema == SCHEMA else f"Schema {self.schema}"
        names = list(TABLES)
        before = names[: names.index(self.name) + 1]
        return next(_GROUPS[name] for name in reversed(before) if name in _GROUPS)


@dataclass(frozen=True)
class Filter:
    """A condition on a column.

    Attributes:
        column: The column; ``NAMES`` for any that names another thing.
        comparison: One of ``COMPARISONS``.
        value: What it is compared with, as text.
    """

    column: str
    comparison: str = ""
    value: str = ""

    @property
    def is_batch(self) -> bool:
        """Whether it chooses a batch."""
        return (self.column, self.comparison) == ("batch", "")

    @property
    def words(self) -> str:
        """The condition as a person reads it."""
        if self.column == NAMES:
            return f"names {self.value}"
        value = "" if self.comparison in ("null", "known") else f" {self.value}"
        return f"{self.column} {COMPARISONS[self.comparison]}{value}"


@dataclass(frozen=True)
class Selection:
    """Which rows of a table are shown, and how.

    Attributes:
        filters: Conditions that all hold.
        sort: The column they are sorted by; those of the key if empty.
        descending: Whether the highest come first.
        page: Number of the page, from 1.
        form: ``rows`` or ``pairs``.
    """

    filters: tuple[Filter, ...] = ()
    sort: str = ""
    descending: bool = False
    page: int = 1
    form: str = "rows"

    @property
    def size(self) -> int:
        """Rows of a page."""
        return PAGE_PAIRS if self.form == "pairs" else PAGE_ROWS

    @property
    def batch(self) -> str | None:
        """The batch whose rows alone are shown, if so."""
        return next((one.value for one in self.filters if one.is_batch), None)

    def without(self, *dropped: Filter) -> "Selection":
        """Return the first page without some conditions."""
        left = tuple(one for one in self.filters if one not in dropped)
        return replace(self, filters=left, page=1)


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def catalogue(query: Query) -> dict[str, Relation]:
    """Return the tables and views that may be looked at, ours first and in the flow's order.

    Args:
        query: Asks the database.
    """
    columns: dict[tuple[str, str, bool], dict[str, str]] = {}
    for schema, name, column, kind, is_view in query(_CATALOGUE, []).iter_rows():
        columns.setdefault((schema, name, is_view), {})[column] = kind
    found = {
        one.address: one
        for (schema, name, is_view), of in columns.items()
        if (one := Relation(schema, name, of, is_view)).is_declared or is_view or schema != SCHEMA
    }
    flow = {name: found.pop(name) for name in TABLES if name in found}
    return flow | found


def selection(relation: Relation, asked: Iterable[tuple[str, str]]) -> Selection:
    """Read what an address asks of a table.

    Args:
        relation: The table.
        asked: Names and values behind the question mark.

    Raises:
        BadAddress: It names no column, comparison or page.
    """
    made = Selection(form="pairs" if relation.has_pairs else "rows")
    filters: list[Filter] = []
    for name, value in asked:
        if name == SORT:
            column = value.removeprefix("-")
            _check_column(relation, column)
            made = replace(made, sort=column, descending=value.startswith("-"))
        elif name == PAGE:
            made = replace(made, page=_page(value))
        elif name == FORM:
            made = replace(made, form=made.form if value == "pairs" else "rows")
        else:
            filters.append(_filter(relation, name, value))
    return replace(made, filters=tuple(dict.fromkeys(filters)))


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise BadAddress(f"{text[:40]!r} is no number of a page.")
    return int(text)


def _filter(relation: Relation, name: str, value: str) -> Filter:
    if name == NAMES or name in relation.columns:
        return Filter(name, "", value)
    column, _, comparison = name.rpartition(".")
    _check_column(relation, column or name)
    if comparison not in COMPARISONS:
        raise BadAddress(
            f"{name[:80]!r} compares in no known way: write behind the column "
            f".{', .'.join(filter(None, COMPARISONS))} or nothing."
        )
    return Filter(column, comparison, value)


def _check_column(relation: Relation, name: str) -> None:
    if name not in relation.columns:
        raise BadAddress(
            f"{relation.address} has no column {name[:80]!r}; it has {', '.join(relation.columns)}."
        )


def pairs(relation: Relation, of: Selection) -> list[tuple[str, str]]:
    """Return the names and values of a selection, which ``selection`` reads back."""
    made = [
        (f"{one.column}.{one.comparison}" if one.comparison else one.column, one.value)
        for one in of.filters
    ]
    if of.sort:
        made.append((SORT, f"-{of.sort}" if of.descending else of.sort))
    if of.form == "rows" and relation.has_pairs:
        made.append((FORM, of.form))
    if of.page > 1:
        made.append((PAGE, str(of.page)))
    return made


def address(relation: Relation, of: Selection) -> str:
    """Return the address of a selection."""
    asked = urlencode(pairs(relation, of))
    return f"/table/{quote(relation.address)}" + (f"?{asked}" if asked else "")


def where(relation: Relation, filters: Sequence[Filter]) -> tuple[str, list[Any]]:
    """Return an SQL condition and its parameters."""
    terms, values = ["true"], []
    for one in filters:
        if one.column == NAMES:
            names = naming(TABLES[relation.name]) if relation.is_declared else []
            terms.append(f"({' OR '.join([f'{quoted(name)} = ?' for name in names] or ['false'])})")
            values += [one.value] * len(names)
            continue
        name, kind = quoted(one.column), relation.columns[one.column]
        if one.comparison == "has":
            terms.append(f"contains(lower(CAST({name} AS VARCHAR)), lower(?))")
        elif one.comparison in ("null", "known"):
            terms.append(f"{name} {_SIGNS[one.comparison]}")
            continue
        elif _is_nested(kind):
            terms.append(f"CAST({name} AS VARCHAR) {_SIGNS[one.comparison]} ?")
        else:
            terms.append(f"{name} {_SIGNS[one.comparison]} CAST(? AS {kind})")
        values.append(one.value)
    return " AND ".join(terms), values


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT(", "MAP(", "UNION("))


def page_of(relation: Relation, of: Selection) -> tuple[str, list[Any]]:
    """Return the query for a page of rows and its parameters.

    Its columns are numbered: ``v0`` and so on, the values, with texts cut at ``CELL_CHARS``,
    ``n0`` the lengths of those that are texts, and ``k0`` what the key is, as text.
    """
    shown: list[str] = []
    for place, (column, kind) in enumerate(relation.columns.items()):
        name = quoted(column)
        if kind == OUTCOMES:
            shown.append(f"{name}[:{_LIST_ITEMS}] AS v{place}")
        elif kind not in _AS_THEY_ARE:
            text = f"CAST({name} AS VARCHAR)"
            if kind == "VARCHAR[]":
                text = f"array_to_string({name}[:{_LIST_ITEMS}], ', ')"
            shown.append(f"left({text}, {CELL_CHARS}) AS v{place}")
            shown.append(f"length({text}) AS n{place}")
        else:
            shown.append(f"{name} AS v{place}")
    shown += [f"CAST({quoted(name)} AS VARCHAR) AS k{n}" for n, name in enumerate(relation.key)]
    condition, values = where(relation, of.filters)
    order = [quoted(name) for name in relation.key or relation.columns]
    if of.sort:
        order.insert(0, f"{quoted(of.sort)} {'DESC' if of.descending else 'ASC'} NULLS LAST")
    sql = (
        f"SELECT {', '.join(shown)} FROM {relation.sql} WHERE {condition}"
        f" ORDER BY {', '.join(order)} LIMIT {of.size} OFFSET {(of.page - 1) * of.size}"
    )
    return sql, values
