"""The shapes of the files, as expressions over the tables: what each trainer wants of a row."""

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
        description: One sentence for the card.
    """

    name: str
    suffix: Literal["jsonl", "json", "parquet"]
    columns: Mapping[str, pl.Expr]
    description: str
    keep: bool = False
    llama_factory: Mapping[str, Any] | None = None
    once: tuple[str, ...] = ()

    def path(self, split: Split) -> str:
        """Path of the split's file, relative to the dataset's folder."""
        return f"{self.name}/{split}.{self.suffix}"

    def shape(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows in the columns of this format."""
        columns = [expression.alias(name) for name, expression in self.columns.items()]
        used = {name for expression in columns for name in expression.meta.root_names()}
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


_SAID_BEFORE = (
    "Where a query was part of a conversation, a system message and the turns before it come first "
    "in the prompt."
)
_CONTEXT = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
_BEFORE = pl.col("context").str.json_decode(_CONTEXT).fill_null(pl.lit([], dtype=_CONTEXT))


def _contents(wanted: pl.Expr) -> pl.Expr:
    """Return the contents of the messages of a context that are wanted."""
    return _BEFORE.list.eval(pl.element().filter(wanted).struct.field("content"))


_IS_SYSTEM = pl.element().struct.field("role") == "system"
_SYSTEM = _contents(_IS_SYSTEM).list.first().fill_null("")
# User and assistant take turns in a context, and the assistant ends it.
_HISTORY = _contents(~_IS_SYSTEM).list.eval(
    pl.concat_list(pl.element().gather_every(2), pl.element().gather_every(2, 1))
)


def _message(role: str, column: str) -> pl.Expr:
    return pl.struct(role=pl.lit(role), content=pl.col(column))


_PROMPT = pl.concat_list(_BEFORE, _message("user", "prompt"))
_MESSAGES = MappingProxyType(
    {"messages": pl.concat_list(_PROMPT, _message("assistant", "response"))}
)
_CONVERSATIONAL = MappingProxyType(
    {
        "prompt": _PROMPT,
        "chosen": pl.concat_list(_message("assistant", "chosen")),
        "rejected": pl.concat_list(_message("assistant", "rejected")),
    }
)
_LABELLED = MappingProxyType(
    {
        "prompt": _PROMPT,
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
            {"input": _PROMPT},
            "prompts alone, each once, as `input` messages for RL "
            "(OpenRLHF: `--prompt_data`, `--input_key input --apply_chat_template`)",
            once=("context", "prompt"),
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

NEMO_GYM = "nemo_gym"
ENVIRONMENT = "verifiers/autoif_reward"

_BY = pl.struct("instruction_ids", "query")
# What decides about an answer, for trainers that hand on one text. The pass rate stands for a
# reward that the verifiers do not decide, where a trainer must have a number.
_TRUTH = pl.struct("instruction_ids", "query", "pass_rate").struct.json_encode()

REWARD = DatasetKind(
    name="reward",
    title="AutoIF prompts for RL with verifiable rewards",
    id="prompt_id",
    texts=("prompt", "query", "instruction_ids", "pass_rate"),
    made=(
        "Each row is a prompt (a user query joined with instructions) that some of the sampled "
        "responses follow and some do not, and the ids of its instructions, whose verifier "
        "functions in `verifiers.jsonl` reward answers. The rows come from the accepted rows of "
        "the table `autoif.rl_prompts`."
    ),
    formats=(
        Format(
            "trl",
            "parquet",
            {
                "prompt": _PROMPT,
                "instruction_ids": pl.col("instruction_ids"),
                "query": pl.col("query"),
                "prompt_id": pl.col("prompt_id"),
                "pass_rate": pl.col("pass_rate"),
                "base_rates": pl.col("base_rates"),
            },
            "conversational `prompt`, and the columns that the reward function takes (TRL, "
            "ms-swift)",
        ),
        Format(
            "verl",
            "parquet",
            {
                "data_source": pl.lit("autoif"),
                "prompt": _PROMPT,
                "ability": pl.lit("instruction_following"),
                "reward_model": pl.struct(style=pl.lit("rule"), ground_truth=_TRUTH),
                "extra_info": pl.struct(
                    split=pl.col("split"),
                    # A number that stays the prompt's own, whatever is exported beside it.
                    index=pl.col("prompt_id").str.slice(0, 15).str.to_integer(base=16),
                    prompt_id=pl.col("prompt_id"),
                ),
            },
            "`data_source`, `prompt`, `ability`, `reward_model`, `extra_info` (verl, SkyRL)",
        ),
        Format(
            "openrlhf",
            "jsonl",
            {"input": _PROMPT, "label": _TRUTH},
            "`input` messages and `label` (OpenRLHF: `--data.input_key input "
            "--data.label_key label --data.apply_chat_template`)",
        ),
        Format(
            "open_instruct",
            "jsonl",
            {
                "messages": _PROMPT,
                "ground_truth": pl.concat_list(_TRUTH),
                "dataset": pl.concat_list(pl.lit("autoif")),
            },
            "`messages`, `ground_truth`, `dataset` (open-instruct)",
        ),
        Format(
            NEMO_GYM,
            "jsonl",
            {
                "responses_create_params": pl.struct(input=_PROMPT),
                "verifier_metadata": _BY,
                "agent_ref": pl.struct(
                    type=pl.lit("responses_api_agents"), name=pl.lit("autoif_simple_agent")
                ),
            },
            "`responses_create_params` and `verifier_metadata` (NeMo Gym)",
        ),
        Format(
            ENVIRONMENT,
            "jsonl",
            {
                "id": pl.col("prompt_id"),
                "prompt": _PROMPT,
                "instruction_ids": pl.col("instruction_ids"),
                "query": pl.col("query"),
            },
            "the tasks of the package `autoif-reward` (the library `verifiers` >= 0.4)",
        ),
    ),
    told=MappingProxyType(
        {
            "pass_rate": "share of the prompt's sampled responses that passed when it was made",
        }
    ),
    extras=(
        "verifiers.jsonl",
        f"{NEMO_GYM}/fixtures.jsonl",
        "verifiers/pyproject.toml",
        f"{ENVIRONMENT}/__init__.py",
        f"{ENVIRONMENT}/verifiers.jsonl",
    ),
    usage=(
        "## Scoring\n\n"
        "```python\n"
        "from autoif_assets.rewards import Scorer\n\n"
        'with Scorer("PATH_OF_THIS_FOLDER") as scorer:\n'
        '    items = [{"instruction_ids": ["ID"], "response": "An answer.", "query": "A query."}]\n'
        "    print(scorer.score(items))\n"
        "```\n\n"
        "or `autoif rewards serve --data PATH_OF_THIS_FOLDER`. Both refuse a `verifiers.jsonl` "
        "other than the one that `verifiers_sha256` at the top names. Verifiers are written by a "
        "model: run them in the sandbox of `autoif_assets`, not by `exec`."
    ),
)
