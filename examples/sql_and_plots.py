"""SQL on a batch, and a picture of where its data went.

Run `make demo` first, or any batch, then this file: `python examples/sql_and_plots.py [BATCH]`.
"""

import sys
from pathlib import Path

import autoif_assets as autoif
from autoif_assets.charts import Bar, funnel_chart

batch = sys.argv[1] if len(sys.argv) > 1 else "demo"

print("What each gate kept, and why it rejected the rest:")
print(
    autoif.sql(
        "SELECT stage, status, reason, rows FROM autoif.funnel WHERE batch = ?"
        " ORDER BY position, rows DESC",
        [batch],
    )
)

print("What it cost:")
print(
    autoif.sql(
        "SELECT asset, calls, prompt_tokens, completion_tokens FROM autoif.cost WHERE batch = ?"
        " ORDER BY completion_tokens DESC",
        [batch],
    )
)

print("Which instructions are hardest to follow:")
print(
    autoif.sql(
        "SELECT instruction, round(avg(pass_rate), 2) AS pass_rate, count(*) AS responses"
        " FROM autoif.response_verdicts JOIN autoif.verified_instructions"
        " USING (batch, instruction_id) WHERE batch = ? GROUP BY ALL ORDER BY pass_rate LIMIT 5",
        [batch],
    )
)

kept = autoif.sql(
    "SELECT stage, sum(rows) FILTER (status IS DISTINCT FROM 'rejected') AS kept,"
    " sum(rows) FILTER (status = 'rejected') AS dropped"
    " FROM autoif.funnel WHERE batch = ? GROUP BY stage ORDER BY min(position)",
    [batch],
)
bars = [Bar(stage, int(good or 0), int(bad or 0)) for stage, good, bad in kept.iter_rows()]
Path("funnel.svg").write_text(funnel_chart(bars))
print("funnel.svg shows what stages kept.")
