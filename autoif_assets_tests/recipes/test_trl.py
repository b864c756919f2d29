"""TRL trains on the exported files; the trained model can be served."""

import os
import subprocess
import sys

import pytest

from autoif_assets_tests.datasets.frames import (
    EVEN,
    kto_examples,
    preference_pairs,
    rl_prompts,
    sft_examples,
    write_kto_dataset,
    write_preference_dataset,
    write_reward_dataset,
    write_sft_dataset,
)

pytestmark = pytest.mark.trainers

QUICK = (
    *("max_steps=2", "batch=2", "per_device_train_batch_size=2", "bf16=false", "use_cpu=true"),
    *("gradient_checkpointing=false", "max_length=256"),
)


# What trains on a batch of prompts samples completions itself.
SAMPLING = (
    "batch=8",
    "num_generations=8",
    "per_device_train_batch_size=8",
    "max_completion_length=8",
)


@pytest.mark.parametrize("stage", ["sft", "dpo", "grpo"])
def test_two_steps_on_a_tiny_model(tmp_path, stage):
    from transformers import AutoModelForCausalLM

    from autoif_assets.recipes.tiny_model import make_tiny_model
    from autoif_assets.resources.trainer import find_checkpoint, loss_curve
    from autoif_assets.serving.checkpoint import Model

    make_tiny_model(tmp_path / "tiny")
    if stage == "sft":
        write_sft_dataset(sft_examples(), tmp_path / "data", 0.3, 0)
    elif stage == "grpo":
        write_reward_dataset(rl_prompts(), tmp_path / "data", 0.3, 0, source=EVEN)
    else:
        write_preference_dataset(preference_pairs(), tmp_path / "data", 0.3, 0)
    quick = QUICK
    if stage == "grpo":
        quick = (*(one for one in QUICK if not one.startswith("max_length")), *SAMPLING)
    places = {"DATASET": "data", "PREVIOUS": "tiny", "OUTPUT": "out"}
    environment = {f"AUTOIF_TRAIN_{name}": str(tmp_path / at) for name, at in places.items()}
    subprocess.run(
        [sys.executable, "-m", "autoif_assets.recipes.trl_train", *quick],
        env={**os.environ, **environment, "AUTOIF_TRAIN_STAGE": stage},
        check=True,
        timeout=300,
    )
    checkpoint = find_checkpoint(tmp_path / "out")
    assert [step for step, _ in loss_curve(checkpoint)] == [1, 2]
    before, after = (
        AutoModelForCausalLM.from_pretrained(at) for at in (tmp_path / "tiny", checkpoint)
    )
    changed = [
        not one.equal(other)
        for one, other in zip(before.parameters(), after.parameters(), strict=True)
    ]
    assert any(changed)
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 2, "max_tokens": 8}
    reply = Model(checkpoint).answer({**body, "temperature": 0.8, "seed": 1})
    assert len(reply["choices"]) == 2
    assert reply == {
        **Model(checkpoint).answer({**body, "temperature": 0.8, "seed": 1}),
        "id": reply["id"],
        "created": reply["created"],
    }


def test_two_steps_of_kto_on_the_exported_file(tmp_path):
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import KTOConfig, KTOTrainer

    from autoif_assets.recipes.tiny_model import make_tiny_model

    make_tiny_model(tmp_path / "tiny")
    write_kto_dataset(kto_examples(), tmp_path / "data", 0.3, 0)
    file = str(tmp_path / "data" / "trl" / "train.jsonl")
    trainer = KTOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tmp_path / "tiny"),
        args=KTOConfig(
            output_dir=str(tmp_path / "out"),
            report_to="none",
            max_steps=2,
            per_device_train_batch_size=2,
            max_length=256,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
        ),
        train_dataset=load_dataset("json", data_files=file, split="train"),
        processing_class=AutoTokenizer.from_pretrained(tmp_path / "tiny"),
    )
    assert trainer.train().global_step == 2
