"""The adapters, called as their trainers call them; `test_trainers` has the trainers."""

import asyncio
import json
import sys
import types

import pytest
import requests

from autoif_assets.rewards import NoVerdict, RewardDataError, Scorer
from autoif_assets.rewards.adapters import common, trl, verl
from autoif_assets.rewards.remote import RemoteScorer, _rewards
from autoif_assets_tests.rewards.data import (
    CAPITALS,
    CRASHES,
    EXCLAIMS,
    REPEATS,
    item,
    write_verifiers,
)
from autoif_assets_tests.rewards.serving import running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")
TRUTH = {"instruction_ids": [CAPITALS], "query": "Why?", "pass_rate": 0.25}
UNDECIDED = {**TRUTH, "instruction_ids": [CRASHES]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    write_verifiers(folder)
    yield folder
    common.scorer_of(folder).close()
    common._scorer.cache_clear()


@pytest.fixture
def by_environment(folder, monkeypatch):
    monkeypatch.setenv(common.DATA, str(folder))


def chat(text):
    return [{"role": "assistant", "content": text}]


def test_trl_gets_a_reward_or_none_for_each_completion(folder):
    told, metrics = {}, {}
    made = asyncio.run(
        trl.reward_function(folder)(
            prompts=[chat("Why?")] * 4,
            completions=[chat("LOUD"), "quiet", chat("<think>x</think>LOUD!"), chat("x")],
            completion_ids=[[1]] * 4,
            instruction_ids=[[CAPITALS], [CAPITALS], [CAPITALS, EXCLAIMS], [CRASHES]],
            query=["Why?"] * 4,
            pass_rate=[0.5] * 4,
            trainer_state=None,
            log_extra=told.__setitem__,
            log_metric=metrics.__setitem__,
        )
    )
    assert made == [1.0, 0.0, 1.0, None]
    assert metrics == {"autoif/no_verdict": 0.25}
    assert told["autoif"][2] == "capitals: pass, exclaims: pass"


def test_trl_can_weigh_the_instructions_of_a_prompt(folder):
    columns = {"instruction_ids": [[CAPITALS, EXCLAIMS], [CAPITALS]], "query": None}
    first, second = (trl.reward_function(folder, place=place) for place in (0, 1))
    completions = ["LOUD", "LOUD"]
    assert asyncio.run(first(["p"] * 2, completions, **columns)) == [1.0, 1.0]
    assert asyncio.run(second(["p"] * 2, completions, **columns)) == [0.0, None]
    assert (first.__name__, second.__name__) == ("follows_instruction_0", "follows_instruction_1")


def test_trl_s_command_line_scores_by_the_environment(by_environment, monkeypatch):
    monkeypatch.setenv(common.MODE, "mean")
    rows = {"instruction_ids": [[CAPITALS, EXCLAIMS]]}
    assert asyncio.run(trl.reward(prompts=["p"], completions=["LOUD"], **rows)) == [0.5]


def test_verl_gets_a_number_in_any_case(folder):
    async def score():
        return await asyncio.gather(
            *(
                verl.compute_score(
                    data_source="autoif",
                    solution_str=text,
                    ground_truth=json.dumps(truth),
                    extra_info={"index": 1, "num_turns": 1, "rollout_reward_scores": {}},
                    data=str(folder),
                )
                for text, truth in (("LOUD", TRUTH), ("quiet", TRUTH), ("x", UNDECIDED))
            )
        )

    assert asyncio.run(score()) == [
        {"score": 1.0, "no_verdict": 0.0},
        {"score": 0.0, "no_verdict": 0.0},
        {"score": 0.25, "no_verdict": 1.0},
    ]


def load(monkeypatch, name, **modules):
    """Import an adapter where modules of its trainer are what they are given as."""
    for module, content in modules.items():
        path = module.replace("__", ".")
        stand_in = types.ModuleType(path)
        stand_in.__dict__.update(content)
        monkeypatch.setitem(sys.modules, path, stand_in)
    full = f"autoif_assets.rewards.adapters.{name}"
    monkeypatch.delitem(sys.modules, full, raising=False)
    module = __import__(full, fromlist=["x"])
    monkeypatch.delitem(sys.modules, full)
    return module


def test_openrlhf_s_file_answers_with_tensors(by_environment, monkeypatch):
    module = load(monkeypatch, "openrlhf", torch={"tensor": lambda values: ("tensor", values)})
    label = json.dumps(TRUTH)
    assert module.reward_func(["Why?LOUD<|im_end|>"], ["Why?"], [label]) == {
        "rewards": ("tensor", [1.0]),
        "scores": ("tensor", [1.0]),
        "extra_logs": {"no_verdict": ("tensor", [0.0])},
    }


def test_open_instruct_finds_a_verifier_among_its_subclasses(by_environment, monkeypatch):
    # As of open_instruct/ground_truth_utils.py, commit e6c3044.
    class VerifierFunction:
        def __init__(self, name, weight=1.0, verifier_config=None):
            self.name, self.weight, self.verifier_config = name, weight, verifier_config

    class VerificationResult:
        def __init__(self, score, cost=0.0, reasoning=None):
            self.score, self.reasoning = score, reasoning

    load(
        monkeypatch,
        "open_instruct",
        open_instruct={},
        open_instruct__ground_truth_utils={
            "VerifierFunction": VerifierFunction,
            "VerificationResult": VerificationResult,
        },
    )
    (found,) = VerifierFunction.__subclasses__()
    verifier = found(None)
    assert verifier.name == "autoif"
    asked = {"tokenized_prediction": [1], "label": json.dumps(TRUTH), "query": "Why?"}
    assert verifier(prediction="LOUD", **asked).score == 1.0
    result = asyncio.run(
        verifier.async_call(
            prediction="x", **{**asked, "label": json.dumps(UNDECIDED)}, rollout_state=None
        )
    )
    assert result.score == 0.25
    assert "no majority" in result.reasoning


def test_open_instruct_s_launcher_runs_the_module_that_it_is_told(monkeypatch):
    ran = []
    parts = {"VerifierFunction": type("F", (), {}), "VerificationResult": object}
    module = load(
        monkeypatch, "open_instruct", open_instruct={}, open_instruct__ground_truth_utils=parts
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(
        module.runpy, "run_module", lambda name, **how: ran.append((name, how, list(sys.argv)))
    )
    monkeypatch.setattr(sys, "argv", ["launcher", "open_instruct.grpo_fast", "--beta", "0"])
    module.main()
    assert ran == [
        (
            "open_instruct.grpo_fast",
            {"run_name": "__main__", "alter_sys": True},
            ["open_instruct.grpo_fast", "--beta", "0"],
        )
    ]
    monkeypatch.setattr(sys, "argv", ["launcher"])
    with pytest.raises(SystemExit, match="Name the module"):
        module.main()


def test_ms_swift_knows_the_plugin_by_its_name(by_environment, monkeypatch):
    # As of swift/rewards/orm.py of ms-swift 4.6.0.
    class AsyncORM:
        def __init__(self, args=None, **more):
            self.args = args

    orms = {}
    load(monkeypatch, "ms_swift", swift={}, swift__rewards={"AsyncORM": AsyncORM, "orms": orms})
    made = asyncio.run(
        orms["autoif"](args=None)(
            completions=["LOUD", "quiet", "x"],
            instruction_ids=[[CAPITALS], [CAPITALS], [CRASHES]],
            query=["Why?"] * 3,
            pass_rate=[0.5, 0.5, 0.25],
            solution=[None] * 3,
        )
    )
    assert made == [1.0, 0.0, 0.25]


def test_skyrl_s_episode_is_one_step(by_environment, monkeypatch):
    # As of skyrl_gym 0.4.0.
    registered = {}

    class BaseTextEnv:
        def __init__(self):
            self.turns = 0

    module = load(
        monkeypatch,
        "skyrl",
        skyrl_gym={},
        skyrl_gym__envs={},
        skyrl_gym__envs__base_text_env={"BaseTextEnv": BaseTextEnv, "BaseTextEnvStepOutput": dict},
        skyrl_gym__envs__registration={
            "register": lambda id, entry_point: registered.__setitem__(id, entry_point)
        },
    )
    module.register_autoif()
    assert registered == {"autoif": "autoif_assets.rewards.adapters.skyrl:AutoifEnv"}
    env = module.AutoifEnv({}, {"reward_spec": {"ground_truth": json.dumps(UNDECIDED)}})
    assert env.step("x") == {
        "observations": [],
        "reward": 0.25,
        "done": True,
        "metadata": {"components": {CRASHES: "none"}, "no_verdict": True},
    }


def test_it_must_be_said_what_to_score_by(monkeypatch):
    monkeypatch.delenv(common.DATA, raising=False)
    with pytest.raises(RewardDataError, match=common.DATA):
        common.scorer_of()
    with pytest.raises(RewardDataError, match="none of all"):
        common.mode_of("any")


# --- through a server -------------------------------------------------------------------------


def test_a_server_answers_as_the_scorer_beside_it(folder):
    items = [item("LOUD"), item("Why? x", REPEATS, query="Why?"), item("x", CRASHES)]
    with Scorer(folder, workers=1) as scorer, running(scorer, token="secret") as url:
        remote = RemoteScorer(url, "secret")
        assert remote.score(items) == scorer.score(items)
        made = asyncio.run(remote.ascore(items, "mean", "zero"))
        assert [one["reward"] for one in made] == [1.0, 1.0, 0.0]
        with pytest.raises(NoVerdict, match="not_bool"):
            remote.score(items, on_no_verdict="raise")
        with pytest.raises(RewardDataError, match="no instruction 'nowhere'"):
            remote.score([item("x", "nowhere")])
        with pytest.raises(RewardDataError, match="token is missing or wrong"):
            RemoteScorer(url).score(items)


@pytest.mark.parametrize("body", [b"[1]", b"null", b'"words"', b"<html>", b"[" * 200_000])
def test_what_is_no_server_of_rewards_raises_our_own_error(body):
    """Before: a list was an AttributeError."""
    answer = requests.Response()
    answer.status_code, answer._content = 200, body
    with pytest.raises(RewardDataError, match="status 200"):
        _rewards(answer)


def test_a_server_that_is_gone_for_a_while_costs_no_reward(folder, monkeypatch):
    monkeypatch.setattr("autoif_assets.rewards.remote._WAIT_S", 0.0)
    with Scorer(folder, workers=1) as scorer:
        with running(scorer) as url:
            remote = RemoteScorer(url)
            assert remote.score([item("LOUD")])[0]["reward"] == 1.0
        with pytest.raises(ConnectionError, match="autoif rewards serve"):
            remote.score([item("LOUD")])
        with running(scorer, port=int(url.rsplit(":", 1)[1])):
            assert remote.score([item("LOUD")])[0]["reward"] == 1.0


def test_adapters_take_the_url_of_a_server_for_data(folder, monkeypatch):
    with Scorer(folder, workers=1) as scorer, running(scorer) as url:
        monkeypatch.setenv(common.DATA, url)
        rows = {"instruction_ids": [[CAPITALS]] * 2}
        asked = trl.reward_function()(prompts=["p"] * 2, completions=["LOUD", "quiet"], **rows)
        assert asyncio.run(asked) == [1.0, 0.0]
