"""The shapes of the files, as expressions over the tables: what each trainer wants of a row."""

from collections.abc import Mapping
from dataclasses import dataclass
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
        once: Column of the table of which each value comes once, in its first row; None where
            all rows come.
        description: One sentence for the card.
    """

    name: str
    suffix: Literal["jsonl", "json", "parquet"]
    columns: Mapping[str, pl.Expr]
    description: str
    keep: bool = False
    llama_factory: Mapping[str, Any] | None = None
    once: str | None = None

    def path(self, split: Split) -> str:
        """Path of the split's file, relative to the dataset's folder."""
        return f"{self.name}/{split}.{self.suffix}"

    def shape(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows in the columns of this format."""
        columns = [expression.alias(name) for name, expression in self.columns.items()]
        used = {name for expression in columns for name in expression.meta.root_names()}
        return rows.select(*([pl.exclude(used)] if self.keep else []), *columns)


@dataclass(frozen=True)
class DatasetKind:
    """A kind of training dataset.

    Attributes:
        name: ``sft``, ``preference`` or ``kto``; part of the names in ``dataset_info.json``.
        title: Heading of the card.
        id: Column that identifies a row; files are sorted by it.
        texts: Columns of the table that the formats are made of.
        formats: The first is the one the Hugging Face hub loads.
        made: How its rows came about, for the card.
    """

    name: str
    title: str
    id: str
    texts: tuple[str, ...]
    formats: tuple[Format, ...]
    made: str


def _message(role: str, column: str) -> pl.Expr:
    return pl.struct(role=pl.lit(role), content=pl.col(column))


_MESSAGES = MappingProxyType(
    {"messages": pl.concat_list(_message("user", "prompt"), _message("assistant", "response"))}
)
_CONVERSATIONAL = MappingProxyType(
    {
        "prompt": pl.concat_list(_message("user", "prompt")),
        "chosen": pl.concat_list(_message("assistant", "chosen")),
        "rejected": pl.concat_list(_message("assistant", "rejected")),
    }
)
_LABELLED = MappingProxyType(
    {
        "prompt": pl.concat_list(_message("user", "prompt")),
        "completion": pl.concat_list(_message("assistant", "completion")),
        "label": pl.col("label"),
    }
)

SFT = DatasetKind(
    name="sft",
    title="AutoIF SFT examples",
    id="example_id",
    texts=("prompt", "response"),
    made=(
        "Each row is a prompt (a user query joined with an instruction) and a sampled response "
        "to it that the instruction's verifier functions passed and the quality score kept. "
        "The rows come from the table `autoif.sft_examples`."
    ),
    formats=(
        Format(
            "parquet",
            "parquet",
            _MESSAGES,
            "`messages` as in the JSONL files, with ids, pass rate and score",
            keep=True,
        ),
        Format(
            "messages",
            "jsonl",
            _MESSAGES,
            "OpenAI chat `messages`, one row a line (TRL, OpenAI, LLaMA-Factory)",
            llama_factory={
                "formatting": "sharegpt",
                "columns": {"messages": "messages"},
                "tags": {
                    "role_tag": "role",
                    "content_tag": "content",
                    "user_tag": "user",
                    "assistant_tag": "assistant",
                    "system_tag": "system",
                },
            },
        ),
        Format(
            "alpaca",
            "json",
            {
                "instruction": pl.col("prompt"),
                "input": pl.lit(""),
                "output": pl.col("response"),
            },
            "Alpaca `instruction`, `input` (empty), `output` (LLaMA-Factory)",
            llama_factory={
                "formatting": "alpaca",
                "columns": {"prompt": "instruction", "query": "input", "response": "output"},
            },
        ),
        Format(
            "openrlhf",
            "jsonl",
            # OpenRLHF's default `--input_key`; a list of messages is what its
            # `--apply_chat_template` hands to the tokenizer.
            {"input": pl.concat_list(_message("user", "prompt"))},
            "prompts alone, each once, as `input` messages for RL "
            "(OpenRLHF: `--prompt_data`, `--input_key input --apply_chat_template`)",
            once="prompt",
        ),
    ),
)

PREFERENCE = DatasetKind(
    name="preference",
    title="AutoIF preference pairs",
    id="pair_id",
    texts=("prompt", "chosen", "rejected"),
    made=(
        "Each row is a prompt with a preferred and a dispreferred answer, told apart by running "
        "the instruction's verifier functions on both. At level `query` the prompt is a user "
        "query joined with an instruction and the answers are sampled responses; at level "
        "`instruction` the prompt is the instruction alone and the answers are inputs of its "
        "test cases. The rows come from the accepted rows of the table "
        "`autoif.preference_pairs`."
    ),
    formats=(
        Format(
            "parquet",
            "parquet",
            _CONVERSATIONAL,
            "the columns of the JSONL files, with ids, level, origin, pass rates, scores, lengths",
            keep=True,
        ),
        Format(
            "trl",
            "jsonl",
            _CONVERSATIONAL,
            "conversational `prompt`, `chosen`, `rejected`, one row a line (TRL)",
        ),
        Format(
            "ranking",
            "json",
            {
                "instruction": pl.col("prompt"),
                "input": pl.lit(""),
                "chosen": pl.col("chosen"),
                "rejected": pl.col("rejected"),
            },
            "`instruction`, `input` (empty), `chosen`, `rejected` (LLaMA-Factory)",
            llama_factory={
                "formatting": "alpaca",
                "ranking": True,
                "columns": {
                    "prompt": "instruction",
                    "query": "input",
                    "chosen": "chosen",
                    "rejected": "rejected",
                },
            },
        ),
    ),
)

KTO = DatasetKind(
    name="kto",
    title="AutoIF KTO examples",
    id="example_id",
    texts=("prompt", "completion", "label"),
    made=(
        "Each row is a prompt (a user query joined with an instruction) and a response to it with "
        "a label: true if the instruction's verifier functions passed it and the quality score "
        "kept it, false if it passes none of them. Weigh the labels if they are not about as "
        "many (`desirable_weight`, `undesirable_weight` in TRL). The rows come from the table "
        "`autoif.kto_examples`."
    ),
    formats=(
        Format(
            "parquet",
            "parquet",
            _LABELLED,
            "the columns of the JSONL files, with ids, pass rate, score and origin",
            keep=True,
        ),
        Format(
            "trl",
            "jsonl",
            _LABELLED,
            "conversational `prompt`, `completion` and `label`, one row a line (TRL)",
        ),
        Format(
            "labelled",
            "json",
            {
                "instruction": pl.col("prompt"),
                "input": pl.lit(""),
                "output": pl.col("completion"),
                "label": pl.col("label"),
            },
            "`instruction`, `input` (empty), `output`, `label` (LLaMA-Factory)",
            llama_factory={
                "formatting": "alpaca",
                "columns": {
                    "prompt": "instruction",
                    "query": "input",
                    "response": "output",
                    "kto_tag": "label",
                },
            },
        ),
    ),
)
