"""Runs the online loop's jobs in the test's process."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dagster as dg

from autoif_assets.assets import ASSETS
from autoif_assets.automation.jobs import ONLINE_JOB, TRAINING_JOB
from autoif_assets.resources import (
    NLI,
    BatchResource,
    BudgetResource,
    RecipeResource,
    RoleEndpoint,
    SandboxResource,
    Supervision,
    Trainer,
    WarehouseIOManager,
    WarehouseResource,
)

from .pipeline import SMALL

TRAINER = Path(__file__).with_name("stand_in_trainer.py")


def command(*arguments: str) -> str:
    """Return the command line of the stand-in trainer."""
    return " ".join([sys.executable, str(TRAINER), *arguments])


def run_job(
    data: Path,
    base_url: str,
    job: str,
    partition: Any,
    *,
    model: str = "autoif-simulator",
    trainer: str = "",
    training: dict[str, Any] | None = None,
    overrides: dict[str, Any] | None = None,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """Run the job ``online`` of a batch and policy, or ``training`` of a policy."""
    warehouse = WarehouseResource(data_dir=str(data))
    supervision = Supervision(
        warehouse=warehouse, budget=BudgetResource(), base_url=base_url, model=model
    )
    role, nli = RoleEndpoint(supervision=supervision), NLI(supervision=supervision)
    recipe = RecipeResource.configure_at_launch(overrides=SMALL)
    defs = dg.Definitions(
        assets=ASSETS,
        jobs=[ONLINE_JOB, TRAINING_JOB],
        resources={
            "warehouse": warehouse,
            "io_manager": WarehouseIOManager(warehouse=warehouse),
            "recipe": recipe,
            "batch": BatchResource(
                warehouse=warehouse,
                recipe=recipe,
                supervision=supervision,
                responder=role,
                judge=role,
                auditor=role,
                nli=nli,
            ),
            "sandbox": SandboxResource(),
            "supervision": supervision,
            "policy": role,
            "trainer": Trainer(command=trainer),
            # Of assets that these jobs leave out.
            "inputs": dg.ResourceDefinition.none_resource(),
            **dict.fromkeys(("responder", "judge", "auditor"), role),
            "nli": nli,
        },
    )
    keys = partition.keys_by_dimension if isinstance(partition, dg.MultiPartitionKey) else {}
    own = dg.DagsterInstance.ephemeral() if instance is None else nullcontext(instance)
    with own as instance:
        instance.add_dynamic_partitions("batch", [keys.get("batch", "b1")])
        instance.add_dynamic_partitions("policy", [keys.get("policy", partition)])
        return defs.resolve_job_def(job).execute_in_process(
            partition_key=partition,
            instance=instance,
            raise_on_error=False,
            run_config={
                "resources": {"recipe": {"config": {"overrides": SMALL | (overrides or {})}}},
                "ops": {"policy_checkpoint": {"config": training}} if training else {},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )


def round_of(policy: str, batch: str = "b1") -> dg.MultiPartitionKey:
    return dg.MultiPartitionKey({"batch": batch, "policy": policy})
