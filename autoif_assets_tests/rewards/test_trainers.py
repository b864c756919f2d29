"""The trainers themselves take rewards: each test is skipped where its library is absent."""

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from autoif_assets.rewards import Scorer
from autoif_assets.rewards.adapters import common
from autoif_assets_tests.rewards.data import line
from autoif_assets_tests.rewards.serving import running

pytestmark = pytest.mark.trainers

# On the texts of a model of random weights: one is a coin, and one often says nothing.
COIN = "def evaluate(response):\n    return sum(map(ord, response)) % 2 == 0"
MUTE = (
    "def evaluate(response):\n"
    "    if sum(map(ord, response)) % 3 == 0:\n"
    "        raise ValueError\n"
    "    return len(set(response)) % 2 == 0"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    lines = [line("coin", [COIN]), line("mute", [MUTE])]
    (folder / "verifiers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


@pytest.fixture(autouse=True)
def of_this_test():
    """Leave no scorer to the next."""
    yield
    common._scorer.cache_clear()


@pytest.mark.parametrize("through", ["function", "server"])
def test_trl_takes_two_steps_with_nones_among_the_rewards(folder, through, tmp_path):
    pytest.importorskip("trl")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    from autoif_assets.recipes.tiny_model import make_tiny_model
    from autoif_assets.rewards.adapters.trl import reward_function

    make_tiny_model(tmp_path / "tiny")
    rows = Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": f"Why {number}?"}],
                "instruction_ids": ["coin"] if number % 2 else ["mute"],
                "query": f"Why {number}?",
            }
            for number in range(8)
        ]
    )
    with ExitStack() as stack:
        data = folder
        if through == "server":
            data = stack.enter_context(running(stack.enter_context(Scorer(folder, workers=1))))
        seen = []
        scored = reward_function(data)

        async def follows(*arguments, **columns):
            made = await scored(*arguments, **columns)
            seen.extend(made)
            return made

        model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
        before = [one.clone() for one in model.parameters()]
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=follows,
            args=GRPOConfig(
                output_dir=str(tmp_path / "out"),
                max_steps=2,
                per_device_train_batch_size=16,
                num_generations=8,
                max_completion_length=8,
                use_cpu=True,
                bf16=False,
                report_to="none",
                logging_steps=1,
                learning_rate=1e-3,
                save_strategy="no",
            ),
            train_dataset=rows,
            processing_class=AutoTokenizer.from_pretrained(tmp_path / "tiny"),
        )
        trainer.train()
    assert trainer.state.global_step == 2
    assert len(seen) == 32
    assert {None, 0.0, 1.0} == set(seen)
    logs = [one for one in trainer.state.log_history if "rewards/follows/mean" in one]
    assert len(logs) == 2
    assert all(0 < one["rewards/follows/mean"] < 1 for one in logs)
    assert all(0 < one["autoif/no_verdict"] < 1 for one in logs)
    # None is no NaN in the weights.
    after = list(model.parameters())
    assert all(one.isfinite().all() for one in after)
    assert any(not one.equal(other) for one, other in zip(before, after, strict=True))


def test_verl_s_naive_reward_manager_scores_through_compute_score(folder):
    pytest.importorskip("verl")
    import numpy as np
    import torch
    from omegaconf import OmegaConf
    from verl import DataProto
    from verl.trainer.ppo.reward import load_reward_manager

    class Bytes:
        def decode(self, ids, skip_special_tokens):
            return bytes(int(one) for one in ids).decode()

    config = OmegaConf.create(
        {
            "reward": {
                "custom_reward_function": {
                    "path": "pkg://autoif_assets.rewards.adapters.verl",
                    "name": "compute_score",
                    "reward_kwargs": {"data": str(folder)},
                },
                "reward_manager": {"source": "register", "name": "naive"},
            }
        }
    )

    async def score(text):
        manager = load_reward_manager(config, Bytes())
        truth = {"instruction_ids": ["coin"], "query": "Why?", "pass_rate": 0.5}
        row = DataProto.from_dict(
            tensors={
                "responses": torch.tensor([list(text.encode())]),
                "attention_mask": torch.ones((1, len(text)), dtype=torch.long),
            },
            non_tensors={
                "data_source": np.array(["autoif"], dtype=object),
                "reward_model": np.array([{"ground_truth": json.dumps(truth)}], dtype=object),
                "extra_info": np.array([{"index": 1}], dtype=object),
            },
        )
        return await manager.run_single(row)

    even, odd = (asyncio.run(score(text)) for text in ("bb", "ab"))
    assert (even["reward_score"], odd["reward_score"]) == (1.0, 0.0)
    assert even["reward_extra_info"] == {"score": 1.0, "no_verdict": 0.0}


def test_vf_eval_runs_the_package_of_an_export(tmp_path):
    # Its environment is another one: it wants an older openai than we do.
    program = os.environ.get("AUTOIF_VF_EVAL") or shutil.which("vf-eval")
    if program is None:
        pytest.skip("there is no vf-eval on the PATH, and AUTOIF_VF_EVAL names none")
    pytest.importorskip("polars")
    from autoif_assets.simulator import Simulator
    from autoif_assets_tests.datasets.frames import EVEN, rl_prompts, write_reward_dataset

    write_reward_dataset(rl_prompts(), tmp_path / "reward", 0.3, 0, source=EVEN)
    root = Path(__file__).resolve().parents[2]
    with Simulator() as simulator:
        subprocess.run(
            [
                *(program, "autoif-reward", "-m", "autoif-simulator", "-n", "3", "-r", "4"),
                *("--client.base-url", simulator.base_url, "--client.api-key-var", "ANY_KEY"),
                *("--env.agent.harness.id", "null", "--env.agent.runtime.type", "subprocess"),
                *("--no-push", "--output-dir", str(tmp_path / "out")),
            ],
            env={
                **os.environ,
                "ANY_KEY": "x",
                "PYTHONPATH": os.pathsep.join([str(tmp_path / "reward" / "verifiers"), str(root)]),
            },
            cwd=tmp_path,
            check=True,
            timeout=600,
        )
    (file,) = (tmp_path / "out").rglob("traces.jsonl")
    episodes = [json.loads(one) for one in file.read_text().splitlines()]
    assert len(episodes) == 12
    assert all(episode["ok"] for episode in episodes)
    rewards = [trace["rewards"]["follows"] for episode in episodes for trace in episode["traces"]]
    scores = [one["score"] if isinstance(one, dict) else one for one in rewards]
    assert set(scores) <= {0.0, 1.0}
    assert len(scores) == 12


def test_skyrl_makes_the_environment_by_its_name(folder, monkeypatch):
    skyrl_gym = pytest.importorskip("skyrl_gym")
    from autoif_assets.rewards.adapters.skyrl import register_autoif

    monkeypatch.setenv(common.DATA, str(folder))
    register_autoif()
    truth = json.dumps({"instruction_ids": ["coin"], "query": "Why?", "pass_rate": 0.5})
    env = skyrl_gym.make("autoif", env_config={}, extras={"reward_spec": {"ground_truth": truth}})
    env.init([{"role": "user", "content": "Why?"}])
    assert env.step("bb")["reward"] == 1.0


def test_ms_swift_has_the_plugin_among_its_rewards(folder, monkeypatch):
    pytest.importorskip("swift")
    from swift.rewards import orms

    import autoif_assets.rewards.adapters.ms_swift  # noqa: F401

    monkeypatch.setenv(common.DATA, str(folder))
    made = asyncio.run(
        orms["autoif"](args=None)(completions=["bb", "ab"], instruction_ids=[["coin"]] * 2)
    )
    assert made == [1.0, 0.0]


def test_open_instruct_builds_the_verifier(folder, monkeypatch):
    pytest.importorskip("open_instruct")
    from autoif_assets.rewards.adapters.open_instruct import AutoifVerifier

    monkeypatch.setenv(common.DATA, str(folder))
    truth = json.dumps({"instruction_ids": ["coin"], "query": "Why?", "pass_rate": 0.5})
    assert AutoifVerifier(None)([], "bb", truth).score == 1.0


def test_openrlhf_takes_the_file(folder, monkeypatch):
    torch = pytest.importorskip("torch")
    import importlib.util

    monkeypatch.setenv(common.DATA, str(folder))
    # As SingleTurnAgentExecutor of OpenRLHF 0.11.2 does.
    found = importlib.util.find_spec("autoif_assets.rewards.adapters.openrlhf")
    spec = importlib.util.spec_from_file_location("reward_func", found.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    truth = json.dumps({"instruction_ids": ["coin"], "query": "Why?", "pass_rate": 0.5})
    answer = module.reward_func(["Why?bb"], ["Why?"], [truth])
    assert torch.tensor([answer["rewards"]]).tolist() == [1.0]
