"""Rows of the three tables, and how the tests of this folder export them."""

import polars as pl

from autoif_assets.datasets import (
    KTO,
    PREFERENCE,
    REWARD,
    SFT,
    DatasetSplit,
    reward_extras,
    write_dataset,
)
from autoif_assets.method.conversations import write_messages
from autoif_assets.method.holdout import Sides, held_out_instructions
from autoif_assets.method.rl import reward_lines

NASTY = [
    "plain",
    "",
    "nul \0 in it",
    "line\nfeed, carriage\r\nreturn, tab\t",
    "unit separators \x1c\x1d\x1e\x1f and \x0b\x0c",
    "ends of lines for str.splitlines \x85 \u2028 \u2029",
    '"quotes" \\ back/slash \\u0041 \\n',
    "emoji \U0001f600, family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "flag \U0001f1e9\U0001f1ea",
    "中文 العربية עברית e\u0301 \ufeffbom \uffff \U0010ffff",
    "],[ },{ \n,\n]",
]


def sft_examples(texts=NASTY, instructions=4, batch="b1"):
    n = len(texts)
    return pl.DataFrame(
        {
            "batch": [batch] * n,
            "example_id": [f"{i * 7919 % 65536:04x}" for i in range(n)],
            "prompt_id": [f"p{i}" for i in range(n)],
            "response_id": [f"r{i}" for i in range(n)],
            "instruction_id": [f"i{i % instructions}" for i in range(n)],
            "query_id": [f"q{i}" for i in range(n)],
            "context": [None] * n,
            "prompt": [f"{text}?" for text in texts],
            "response": list(texts),
            "pass_rate": [0.5 + i % 2 / 2 for i in range(n)],
            "score": [8.0 + i % 3 for i in range(n)],
        },
        schema_overrides={"prompt_id": pl.String, "context": pl.String},
    )


def preference_pairs(texts=NASTY, instructions=4, batch="b1"):
    n = len(texts)
    return pl.DataFrame(
        {
            "batch": [batch] * n,
            "pair_id": [f"{i * 7919 % 65536:04x}" for i in range(n)],
            "level": ["query" if i % 2 else "instruction" for i in range(n)],
            "prompt_id": [f"p{i}" if i % 2 else None for i in range(n)],
            "instruction_id": [f"i{i % instructions}" for i in range(n)],
            "context": [None] * n,
            "prompt": [f"{text}?" for text in texts],
            "chosen": list(texts),
            "rejected": [f"no: {text}" for text in texts],
            "chosen_id": [f"c{i}" for i in range(n)],
            "rejected_id": [f"r{i}" for i in range(n)],
            "chosen_pass_rate": [1.0] * n,
            "rejected_pass_rate": [0.0] * n,
            "chosen_score": [9.0] * n,
            "rejected_score": [None] * n,
            "chosen_length": [len(text) for text in texts],
            "rejected_length": [len(text) + 4 for text in texts],
            "failed_verifiers": [["v1", "v2"]] * n,
            "margin": [1.0] * n,
            "constrains_length": [False] * n,
            "origin": ["sampled" if i % 2 else "test_case" for i in range(n)],
            "status": ["accepted"] * n,
            "reason": [None] * n,
        },
        schema_overrides={
            "prompt_id": pl.String,
            "context": pl.String,
            "reason": pl.String,
            "rejected_score": pl.Float64,
        },
    )


def kto_examples(texts=NASTY, instructions=4, batch="b1"):
    n = len(texts)
    return pl.DataFrame(
        {
            "batch": [batch] * n,
            "example_id": [f"{i * 7919 % 65536:04x}" for i in range(n)],
            "prompt_id": [f"p{i}" for i in range(n)],
            "instruction_id": [f"i{i % instructions}" for i in range(n)],
            "context": [None] * n,
            "prompt": [f"{text}?" for text in texts],
            "completion": list(texts),
            "label": [i % 2 == 0 for i in range(n)],
            "pass_rate": [1.0 if i % 2 == 0 else 0.0 for i in range(n)],
            "score": [9.0 if i % 2 == 0 else None for i in range(n)],
            "origin": ["sampled"] * n,
        },
        schema_overrides={"context": pl.String},
    )


def rl_prompts(texts=NASTY, instructions=4, batch="b1"):
    n = len(texts)
    return pl.DataFrame(
        {
            "batch": [batch] * n,
            "prompt_id": [f"{i * 7919 % 65536:016x}" for i in range(n)],
            "instruction_id": [f"i{i % instructions}" for i in range(n)],
            "query": list(texts),
            "context": [None] * n,
            "prompt": [f"{text}?" for text in texts],
            "instruction_ids": [[f"i{i % instructions}"] for i in range(n)],
            "pass_rate": [(1 + i % 7) / 8 for i in range(n)],
            "base_rates": [[0.5 if i % 2 else None] for i in range(n)],
            # Where they were when they were made; the export decides.
            "split": ["neither"] * n,
            "status": ["accepted"] * n,
            "reason": [None] * n,
        },
        schema_overrides={"context": pl.String, "reason": pl.String},
    )


SHOUTS = "def evaluate(response):\n    return response.isupper()"
# On random texts as good as a coin.
EVEN = "def evaluate(response):\n    return sum(map(ord, response)) % 2 == 0"


def verifier_entries(instructions=4, source=SHOUTS):
    return [
        {
            "instruction_id": f"i{i}",
            "instruction": "Shout.",
            "category": None,
            "verifiers": [
                {
                    "verifier_id": f"v{i}",
                    "source": source,
                    "audit": {},
                }
            ],
            "cases": [
                {"input": f"LOUD {i}", "expected": True},
                {"input": "quiet", "query": "q", "expected": False},
            ],
            "limits": {"memory_mb": 512, "modules": []},
        }
        for i in range(instructions)
    ]


BEFORE = [
    {"role": "system", "content": "Be \u2028 brief."},
    {"role": "user", "content": 'W"hy?\n'},
    {"role": "assistant", "content": "So."},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": " é\U0001f600\t"},
]
# None, a system message, turns, and both.
CONTEXTS = [None, BEFORE[:1], BEFORE[1:], BEFORE]


def in_conversations(table):
    """Return a table of which three rows in four have a context."""
    told = [None if one is None else write_messages(one) for one in CONTEXTS]
    contexts = [told[i % len(told)] for i in range(table.height)]
    return table.with_columns(context=pl.Series(contexts, dtype=pl.String))


def write_sft_dataset(table, folder, eval_share, seed, split_with=None):
    return write_table(SFT, table, folder, eval_share, seed, split_with)


def write_preference_dataset(table, folder, eval_share, seed, split_with=None):
    return write_table(PREFERENCE, table, folder, eval_share, seed, split_with)


def write_kto_dataset(table, folder, eval_share, seed, split_with=None):
    return write_table(KTO, table, folder, eval_share, seed, split_with)


def write_reward_dataset(table, folder, eval_share, seed, split_with=None, source=SHOUTS):
    extras = reward_extras(reward_lines(iter(verifier_entries(source=source))))
    return write_table(REWARD, table, folder, eval_share, seed, split_with, extras)


def write_table(kind, table, folder, eval_share, seed, split_with=None, extras=()):
    """Export a whole table, split together with another one; return the files."""
    others = () if split_with is None else split_with["instruction_id"]
    split = split_instructions(table["instruction_id"], eval_share, seed, others)
    if "context" in table.columns and table["context"].null_count() < table.height:
        kind = kind.with_contexts()
    return write_dataset(kind, [table], folder, split, extras).files


def split_instructions(names, eval_share, seed, others=()):
    """Split instructions of which no two demand the same, with no prompt left out."""
    every = sorted({*names, *others})
    instructions = pl.DataFrame(
        {"instruction_id": every, "instruction": every, "made": [0] * len(every)},
        schema_overrides={"instruction_id": pl.String, "instruction": pl.String},
    )
    held_out = held_out_instructions(instructions, eval_share, seed, names, others)
    return DatasetSplit(frozenset(every), Sides(held_out), eval_share, seed)
