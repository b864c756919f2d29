"""A scorer over HTTP."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from autoif_assets.rewards import Scorer, ServeError
from autoif_assets.rewards.server import BACKLOG, RewardServer, check_address
from autoif_assets_tests.rewards.data import CAPITALS, CRASHES, SLOW, item, write_verifiers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox runs on Linux")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    write_verifiers(folder)
    return folder


@pytest.fixture(scope="module")
def scorer(folder):
    with Scorer(folder, workers=1, deadline_s=2.0) as scorer:
        yield scorer


def served(scorer, act, **options):
    """Run a coroutine function with a client of a server."""

    async def main():
        server = RewardServer(scorer, **options)
        async with TestClient(TestServer(server.app)) as client:
            return await act(client)

    return asyncio.run(main())


def posted(scorer, path, body, **options):
    """Post JSON, or bytes, and return the status and what was answered."""

    async def act(client):
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with client.post(path, **sent) as response:
            return response.status, await response.json()

    return served(scorer, act, **options)


def test_score_answers_as_the_scorer_does(scorer):
    items = [item("LOUD"), item("quiet"), item("LOUD", CAPITALS, CRASHES)]
    status, body = posted(scorer, "/score", {"items": items})
    assert status == 200
    assert body == {"rewards": json.loads(json.dumps(scorer.score(items)))}
    status, body = posted(
        scorer, "/score", {"items": items, "mode": "components", "on_no_verdict": "zero"}
    )
    assert [one["reward"] for one in body["rewards"]] == [1.0, 0.0, 0.5]


def test_openrlhf_and_nemo_gym_have_their_routes(scorer):
    label = json.dumps({"instruction_ids": [CAPITALS], "query": "Why?", "pass_rate": 0.5})
    body = {
        "query": ["Why?LOUD<|im_end|>", "Why?no"],
        "prompts": ["Why?"] * 2,
        "labels": [label] * 2,
    }
    assert posted(scorer, "/get_reward", body)[1]["rewards"] == [1.0, 0.0]
    content = [{"type": "output_text", "text": "LOUD"}]
    request = {
        "response": {"output": [{"type": "message", "content": content}]},
        "verifier_metadata": {"instruction_ids": [CAPITALS]},
    }
    status, body = posted(scorer, "/verify", request)
    assert (status, body["reward"], body["reward_components"]) == (200, 1.0, {CAPITALS: 1.0})
    assert posted(scorer, "/seed_session", {}) == (200, {})
    seed = {"resources_session_id": "s", "episode_id": "e", "task_id": "t", "task_data": {}}
    assert posted(scorer, "/seed_session", seed) == (200, {"resources_session_id": "s"})
    status, body = posted(scorer, "/aggregate_metrics", {"verify_responses": [body]})
    assert (status, body["agent_metrics"]["mean/reward"]) == (200, 1.0)


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/score", b"{", 400, "not JSON"),
        ("/score", b"[" * 100_000, 400, "not JSON"),
        ("/score", b"[]", 400, "no object"),
        ("/score", {}, 400, "items"),
        ("/score", {"items": [item("x", "nowhere")]}, 400, "no instruction 'nowhere'"),
        ("/score", {"items": [], "mode": "any"}, 400, "none of all"),
        ("/score", {"items": [item("x", CRASHES)], "on_no_verdict": "raise"}, 422, "not decide"),
        ("/score", {"items": [item("x" * 3000)]}, 413, "Too Large"),
        ("/get_reward", {"query": []}, 400, "three lists"),
        ("/verify", {}, 400, "verifier_metadata"),
        ("/aggregate_metrics", {}, 400, "verify_responses"),
        ("/nowhere", {}, 404, "Not Found"),
        ("/health", {}, 405, "Not Allowed"),
    ],
)
def test_what_is_wrong_is_told(scorer, path, body, status, told):
    limit = {"max_body": 2048} if status == 413 else {}
    found, said = posted(scorer, path, body, **limit)
    assert found == status
    assert told in said["error"]


def test_a_token_keeps_others_out(scorer):
    async def act(client):
        found = []
        for token in (None, "wrong", "right"):
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with client.post("/score", json={"items": []}, headers=headers) as response:
                found.append(response.status)
        async with client.get("/health") as response:
            found.append(response.status)
        async with client.get("/metrics") as response:
            found.append(response.status)
        return found

    assert served(scorer, act, token="right") == [401, 401, 200, 200, 401]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::"])
def test_other_machines_need_a_token(host):
    with pytest.raises(ServeError, match="--token-variable"):
        check_address(host, "")
    check_address(host, "secret")
    check_address("127.0.0.1", "")


def test_too_many_are_refused_and_may_come_again(scorer):
    async def act(client):
        async def post(text):
            async with client.post("/score", json={"items": [item(text, SLOW)] * 2}) as response:
                return response.status, response.headers.get("Retry-After"), await response.json()

        found = await asyncio.gather(*(post(f"loop {number}") for number in range(5)))
        return found, await post("fine")

    found, after = served(scorer, act, max_items=2)
    assert sorted(status for status, *_ in found) == [200, 429, 429, 429, 429]
    assert {wait for status, wait, _ in found if status == 429} == {"1"}
    assert after[0] == 200


def test_a_broken_sandbox_is_no_reward(scorer, monkeypatch):
    def broken(units):
        raise OSError("no more processes")

    with monkeypatch.context() as patch:
        patch.setattr(scorer.engine._sandbox, "evaluate", broken)
        status, said = posted(scorer, "/score", {"items": [item("BROKEN")]})
        assert (status, said["error"]) == (503, "OSError: no more processes")
    assert posted(scorer, "/score", {"items": [item("BROKEN")]})[0] == 200


def test_metrics_tell_of_queue_batches_outcomes_and_latency(folder):
    async def act(client):
        await client.post("/score", json={"items": [item("LOUD"), item("x", CRASHES)]})
        async with client.get("/health") as response:
            health = await response.json()
        async with client.get("/metrics") as response:
            return health, await response.text()

    with Scorer(folder, workers=1) as scorer:
        health, text = served(scorer, act)
        assert health["status"] == "ok" and health["verifiers_sha256"] == scorer.bank.sha256
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert values['autoif_rewards_requests_total{route="/score",status="200"}'] == "1.0"
    assert values["autoif_rewards_completions_total"] == "2.0"
    assert values["autoif_rewards_undecided_total"] == "1.0"
    assert values["autoif_rewards_queue_depth"] == "0.0"
    assert values['autoif_rewards_outcomes_total{outcome="pass"}'] == "4.0"
    assert values["autoif_rewards_batch_size_sum"] == "6.0"
    assert values['autoif_rewards_latency_seconds{quantile="0.99"}'] > "0"


# --- the command ------------------------------------------------------------------------------


@contextmanager
def command(folder, *options, **environment):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "autoif_assets.cli", "rewards", "serve"),
            *("--data", str(folder), "--port", "0", "--workers", "1", *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def port_of(process):
    line = process.stdout.readline()
    assert "Rewards of 6 instructions at http://127.0.0.1:" in line
    return int(line.split("http://127.0.0.1:")[1].split()[0])


def post(port, items):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/score", json.dumps({"items": items}))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.mark.slow
def test_a_server_that_is_told_to_end_answers_what_it_holds(folder):
    with command(folder, "--deadline", "2") as process:
        port = port_of(process)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = json.dumps({"items": [item("loop", SLOW), item("LOUD")]})
        connection.request("POST", "/score", body)
        while True:
            ask = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            ask.request("GET", "/health")
            if json.loads(ask.getresponse().read())["held"]:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        made = json.loads(connection.getresponse().read())["rewards"]
        assert [one["reward"] for one in made] == [None, 1.0]
        assert process.wait(60) == 0
        assert process.stderr.read() == "Rewards are no longer served.\n"


@pytest.mark.slow
def test_kill_9_of_a_worker_loses_no_reward(folder):
    with command(folder) as process:
        port = port_of(process)
        for number in range(3):
            workers = _children(process.pid)
            assert workers
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            status, body = post(port, [item(f"TEXT {number}")])
            assert (status, body["rewards"][0]["reward"]) == (200, 1.0)


def _children(pid):
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


@pytest.mark.slow
def test_a_thousand_connections_at_once_are_not_reset(folder):
    assert BACKLOG >= 1024

    async def ask(port):
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(number):
                body = {"items": [item(f"TEXT {number % 50}")]}
                async with session.post(f"http://127.0.0.1:{port}/score", json=body) as response:
                    return (await response.json())["rewards"][0]["reward"]

            return await asyncio.gather(*map(one, range(1000)))

    with command(folder) as process:
        assert asyncio.run(ask(port_of(process))) == [1.0] * 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "--token-variable"),
        (["--token-variable", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is empty"),
        (["--judge-url", "http://127.0.0.1:1/v1"], "both --judge-url and --judge-model"),
        (["--data", "/nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_sentence(folder, options, told):
    with command(folder, *options) as process:
        _, words = process.communicate(timeout=60)
        assert process.returncode in (1, 2)
        assert told in words
        assert "Traceback" not in words
