"""What a run may spend."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from autoif_assets.endpoint import Budget, Spent, spent_by_run

_RETRY = "dagster/retry_number"


class BudgetResource(dg.ConfigurableResource[Any]):
    """What one run may spend over all its assets and models; nothing is a cap by default."""

    max_requests: int | None = Field(default=None, description="Most HTTP requests.")
    max_tokens: int | None = Field(default=None, description="Most tokens, read and written.")
    max_cost: float | None = Field(
        default=None, ge=0, description="Most money, at the prices of the endpoints."
    )

    def of_run(self, context: dg.AssetExecutionContext, journals: Path) -> Budget:
        """Return the caps beside what the journals say that this run has spent.

        A run that Dagster starts again by itself goes on with the budget of the run it replaces;
        one that a person starts again has a new one.
        """
        spent, run = Spent(), context.run
        while True:
            spent += spent_by_run(journals, run.run_id)
            if _RETRY not in run.tags or run.parent_run_id is None:
                return Budget(self.max_requests, self.max_tokens, self.max_cost, spent)
            parent = context.instance.get_run_by_id(run.parent_run_id)
            if parent is None:
                return Budget(self.max_requests, self.max_tokens, self.max_cost, spent)
            run = parent
