"""The shape of a file, as expressions over a table's columns: what a trainer wants of a row."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import polars as pl

Split = Literal["train", "eval"]
SPLITS: tuple[Split, Split] = ("train", "eval")


@dataclass(frozen=True)
class Format:
    """One file format of a dataset.

    Attributes:
        name: Also the folder of its files.
        suffix: ``jsonl`` (a row a line), ``json`` (one array) or ``parquet``.
        columns: The file's columns over the table's.
        keep: Whether the table's columns that ``columns`` is not made of (ids, rates) come along.
        llama_factory: Its entry in LLaMA-Factory's ``dataset_info.json`` without the file
            name, or None where LLaMA-Factory does not read it.
        once: Columns of the table of which each value comes once, in its first row; none where
            all rows come.
        metadata: Whether a column of that name holds the rest of the row: see `_rest`.
        description: One sentence for the card.
    """

    name: str
    suffix: Literal["jsonl", "json", "parquet"]
    columns: Mapping[str, pl.Expr]
    description: str
    keep: bool = False
    llama_factory: Mapping[str, Any] | None = None
    once: tuple[str, ...] = ()
    metadata: bool = False

    def path(self, split: Split) -> str:
        """Path of the split's file, relative to the dataset's folder."""
        return f"{self.name}/{split}.{self.suffix}"

    def shape(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows in the columns of this format."""
        columns = [expression.alias(name) for name, expression in self.columns.items()]
        used = {name for expression in columns for name in expression.meta.root_names()}
        if self.metadata:
            of_prompt = [name for name in rows.columns if name in _OF_PROMPT]
            columns += _rest(rows.select(of_prompt) if self.once else rows)
        return rows.select(*([pl.exclude(used)] if self.keep else []), *columns)

    @property
    def tells_contexts(self) -> bool:
        """Whether what was said before a query is in its rows."""
        return any("context" in column.meta.root_names() for column in self.columns.values())

    def with_contexts(self) -> "Format":
        """Return the format for rows of which some have a context.

        Messages hold it anyway. Alpaca has keys of its own for it, which are in all rows of a
        file or in none: readers take the columns of a file from its first rows.
        """
        if self.tells_contexts:
            return self
        described = self.llama_factory or {}
        return replace(
            self,
            columns={**self.columns, "system": _SYSTEM, "history": _HISTORY},
            description=f"{self.description}; `system` and `history` hold what was said before",
            llama_factory={
                **described,
                "columns": {**described["columns"], "system": "system", "history": "history"},
            },
        )


@dataclass(frozen=True)
class DatasetKind:
    """A kind of training dataset.

    Attributes:
        name: ``sft``, ``preference``, ``kto`` or ``reward``; part of the names in
            ``dataset_info.json``.
        title: Heading of the card.
        id: Column that identifies a row; files are sorted by it.
        texts: Columns of the table that the formats are made of.
        formats: The first is the one the Hugging Face hub loads.
        made: How its rows came about, for the card.
        told: What its columns are, where that is not what they are elsewhere.
        extras: Paths of its other files.
        usage: A section of the card on how to use it.
        has_contexts: Whether something was said before some of the prompts.
    """

    name: str
    title: str
    id: str
    texts: tuple[str, ...]
    formats: tuple[Format, ...]
    made: str
    told: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    extras: tuple[str, ...] = ()
    usage: str = ""
    has_contexts: bool = False

    def with_contexts(self) -> "DatasetKind":
        """Return the kind for rows of which some have a context; see `Format.with_contexts`."""
        return replace(
            self,
            formats=tuple(format.with_contexts() for format in self.formats),
            made=f"{self.made} {_SAID_BEFORE}",
            has_contexts=True,
        )


# What a row is trained on, which the trainers' own columns hold.
_TRAINED_ON = {"context", "prompt", "response", "chosen", "rejected", "completion", "label"}
# What is so of every row of a prompt.
_OF_PROMPT = {
    *("batch", "prompt_id", "instruction_id", "query_id"),
    *("instructions", "query", "category", "recipe", "models"),
}
# Lists that may be empty, or whose values may be missing.
_NO_LISTS = {"failed_verifiers", "base_rates"}
NO_NUMBER = -1


def _rest(rows: pl.DataFrame) -> list[pl.Expr]:
    """Return ``metadata``: all of a row that is not trained on, to filter by.

    Readers of JSON take the types of a column from its first values, and fail at the first text
    or number of a column that began with nulls. So what is missing is an empty text, or
    ``NO_NUMBER``, which no rate, score or length is. Parquet says its types, and has nulls.
    """
    told = [
        _never_null(pl.col(name), type_).alias(name)
        for name, type_ in rows.schema.items()
        if name not in _TRAINED_ON | _NO_LISTS
    ]
    return [pl.struct(told).alias("metadata")] if told else []


def _never_null(value: pl.Expr, type_: Any) -> pl.Expr:
    if isinstance(type_, pl.Struct):
        fields = [
            _never_null(value.struct.field(name), inner).alias(name)
            for name, inner in type_.to_schema().items()
        ]
        return pl.struct(*fields)
    if type_ == pl.String:
        return value.fill_null("")
    return value.fill_null(NO_NUMBER) if type_.is_numeric() else value


_SAID_BEFORE = (
    "Where a query was part of a conversation, a system message and the turns before it come first "
    "in the prompt."
)
_CONTEXT = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
BEFORE = pl.col("context").str.json_decode(_CONTEXT).fill_null(pl.lit([], dtype=_CONTEXT))


def _contents(wanted: pl.Expr) -> pl.Expr:
    """Return the contents of the messages of a context that are wanted."""
    return BEFORE.list.eval(pl.element().filter(wanted).struct.field("content"))


_IS_SYSTEM = pl.element().struct.field("role") == "system"
_SYSTEM = _contents(_IS_SYSTEM).list.first().fill_null("")
# User and assistant take turns in a context, and the assistant ends it.
_HISTORY = _contents(~_IS_SYSTEM).list.eval(
    pl.concat_list(pl.element().gather_every(2), pl.element().gather_every(2, 1))
)
