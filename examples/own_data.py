"""Your own instructions and queries: a small batch of them, and its first example and pair.

Serve a model and say where (AUTOIF_BASE_URL, AUTOIF_MODEL), then run this file. The same command
again goes on where it was stopped, and asks for nothing twice.
"""

from pathlib import Path

import autoif_assets as autoif

SEEDS = """\
Answer in at most 40 words.
Write every sentence as a question.
Use no exclamation marks.
End with a line that begins with "Note:".
Mention at least two colours.
Write in lower case only.
"""
QUERIES = """\
How do I keep a sourdough starter alive while I travel?
What should I look for when I buy a used bicycle?
Why is the sky red in the evening and blue at noon?
Tell me how a suspension bridge carries its weight.
Which plants grow well on a balcony without much sun?
How can I learn to read music as an adult?
"""

Path("seeds.txt").write_text(SEEDS)
Path("queries.txt").write_text(QUERIES)

# Small numbers, for a first look; without them the batch has those of the recipe.
funnel = autoif.run(
    "own-data",
    seeds="seeds.txt",
    queries="queries.txt",
    numbers={
        "instructions_per_batch": 4,
        "queries_per_instruction": 2,
        "responses_per_prompt": 4,
    },
)
print(funnel)

examples = autoif.dataset("sft")
print(f"{examples.height} examples, such as")
for message in examples["messages"].to_list()[:1]:
    print(message)
pairs = autoif.dataset("preference")
print(f"{pairs.height} pairs, such as")
for pair in pairs.select("prompt", "chosen", "rejected").to_dicts()[:1]:
    print(pair)
