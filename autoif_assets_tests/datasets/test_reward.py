"""The export for RL: prompts as six trainers read them, and what scores their answers."""

import ast
import hashlib
import json
import sys
import tomllib

import polars as pl
import pytest

from autoif_assets.datasets import REWARD
from autoif_assets.rewards import Bank, RewardDataError, Scorer
from autoif_assets_tests.datasets.frames import (
    BEFORE,
    NASTY,
    in_conversations,
    rl_prompts,
    write_reward_dataset,
)

SIDES = ("train", "eval")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "reward"
    write_reward_dataset(rl_prompts(), folder, 0.3, 0)
    return folder


def read(folder, name):
    """Rows of both sides by split."""
    found = {}
    for side in SIDES:
        paths = list((folder / name).glob(f"{side}.*"))
        (path,) = paths
        if path.suffix == ".parquet":
            found[side] = pl.read_parquet(path).to_dicts()
        else:
            found[side] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return found


def both(folder, name):
    return [row for rows in read(folder, name).values() for row in rows]


def user(text):
    return [{"role": "user", "content": f"{text}?"}]


def test_trl_rows_have_what_the_reward_function_takes(folder):
    rows = both(folder, "trl")
    assert {row["query"] for row in rows} == set(NASTY)
    assert all(row["prompt"] == user(row["query"]) for row in rows)
    assert all(len(row["instruction_ids"]) == len(row["base_rates"]) == 1 for row in rows)
    assert all(0 < row["pass_rate"] < 1 for row in rows)


def test_verl_rows_are_what_its_reward_manager_hands_on(folder):
    for side, rows in read(folder, "verl").items():
        for row in rows:
            assert list(row) == [
                *("data_source", "prompt", "ability", "reward_model", "extra_info", "metadata")
            ]
            truth = json.loads(row["reward_model"]["ground_truth"])
            assert set(truth) == {"instruction_ids", "query", "pass_rate"}
            assert row["prompt"] == user(truth["query"])
            assert row["reward_model"]["style"] == "rule"
            assert row["extra_info"]["split"] == side
            assert row["extra_info"]["index"] == int(row["extra_info"]["prompt_id"][:15], 16)


def test_openrlhf_and_open_instruct_rows_hold_the_truth_as_text(folder):
    for row in both(folder, "openrlhf"):
        assert row["input"] == user(json.loads(row["label"])["query"])
    for row in both(folder, "open_instruct"):
        (truth,) = row["ground_truth"]
        assert row["messages"] == user(json.loads(truth)["query"])
        assert row["dataset"] == ["autoif"]


def test_nemo_gym_rows_and_fixtures(folder):
    for row in both(folder, "nemo_gym"):
        assert row["responses_create_params"] == {"input": user(row["verifier_metadata"]["query"])}
        assert row["agent_ref"]["type"] == "responses_api_agents"
    fixtures = [json.loads(line) for line in (folder / "nemo_gym/fixtures.jsonl").open()]
    assert len(fixtures) == 8
    assert [one["kind"] for one in fixtures] == ["full_reward"] * 4 + ["zero_reward"] * 4
    assert fixtures[4]["request"]["verifier_metadata"] == {"instruction_ids": ["i0"], "query": "q"}


def test_the_package_holds_its_own_data(folder):
    package = folder / "verifiers"
    project = tomllib.loads((package / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["autoif_reward"]
    code = ast.parse((package / "autoif_reward/__init__.py").read_text())
    assert any(
        isinstance(node, ast.ClassDef) and node.name == "AutoifTaskset" for node in code.body
    )
    assert Bank.read(package / "autoif_reward").sha256 == Bank.read(folder).sha256
    rows = both(folder, "verifiers/autoif_reward")
    assert all(row["prompt"] == user(row["query"]) for row in rows)


def test_the_card_names_the_verifiers_and_another_file_is_refused(tmp_path):
    write_reward_dataset(rl_prompts(), tmp_path / "reward", 0.3, 0)
    folder = tmp_path / "reward"
    file = folder / "verifiers.jsonl"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    card = (folder / "README.md").read_text("utf-8")
    assert f"\nverifiers_sha256: {digest}\n" in card.split("---")[1]
    assert f"`{digest}`" in card
    file.write_bytes(file.read_bytes().replace(b"isupper", b"islower"))
    with pytest.raises(RewardDataError, match="another file"):
        Bank.read(folder)


def test_all_files_are_those_that_the_next_export_may_replace(tmp_path):
    folder = tmp_path / "reward"
    write_reward_dataset(rl_prompts(), folder, 0.3, 0)
    first = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert set(REWARD.extras) <= set(first)
    write_reward_dataset(rl_prompts()[::-1], folder, 0.3, 0)
    again = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert again == first


def test_conversations_come_before_the_prompt(tmp_path):
    write_reward_dataset(in_conversations(rl_prompts()), tmp_path / "reward", 0.3, 0)
    prompts = [row["prompt"] for row in both(tmp_path / "reward", "trl")]
    assert any(prompt[:-1] == BEFORE for prompt in prompts)


def test_rejected_prompts_stay_away(tmp_path):
    table = rl_prompts().with_columns(
        status=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("rejected")).otherwise("status")
    )
    write_reward_dataset(table, tmp_path / "reward", 0.3, 0)
    assert len(both(tmp_path / "reward", "trl")) == len(NASTY) - 3


@pytest.mark.parametrize("name", ["trl", "verl", "openrlhf", "open_instruct", "nemo_gym"])
@pytest.mark.slow
def test_the_datasets_library_loads_every_format(folder, name, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    for side, rows in read(folder, name).items():
        (path,) = (folder / name).glob(f"{side}.*")
        kind = "parquet" if path.suffix == ".parquet" else "json"
        loaded = datasets.load_dataset(
            kind, data_files={side: str(path)}, split=side, cache_dir=str(tmp_path)
        )
        assert loaded.num_rows == len(rows)
        assert [loaded[i] for i in range(len(rows))] == rows


@pytest.mark.slow
def test_the_datasets_library_loads_the_folder(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path))
    assert {side: loaded[side].num_rows for side in loaded} == {
        side: len(rows) for side, rows in read(folder, "trl").items()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
def test_exported_fixtures_are_rewarded_as_they_expect(folder):
    fixtures = [json.loads(line) for line in (folder / "nemo_gym/fixtures.jsonl").open()]
    with Scorer(folder, workers=1) as scorer:
        for one in fixtures:
            (content,) = one["request"]["response"]["output"][0]["content"]
            asked = {**one["request"]["verifier_metadata"], "response": content["text"]}
            assert scorer.score([asked])[0]["reward"] == one["expected_reward"]
