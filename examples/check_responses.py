"""Verifiers as a check of any model's responses, without a model of your own.

Run `make demo` first, or any batch, then this file. `passed` is null where the verifiers give no
verdict: that is no failure, and a trainer must not take it for one.
"""

import autoif_assets as autoif

rows = autoif.sql(
    "SELECT i.instruction_id, i.instruction, r.response FROM autoif.responses r"
    " JOIN autoif.verified_instructions i USING (batch, instruction_id)"
    " WHERE r.status = 'accepted' AND i.status = 'accepted' ORDER BY r.response_id LIMIT 12"
)
for (instruction_id, instruction), group in rows.group_by("instruction_id", "instruction"):
    checked = autoif.verify(str(instruction_id), group["response"].to_list())
    passed = checked["passed"].to_list()
    print(f"{passed.count(True)} pass, {passed.count(False)} fail: {instruction}")
