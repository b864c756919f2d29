"""The recipes hold the paper's numbers."""

from pathlib import Path

import pytest

pytest.importorskip("yaml")

import yaml

from autoif_assets import recipes
from autoif_assets.recipes.trl_train import arguments, numbers_of

FOLDER = Path(recipes.__file__).parent


@pytest.mark.parametrize("trainer", ["trl", "llamafactory"])
def test_the_recipes_hold_the_papers_numbers(trainer):
    sft, dpo = (
        yaml.safe_load((FOLDER / f"{trainer}_{stage}.yaml").read_text()) for stage in ("sft", "dpo")
    )
    assert (sft["learning_rate"], sft["lr_scheduler_type"], sft["warmup_steps"]) == (
        7e-6,
        "linear",
        20,
    )
    assert (sft["weight_decay"], sft["num_train_epochs"], sft["bf16"]) == (0.1, 3, True)
    assert (dpo["learning_rate"], dpo["lr_scheduler_type"]) == (5e-7, "cosine")
    assert dpo.get("warmup_ratio", dpo.get("warmup_steps")) == 0.1
    assert dpo["num_train_epochs"] == 2
    assert dpo.get("beta", dpo.get("pref_beta")) == 0.3
    lengths = [one.get("max_length", one.get("cutoff_len")) for one in (sft, dpo)]
    assert lengths == [8192, 4096]
    batches = [
        one.get("batch")
        or 8 * one["per_device_train_batch_size"] * one["gradient_accumulation_steps"]
        for one in (sft, dpo)
    ]
    assert batches == [128, 64]


def test_the_recipe_for_grpo_is_that_of_olmo_3():
    grpo = numbers_of("grpo")
    assert (grpo["num_generations"], grpo["batch"] // grpo["num_generations"]) == (8, 32)
    assert (grpo["learning_rate"], grpo["beta"], grpo["temperature"]) == (1e-6, 0.0, 1.0)
    assert grpo["lr_scheduler_type"] == "constant"
    assert arguments(grpo, 4)["gradient_accumulation_steps"] == 8


def test_the_batch_is_divided_over_devices():
    assert arguments(numbers_of("sft"), 8)["gradient_accumulation_steps"] == 16
    assert arguments(numbers_of("dpo", ["batch=4"]), 2)["gradient_accumulation_steps"] == 2
    assert numbers_of("sft", ["learning_rate=3e-3"])["learning_rate"] == 0.003
    with pytest.raises(SystemExit, match="does not divide"):
        arguments(numbers_of("sft"), 3)
