"""A reward for GRPO: what a trainer is told of the completions of one prompt.

Run a batch first, then this file, which plays the trainer: it hands in completions and prints what
each is worth. With TRL (`pip install 'autoif-assets[train]'`) the same function is all it takes::

    GRPOTrainer(model, reward_funcs=reward, train_dataset=Dataset.from_polars(prompts))

A completion on which the verifiers give no verdict gets None, which TRL leaves out.
"""

import asyncio

import polars as pl

from autoif_assets.rewards.adapters.trl import reward_function

DATA = "data/exports/reward"

reward = reward_function(DATA)
prompts = pl.read_parquet(f"{DATA}/trl/*.parquet")
first = prompts.row(0, named=True)
print(first["prompt"][-1]["content"])

completions = ["", "Yes.", "<think>I had better be brief.</think>Well, no, not at all!"]
messages = [[{"role": "assistant", "content": text}] for text in completions]
worth = asyncio.run(
    reward(
        [first["prompt"]] * len(messages),
        messages,
        instruction_ids=[first["instruction_ids"]] * len(messages),
        query=[first["query"]] * len(messages),
    )
)
for text, one in zip(completions, worth, strict=True):
    print(f"{one}  {text!r}")
