"""What a run may spend."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from autoif_assets.endpoint import Budget, Spent, spent_by_run

# Dagster sets it on runs that it starts again by itself, and on no others.
_RETRY = "dagster/retry_number"


class BudgetResource(dg.ConfigurableResource[Any]):
    """What one run may spend over all its assets and models; nothing is a cap by default."""

    max_requests: int | None = Field(default=None, ge=0, description="Most HTTP requests.")
    max_tokens: int | None = Field(default=None, ge=0, description="Most tokens, read and written.")
    max_cost: float | None = Field(
        default=None, ge=0, description="Most money, at the prices of the endpoints."
    )

    def of_run(self, context: dg.AssetExecutionContext, journals: Path) -> Budget:
        """Return the caps beside what the journals say that this run has spent.

        A run that Dagster starts again by itself goes on with the budget of the run it replaces;
        one that a person starts again has a new one.
        """
        spent = Spent()
        run: dg.DagsterRun | None = context.run
        while run is not None:
            spent += spent_by_run(journals, run.run_id)
            replaces = run.parent_run_id if _RETRY in run.tags else None
            # Where the record of a run was pruned, nothing tells what it replaced.
            run = None if replaces is None else context.instance.get_run_by_id(replaces)
        return Budget(self.max_requests, self.max_tokens, self.max_cost, spent)
