"""Your own verifiers and test cases, and whether they agree with responses that you labelled.

A verifier that you hand in goes through the same gates as one that a model writes; your test cases
need no votes. Serve a model and say where (AUTOIF_BASE_URL, AUTOIF_MODEL), then run this file.
"""

import csv
import json
import os
from pathlib import Path

import autoif_assets as autoif

NO_COMMAS = "def evaluate(response):\n    return ',' not in response"
SEEDS = [
    {
        "instruction": "Use no commas.",
        "verifier": NO_COMMAS,
        "cases": [
            {"input": "One two three.", "output": True},
            {"input": "One, two, three.", "output": False},
        ],
    },
    {"instruction": "Answer in at most 40 words."},
]
LABELLED = [
    ("Use no commas.", "Plants need light and water.", True),
    ("Use no commas.", "Plants need light, water and air.", False),
]

# Before anything is paid: what your verifier says of your labels.
said = autoif.verify(NO_COMMAS, [response for _, response, _ in LABELLED])
print(said)
assert said["passed"].to_list() == [follows for *_, follows in LABELLED]

Path("seeds.jsonl").write_text("".join(json.dumps(seed) + "\n" for seed in SEEDS))
with Path("labelled.csv").open("w", newline="") as file:
    csv.writer(file).writerows([("instruction", "response", "follows"), *LABELLED])
os.environ["AUTOIF_LABELLED"] = "labelled.csv"

autoif.run(
    "own-verifiers",
    seeds="seeds.jsonl",
    numbers={
        "instructions_per_batch": 2,
        "queries_per_instruction": 2,
        "responses_per_prompt": 4,
    },
)
print(
    autoif.sql(
        "SELECT instruction, gate, texts, agreed, share FROM autoif.labelled_agreement"
        " JOIN autoif.augmented_instructions USING (batch, instruction_id)"
        " WHERE batch = 'own-verifiers'"
    )
)
