"""The online loop on one batch: policies of the simulator and a stand-in trainer."""

import json
import shutil
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from autoif_assets.assets.sides import read_sides
from autoif_assets.resources import RecipeResource
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.warehouse import Policy, Warehouse, known_policies, register_policy
from autoif_assets_tests.simulator.models import MILD

from .pipeline import KEY, differing, exported, tables
from .rounds import command, round_of, run_job

# Much is held out of a small batch, and many responses break their constraint.
NUMBERS = {"eval_share": 0.3, "policy_responses_per_prompt": 6, "bootstrap_samples": 200}


@pytest.fixture(scope="module")
def looped(made, tmp_path_factory):
    """The batch ``b1`` with two policies, of which the second breaks fewer constraints."""
    data = tmp_path_factory.mktemp("looped") / "data"
    shutil.copytree(made.data, data)
    warehouse = Warehouse(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOIF_API_KEY", KEY)
        for name, rate in (("sft-0", 0.6), ("dpo-1", 0.1)):
            settings = SimulatorSettings(**MILD, model="policy", violation_rate=rate)
            with Simulator(settings) as simulator:
                register_policy(warehouse, Policy(name, "policy", simulator.base_url))
                result = run_job(
                    data, made.simulator.base_url, "online", round_of(name), overrides=NUMBERS
                )
                assert result.success
                assert all(one.passed for one in result.get_asset_check_evaluations())
    return data, result


def test_each_policy_has_its_own_rows(looped):
    found = tables(looped[0])
    for name in ("policy_responses", "policy_verdicts", "policy_scorecard"):
        assert set(found[name]["policy"]) == {"sft-0", "dpo-1"}, name
    calls = found["llm_calls"].filter(pl.col("asset").str.starts_with("policy_responses"))
    assert set(calls["asset"]) == {"policy_responses/sft-0", "policy_responses/dpo-1"}
    assert set(calls["batch"]) == {"b1"}
    request = json.loads(calls["request"][0])
    assert request["temperature"] == 0.8
    assert request["n"] == 6


def test_pairs_are_the_policys_own_and_of_the_train_side(looped):
    found = tables(looped[0])
    pairs = found["online_preference_pairs"].filter(pl.col("policy") == "sft-0")
    assert pairs.height
    own = found["policy_responses"].filter(pl.col("policy") == "sft-0")
    texts = dict(own.select("response_id", "response").iter_rows())
    assert [texts[one] for one in pairs["chosen_id"]] == pairs["chosen"].to_list()
    assert [texts[one] for one in pairs["rejected_id"]] == pairs["rejected"].to_list()
    assert pairs["chosen_pass_rate"].min() > 0.5
    assert pairs["rejected_pass_rate"].max() == 0
    held_out = set(own.filter(pl.col("split") == "eval")["instruction_id"])
    assert held_out
    assert not held_out & set(pairs["instruction_id"])


def test_what_the_scorecard_holds_out_the_exports_hold_out(made):
    sides, _ = read_sides(Warehouse(made.data), RecipeResource().load())
    for kind in ("sft", "preference", "kto"):
        rows = exported(made.data, kind)
        assert sides.of(rows).to_list() == rows["split"].to_list()


def test_the_scorecard_compares_policies_in_one_query(looped):
    data, result = looped
    rows = Warehouse(data).query(
        "SELECT policy, pass_at_1, pass_at_1_low AS low, pass_at_1_high AS high, pass_at_k, k"
        " FROM autoif.policy_scorecard JOIN autoif.policies USING (policy)"
        " WHERE category = 'all' ORDER BY created_at"
    )
    assert rows["policy"].to_list() == ["sft-0", "dpo-1"]
    first, second = rows["pass_at_1"]
    assert first < second
    assert rows.select(
        ((pl.col("low") <= pl.col("pass_at_1")) & (pl.col("pass_at_1") <= pl.col("high"))).all()
    ).item()
    assert (rows["pass_at_k"] >= rows["pass_at_1"]).all()
    assert set(rows["k"]) == {6}
    (event,) = result.asset_materializations_for_node("policy_scorecard")
    chart = event.metadata["chart/policies"].value
    assert chart.startswith("![pass rates of the policies](data:image/svg+xml;base64,")


def test_again_asks_for_nothing_and_changes_nothing(looped, made, monkeypatch):
    data, _ = looped
    monkeypatch.setenv("AUTOIF_API_KEY", KEY)
    before = tables(data, cost=True)
    # Nobody listens there any more.
    result = run_job(data, made.simulator.base_url, "online", round_of("dpo-1"), overrides=NUMBERS)
    assert result.success
    assert differing(before, tables(data, cost=True)) == []


def test_a_policy_nobody_registered_is_refused_with_the_next_step(made, copied):
    result = run_job(copied.data, made.simulator.base_url, "online", round_of("dpo-9"))
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "autoif policy add dpo-9" in str(failure.step_failure_data.error)


@pytest.mark.parametrize("how", ["plain", "pipes"])
def test_a_trainer_makes_the_next_policy(looped, tmp_path, made, how):
    data = tmp_path / "data"
    shutil.copytree(looped[0], data)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_job(
            data,
            made.simulator.base_url,
            "training",
            "sft-0",
            trainer=command(how, "{dataset}", "{previous}", "{output}"),
            training={"next_policy": "dpo-2", "data": "online"},
            overrides=NUMBERS,
            instance=instance,
        )
        assert result.success
        assert set(instance.get_dynamic_partitions("policy")) == {"sft-0", "dpo-2"}
        (event,) = result.asset_materializations_for_node("policy_checkpoint")
        if how == "pipes":
            assert event.metadata["reward_accuracy"].value == 0.75
            logs = [log.user_message for log in instance.all_logs(result.run_id)]
            assert any(f"training on {data}/exports/online/sft-0" in log for log in logs)
    policy = {one.policy: one for one in known_policies(Warehouse(data))}["dpo-2"]
    assert policy.parent == "sft-0"
    weights = Path(policy.checkpoint)
    assert weights.is_dir()
    assert weights.name == {"plain": "checkpoint-10", "pipes": "elsewhere"}[how]
    if how == "plain":
        seen = json.loads((weights / "seen.json").read_text())
        assert seen["previous"] == "policy"
        assert seen["stage"] == "dpo"
        assert {"trl", "ranking", "dataset_info.json"} <= set(seen["files"])
        assert event.metadata["last_loss"].value == 1.5
    lines = (data / "exports/online/sft-0/trl/train.jsonl").read_text().splitlines()
    pairs = tables(data)["online_preference_pairs"].filter(pl.col("policy") == "sft-0")
    assert len(lines) == pairs["pair_id"].n_unique()


def test_a_trainer_is_given_the_prompts_for_rl_and_their_verifiers(copied, made):
    register_policy(Warehouse(copied.data), Policy("base", "base", checkpoint="/models/base"))
    result = run_job(
        copied.data,
        made.simulator.base_url,
        "training",
        "base",
        trainer=command("plain", "{dataset}", "{previous}", "{output}"),
        training={"next_policy": "grpo-0", "data": "reward"},
    )
    assert result.success
    policy = {one.policy: one for one in known_policies(Warehouse(copied.data))}["grpo-0"]
    seen = json.loads((Path(policy.checkpoint) / "seen.json").read_text())
    assert (seen["stage"], seen["previous"]) == ("grpo", "/models/base")
    assert {"trl", "verifiers.jsonl"} <= set(seen["files"])


@pytest.mark.parametrize(
    ("trainer", "data", "words"),
    [
        (command("fail", "{dataset}", "{previous}", "{output}"), "sft", "failed with code 1"),
        (sys.executable + " -c pass", "sft", "left no checkpoint"),
        ("no-such-program", "sft", "not on the PATH"),
        ("", "sft", "AUTOIF_TRAINER"),
        ("true", "sfft", "one of sft, preference, online"),
        ("true", "online", "no rows to train on"),
    ],
)
def test_a_failed_training_registers_nothing(copied, made, trainer, data, words):
    register_policy(Warehouse(copied.data), Policy("base", "base", checkpoint="/models/base"))
    result = run_job(
        copied.data,
        made.simulator.base_url,
        "training",
        "base",
        trainer=trainer,
        training={"next_policy": "sft-0", "data": data},
    )
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert words in str(failure.step_failure_data.error)
    assert [one.policy for one in known_policies(Warehouse(copied.data))] == ["base"]


def test_self_alignment_and_strong_to_weak(copied, made, monkeypatch):
    """The same model in every role, and a policy that is another model at another host."""
    monkeypatch.setenv("AUTOIF_API_KEY", KEY)
    register_policy(Warehouse(copied.data), Policy("self", "autoif-simulator"))
    assert run_job(copied.data, made.simulator.base_url, "online", round_of("self")).success
    with Simulator(SimulatorSettings(**MILD, model="weak", seed=7)) as weak:
        elsewhere = weak.base_url.replace("127.0.0.1", "localhost")
        register_policy(Warehouse(copied.data), Policy("weak", "weak", elsewhere))
        assert run_job(copied.data, made.simulator.base_url, "online", round_of("weak")).success
    asked = Warehouse(copied.data).query(
        "SELECT asset, any_value(model) AS model, any_value(base_url) AS base_url"
        " FROM autoif.llm_calls WHERE starts_with(asset, 'policy_responses') GROUP BY ALL"
        " ORDER BY asset"
    )
    assert asked.rows() == [
        ("policy_responses/self", "autoif-simulator", made.simulator.base_url),
        ("policy_responses/weak", "weak", elsewhere),
    ]
    found = tables(copied.data)["policy_responses"]
    texts = {name: set(group["response"]) for (name,), group in found.group_by("policy")}
    assert texts["self"] != texts["weak"]
