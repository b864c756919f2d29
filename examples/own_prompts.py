"""Your own prompt in the place of a packaged one, and a language of your own.

`autoif prompts FOLDER` writes the packaged prompts; what is in the folder that you name takes their
place, here the prompt of responses. A batch keeps the prompts of its first run. Serve a model and
say where (AUTOIF_BASE_URL, AUTOIF_MODEL), then run this file.
"""

from pathlib import Path

import autoif_assets as autoif

autoif.run(
    "own-prompts",
    prompts=Path(__file__).parent / "prompts",
    numbers={
        "language": "German",
        "seeds_per_batch": 4,
        "instructions_per_batch": 2,
        "queries_per_instruction": 2,
        "responses_per_prompt": 4,
    },
)
# Every prompt that was sent is in the tables, beside what it cost.
asked = autoif.sql(
    "SELECT prompt FROM autoif.llm_calls WHERE batch = ? AND asset = 'responses' LIMIT 1",
    ["own-prompts"],
)
print(asked["prompt"][0])
