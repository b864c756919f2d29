"""A trainer: the user's own command, run through Dagster Pipes."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import PipesExecutionResult
from dagster._core.errors import DagsterPipesExecutionError
from pydantic import Field


class Trainer(dg.ConfigurableResource[Any]):
    """Runs the command that trains the next policy.

    Its arguments may hold ``{dataset}``, ``{previous}``, ``{output}`` and ``{stage}``; the same
    are in the environment as ``AUTOIF_TRAIN_DATASET`` and so on, and in the extras of Pipes. A
    command that speaks Dagster Pipes may log, report metrics, and name its checkpoint in the
    metadata ``checkpoint`` of its materialization; of any other the checkpoint is looked for in
    the output folder.
    """

    command: str = Field(
        default="",
        description="Command with its arguments as a shell would read them, such as "
        "`llamafactory-cli train dpo.yaml output_dir={output}`; no shell runs it.",
    )
    base_url: str | None = Field(
        default=None,
        description="Where the trained policy will be served; null: where `policy` is.",
    )

    def arguments(self, places: Mapping[str, str]) -> list[str]:
        """Return the command with the places put in.

        Raises:
            dg.Failure: There is no command.
        """
        if not self.command.strip():
            raise dg.Failure(
                "No trainer is named. Set AUTOIF_TRAINER to the command that trains, such as "
                "'python -m autoif_assets.recipes.trl_train', then materialise again."
            )
        # Split first: a folder whose name holds a space stays one argument.
        arguments = shlex.split(self.command)
        for name, place in places.items():
            arguments = [argument.replace(f"{{{name}}}", place) for argument in arguments]
        return arguments

    def train(
        self, context: dg.AssetExecutionContext, places: Mapping[str, str]
    ) -> tuple[Path, dict[str, Any]]:
        """Run the command and return the checkpoint's folder and what was reported.

        Args:
            context: The asset that trains.
            places: ``stage``, ``dataset``, ``previous`` and ``output``.

        Raises:
            dg.Failure: The command failed or left no checkpoint.
        """
        command = self.arguments(places)
        context.log.info(f"Training: {shlex.join(command)}")
        # Its output is in the run's stdout and stderr tabs while it trains; Pipes' messages are
        # in the event log.
        client = dg.PipesSubprocessClient(
            message_reader=dg.PipesTempFileMessageReader(),
            context_injector=dg.PipesTempFileContextInjector(),
        )
        try:
            done = client.run(
                context=context.op_execution_context,
                command=command,
                env={f"AUTOIF_TRAIN_{name.upper()}": place for name, place in places.items()},
                extras=dict(places),
            )
        except FileNotFoundError as error:
            raise dg.Failure(
                f"The trainer's command {command[0]!r} is not on the PATH; set AUTOIF_TRAINER."
            ) from error
        except DagsterPipesExecutionError as error:
            raise dg.Failure(
                f"{error}. The trainer's own words are in the run's stdout and stderr; the "
                f"command was: {shlex.join(command)}"
            ) from error
        reported = _reported(done.get_results(implicit_materializations=False))
        named = reported.pop("checkpoint", None)
        checkpoint = Path(str(named.value)) if named is not None else None
        return checkpoint or find_checkpoint(Path(places["output"])), reported


def _reported(results: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    one: PipesExecutionResult
    for one in results:
        if isinstance(one, dg.MaterializeResult):
            metadata |= dict(one.metadata or {})
    return metadata


def find_checkpoint(output: Path) -> Path:
    """Return the folder a trainer left its last weights in: the output or its last checkpoint.

    Raises:
        dg.Failure: There is none.
    """
    # Weights of adapters have no configuration of the model beside them.
    if (output / "config.json").exists() or (output / "adapter_config.json").exists():
        return output
    numbered = [
        (int(found.name.rpartition("-")[2]), found)
        for found in output.glob("checkpoint-*")
        if found.is_dir() and found.name.rpartition("-")[2].isdecimal()
    ]
    if numbered:
        return max(numbered)[1]
    raise dg.Failure(
        f"The trainer ended well but left no checkpoint: {output} has neither config.json nor a "
        "folder checkpoint-N. Have the command write to {output}, or report the path through "
        "Pipes as metadata `checkpoint`."
    )


def loss_curve(checkpoint: Path) -> list[tuple[int, float]]:
    """Return step and loss as Hugging Face trainers write them down beside their weights."""
    states = [
        checkpoint / "trainer_state.json",
        *checkpoint.glob("checkpoint-*/trainer_state.json"),
    ]
    state = max((one for one in states if one.exists()), key=_steps, default=None)
    if state is None:
        return []
    log = json.loads(state.read_text("utf-8")).get("log_history", [])
    return [(int(entry["step"]), float(entry["loss"])) for entry in log if "loss" in entry]


def _steps(state: Path) -> int:
    return int(json.loads(state.read_text("utf-8")).get("global_step", 0))
