"""Runs the whole pipeline in the test's process, on a data folder and a simulator of its own."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from autoif_assets.assets import ASSETS
from autoif_assets.resources import (
    NLI,
    BatchResource,
    BudgetResource,
    Inputs,
    RecipeResource,
    RoleEndpoint,
    SandboxResource,
    Supervision,
    Trainer,
    WarehouseIOManager,
    WarehouseResource,
)
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import TABLES, Warehouse, polars_schema
from autoif_assets_tests.remembering import remembering
from autoif_assets_tests.simulator.models import MILD

SMALL: dict[str, Any] = {
    "instructions_per_batch": 8,
    "seeds_per_batch": 16,
    "verifiers_per_instruction": 6,
    "queries_per_instruction": 2,
    "responses_per_prompt": 4,
    "near_misses_per_prompt": 4,
    "further_responses_per_prompt": 6,
    "score_failing": True,
}

KEY = "sk-of-the-test"

# Enough goes wrong, so that each gate has something to reject in a small batch.
FLAWED = SimulatorSettings(
    **MILD | {"wrong_verifier_rate": 0.15, "wrong_case_rate": 0.2, "misread_rate": 0.15},
    api_key=KEY,
)

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

# What a call cost differs between two runs; what was asked and answered must not.
COST = (
    *("attempts", "latency_s", "queue_wait_s", "cost", "cached_tokens"),
    *("started_at", "finished_at", "base_url"),
    # What a batch is pinned to tells when, and at which port.
    *("created_at", "roles"),
)


def run_batch(
    data: Path,
    base_url: str,
    batch: str = "b1",
    *,
    recipe: str = "paper",
    overrides: dict[str, Any] | None = None,
    others: Iterable[str] = (),
    inputs: Inputs | None = None,
    model: str = "autoif-simulator",
    only: str | None = None,
    upto: str | None = None,
    resources: dict[str, dict[str, Any]] | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialise one batch.

    Args:
        data: The data folder.
        base_url: URL of the simulator.
        batch: Key of the batch.
        recipe: Name of the recipe.
        overrides: Numbers that replace the recipe's, on top of ``SMALL``.
        others: Batches that Dagster knows besides, as if it had made them before.
        inputs: The user's files.
        model: Name of the served model.
        only: The one asset to materialise; all if None.
        upto: The asset to materialise with all that lies upstream of it.
        resources: What the run's configuration says of resources, by their names.
    """
    job = batch_job(data, base_url, recipe, inputs, model)
    selected = [only] if only else _upstream(upto) if upto else []
    given = {"recipe": {"overrides": SMALL | overrides}} if overrides else {}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("batch", [*others, batch])
        return job.execute_in_process(
            partition_key=batch,
            instance=instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(name) for name in selected] or None,
            run_config={
                "resources": {n: {"config": c} for n, c in {**given, **(resources or {})}.items()}
            }
            | QUIET,
        )


def _upstream(asset: str) -> list[str]:
    keys = dg.AssetSelection.assets(asset).upstream().resolve(ASSETS)
    return [key.to_user_string() for key in keys]


def batch_job(
    data: Path,
    base_url: str,
    recipe: str = "paper",
    inputs: Inputs | None = None,
    model: str = "autoif-simulator",
    assets: Sequence[dg.AssetsDefinition | dg.AssetSpec] = ASSETS,
) -> dg.JobDefinition:
    """Return the job that makes a batch; arguments as for ``run_batch``."""
    warehouse = WarehouseResource.configure_at_launch(data_dir=str(data))
    budget = BudgetResource.configure_at_launch()
    supervision = Supervision.configure_at_launch(
        warehouse=warehouse, budget=budget, base_url=base_url, model=model
    )
    roles = {
        role: RoleEndpoint.configure_at_launch(supervision=supervision)
        for role in ("responder", "judge", "auditor", "policy")
    }
    nli = NLI.configure_at_launch(supervision=supervision)
    numbers = RecipeResource.configure_at_launch(name=recipe, overrides=SMALL)
    return dg.Definitions(
        assets=assets,
        jobs=[
            dg.define_asset_job(
                "batch", dg.AssetSelection.all() - dg.AssetSelection.groups("online")
            )
        ],
        resources={
            "warehouse": warehouse,
            "io_manager": WarehouseIOManager.configure_at_launch(warehouse=warehouse),
            "inputs": inputs or Inputs(),
            "recipe": numbers,
            "batch": BatchResource.configure_at_launch(
                warehouse=warehouse,
                recipe=numbers,
                supervision=supervision,
                responder=roles["responder"],
                judge=roles["judge"],
                auditor=roles["auditor"],
                nli=nli,
            ),
            "sandbox": SandboxResource(workers=1),
            "budget": budget,
            "supervision": supervision,
            **roles,
            "trainer": Trainer(),
            "nli": nli,
        },
    ).resolve_job_def("batch")


def tables(data: Path, *, cost: bool = False) -> dict[str, pl.DataFrame]:
    """Return every table; without what the calls cost unless asked for."""
    warehouse = Warehouse(data)
    return {
        name: warehouse.read(
            name, columns=[c for c in polars_schema(table) if cost or c not in COST]
        )
        for name, table in TABLES.items()
    }


def differing(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> list[str]:
    """Return the names of tables that are not equal, row by row."""
    return [name for name in TABLES if not one[name].equals(other[name])]


def exports(data: Path) -> dict[str, bytes]:
    """Return every exported file by its path; not the report, which tells times."""
    folder = data / "exports"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "report.html" and not path.name.startswith(".")
    }


def exported(data: Path, kind: str) -> pl.DataFrame:
    """Return the Parquet rows of an export with the ``split`` they are in."""
    return pl.concat(
        pl.read_parquet(data / "exports" / kind / "parquet" / f"{split}.parquet").with_columns(
            split=pl.lit(split)
        )
        for split in ("train", "eval")
    )


def accepted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the accepted rows, status and all."""
    return frame.filter(pl.col("status") == "accepted")


@dataclass
class Batch:
    """A batch that was made, and the simulator that made it, which still runs."""

    data: Path
    simulator: Simulator
    result: dg.ExecuteInProcessResult
    requests: int

    def requested(self) -> int:
        """Return how many completion requests the simulator ever got."""
        return int(self.simulator.stats()["received"])


@contextmanager
def making(data: Path) -> Iterator[Batch]:
    """Make the batch ``b1`` of a flawed model; its simulator runs as long as the context lasts."""
    with Simulator(FLAWED) as simulator:
        with pytest.MonkeyPatch.context() as environment, remembering():
            environment.setenv("AUTOIF_API_KEY", KEY)
            result = run_batch(data, simulator.base_url)
        assert result.success
        yield Batch(data, simulator, result, simulator.stats()["received"])
