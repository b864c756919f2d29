"""The kinds of dataset there are, and the files of each: what every trainer wants of a row."""

from types import MappingProxyType

import polars as pl

from autoif_assets.datasets.formats import BEFORE, DatasetKind, Format


def _message(role: str, column: str) -> pl.Expr:
    return pl.struct(role=pl.lit(role), content=pl.col(column))


_PROMPT = pl.concat_list(BEFORE, _message("user", "prompt"))
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
            "`messages` as in the JSONL files, with all else that is known of the row",
            keep=True,
        ),
        Format(
            "messages",
            "jsonl",
            _MESSAGES,
            "OpenAI chat `messages`, one row a line, the rest of the row in `metadata` (TRL, "
            "OpenAI, LLaMA-Factory)",
            metadata=True,
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
            metadata=True,
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
            "the columns of the JSONL files, with all else that is known of the pair",
            keep=True,
        ),
        Format(
            "trl",
            "jsonl",
            _CONVERSATIONAL,
            "conversational `prompt`, `chosen`, `rejected`, one row a line, the rest of the row in "
            "`metadata` (TRL)",
            metadata=True,
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
            "the columns of the JSONL files, with all else that is known of the row",
            keep=True,
        ),
        Format(
            "trl",
            "jsonl",
            _LABELLED,
            "conversational `prompt`, `completion` and `label`, one row a line, the rest of the "
            "row in `metadata` (TRL)",
            metadata=True,
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
            "conversational `prompt`, the columns that the reward function takes, and the rest of "
            "the row (TRL, ms-swift)",
            keep=True,
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
            metadata=True,
        ),
        Format(
            "openrlhf",
            "jsonl",
            {"input": _PROMPT, "label": _TRUTH},
            "`input` messages and `label` (OpenRLHF: `--data.input_key input "
            "--data.label_key label --data.apply_chat_template`)",
            metadata=True,
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
            metadata=True,
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
