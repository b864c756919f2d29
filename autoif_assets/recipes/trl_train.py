"""Trains a policy with TRL: `python -m autoif_assets.recipes.trl_train [NAME=VALUE ...]`.

The command of the trainer of ``policy_checkpoint``, alone or under `accelerate launch`. Numbers
are those of `trl_sft.yaml`, `trl_dpo.yaml` and `trl_grpo.yaml`; ``NAME=VALUE`` replaces some.
What is trained on what comes from the environment: ``AUTOIF_TRAIN_STAGE`` (sft, dpo or grpo),
``_DATASET``, ``_PREVIOUS`` and ``_OUTPUT``. GRPO is rewarded by the verifiers of the dataset, or by
the server whose URL is in ``AUTOIF_REWARD_DATA``. It speaks Dagster Pipes: losses appear in the
run as they come.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml


def numbers_of(stage: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the recipe's numbers of ``sft``, ``dpo`` or ``grpo`` with some replaced."""
    numbers: dict[str, Any] = yaml.safe_load(
        (Path(__file__).parent / f"trl_{stage}.yaml").read_text("utf-8")
    )
    for override in overrides:
        name, sign, value = override.partition("=")
        if not sign:
            raise SystemExit(f"{override!r} is not of the form NAME=VALUE.")
        numbers[name] = yaml.safe_load(value)
        if isinstance(numbers[name], str):
            # YAML takes 3e-3, without a point, for a text.
            with suppress(ValueError):
                numbers[name] = float(value)
    return numbers


def arguments(numbers: dict[str, Any], devices: int) -> dict[str, Any]:
    """Return the trainer's arguments: the batch divided over devices and accumulation."""
    at_once = numbers["per_device_train_batch_size"] * devices
    batch = numbers.pop("batch")
    if batch % at_once:
        raise SystemExit(
            f"A batch of {batch} does not divide by {devices} devices x "
            f"{numbers['per_device_train_batch_size']}: set batch or per_device_train_batch_size."
        )
    return {**numbers, "gradient_accumulation_steps": batch // at_once}


def place(name: str) -> str:
    """Return what the asset says of ``STAGE``, ``DATASET``, ``PREVIOUS`` or ``OUTPUT``."""
    return os.environ[f"AUTOIF_TRAIN_{name}"]


def train(overrides: Sequence[str], say: Any) -> None:
    """Train and save to the output folder; ``say`` is told each step's numbers."""
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    stage, dataset, previous, output = map(place, ("STAGE", "DATASET", "PREVIOUS", "OUTPUT"))
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = arguments(numbers_of(stage, overrides), devices)
    # The exports that TRL reads as they are.
    file, kind = {
        "sft": ("messages/train.jsonl", "json"),
        "dpo": ("trl/train.jsonl", "json"),
        "grpo": ("trl/train.parquet", "parquet"),
    }[stage]
    rows = load_dataset(kind, data_files=f"{dataset}/{file}", split="train")
    rewarded: dict[str, Any] = {}
    if stage == "sft":
        # The loss is on the response alone.
        rows = rows.map(
            lambda row: {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]},
            remove_columns=["messages"],
        )
    elif stage == "grpo":
        from autoif_assets.rewards.adapters.trl import reward_function

        by = os.environ.get("AUTOIF_REWARD_DATA", dataset)
        rewarded = {"reward_funcs": reward_function(by)}

    class Report(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if state.is_world_process_zero:
                say(f"step {state.global_step}/{state.max_steps}: {logs}")

    config, trainer = {
        "sft": (SFTConfig, SFTTrainer),
        "dpo": (DPOConfig, DPOTrainer),
        "grpo": (GRPOConfig, GRPOTrainer),
    }[stage]
    made = trainer(
        model=AutoModelForCausalLM.from_pretrained(previous),
        args=config(output_dir=output, report_to="none", **chosen),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(previous),
        callbacks=[Report()],
        **rewarded,
    )
    made.train()
    made.save_model(output)
    made.save_state()


def main() -> None:
    """Train, reporting to Dagster where it started this."""
    # Of several processes only the first reports, so that the run shows each loss once.
    if "DAGSTER_PIPES_CONTEXT" not in os.environ or os.environ.get("RANK", "0") != "0":
        train(sys.argv[1:], print)
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        train(sys.argv[1:], pipes.log.info)
        pipes.report_asset_materialization(metadata={"checkpoint": place("OUTPUT")})


if __name__ == "__main__":
    main()
