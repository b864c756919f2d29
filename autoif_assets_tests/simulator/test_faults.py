"""Injected faults, the queue, and starting and stopping."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter

import httpx
import openai
import pytest
from click.testing import CliRunner

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.simulator.command import simulate
from autoif_assets.simulator.faults import Faults
from autoif_assets.simulator.settings import FAULTS
from autoif_assets.simulator.slots import PrefixCache, Slots
from autoif_assets_tests.simulator.conftest import client_for
from autoif_assets_tests.simulator.test_http import ask, get


@pytest.mark.parametrize("status", [429, 500, 503])
def test_error_statuses(serve, status):
    simulator = serve(**{f"fault_{status}": 1.0, "retry_after": 0.5})
    with client_for(simulator) as client, pytest.raises(openai.APIStatusError) as caught:
        ask(client)
    assert caught.value.status_code == status
    assert caught.value.response.headers.get("Retry-After") == ("0.5" if status == 429 else None)
    assert simulator.stats()["faults"] == {str(status): 1}
    assert simulator.stats()["served"] == 0


def test_a_dropped_connection_brings_no_answer(serve):
    simulator = serve(fault_drop=1.0)
    with client_for(simulator) as client, pytest.raises(openai.APIConnectionError):
        ask(client)
    assert simulator.stats()["served"] == 0


def test_half_a_body_is_announced_whole(serve):
    simulator = serve(fault_half=1.0)
    url = f"{simulator.base_url}/chat/completions"
    body = {"model": simulator.settings.model, "messages": [{"role": "user", "content": "Hi"}]}
    received = b""
    with (
        pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|closed"),
        httpx.stream("POST", url, json=body) as reply,
    ):
        assert reply.status_code == 200
        for part in reply.iter_raw():
            received += part
    assert received.startswith(b'{"id"') and not received.endswith(b"}")
    assert simulator.stats()["served"] == 0


def test_a_slow_response_outlasts_the_client_s_patience_and_frees_its_slot(serve):
    simulator = serve(fault_slow=1.0, slow_seconds=60, slots=1)
    with client_for(simulator, timeout=0.3) as client, pytest.raises(openai.APITimeoutError):
        ask(client)
    for _ in range(200):
        if simulator.stats()["running"] == 0:
            break
        threading.Event().wait(0.02)
    assert simulator.stats()["running"] == 0


def test_the_same_requests_meet_the_same_faults_in_any_order():
    settings = SimulatorSettings(**{f"fault_{kind}": 0.1 for kind in FAULTS})
    bodies = [f"request {i}".encode() for i in range(200)]

    def outcomes(order):
        faults = Faults(settings)
        drawn = {body: [faults.draw(body)] for body in order}
        for body in order:
            drawn[body].append(faults.draw(body))
        return drawn

    first = outcomes(bodies)
    assert first == outcomes(bodies[::-1])
    drawn = [kind for pair in first.values() for kinds in pair for kind in kinds]
    assert set(drawn) == set(FAULTS)
    assert any(pair[0] != pair[1] for pair in first.values()), "a retry may succeed"


def test_each_kind_has_its_own_rate_and_one_at_most_fails_a_request():
    faults = Faults(SimulatorSettings(**{f"fault_{kind}": 0.3 for kind in FAULTS}))
    drawn = [faults.draw(f"request {i}".encode()) for i in range(4000)]
    counts = Counter(kind for kinds in drawn for kind in kinds)
    failed = sum(any(kind != "slow" for kind in kinds) for kinds in drawn) / 4000
    assert abs(counts["slow"] / 4000 - 0.3) < 0.03
    assert abs(failed - (1 - 0.7**5)) < 0.03
    for kind in set(FAULTS) - {"slow"}:
        assert abs(counts[kind] / 4000 - failed / 5) < 0.03
    assert all(len(set(kinds) - {"slow"}) <= 1 for kinds in drawn)


@pytest.mark.slow
def test_answers_are_the_same_with_and_without_faults(serve):
    faulty = serve(fault_500=0.2, fault_503=0.2, fault_drop=0.2, fault_429=0.2, retry_after=0)
    with client_for(faulty, max_retries=30) as patient, client_for(serve()) as calm:
        for seed in range(2):
            expected = ask(calm, seed=seed).choices[0].message.content
            assert ask(patient, seed=seed).choices[0].message.content == expected
    assert faulty.stats()["faults"] and faulty.stats()["served"] == 2


def test_the_first_requests_fail_where_asked(serve):
    with client_for(serve(fail_first=2)) as client:
        for _ in range(2):
            with pytest.raises(openai.InternalServerError):
                ask(client)
        assert ask(client).choices


def test_an_outage_cuts_everything_but_the_debug_routes(serve):
    simulator = serve()
    with client_for(simulator) as client:
        assert get(simulator, "/debug/outage", {"seconds": 3600}).startswith("{")
        with pytest.raises(openai.APIConnectionError):
            ask(client)
        with pytest.raises(OSError):
            get(simulator, "/health")
        assert simulator.stats()["faults"] == {"outage": 2}


def test_an_outage_ends(serve):
    simulator = serve(outage_seconds=0.05)
    for _ in range(200):
        try:
            assert get(simulator, "/health") == ""
            break
        except OSError:
            threading.Event().wait(0.02)
    else:
        pytest.fail("the server stayed dead")


def test_a_restarted_server_listens_on_the_same_port():
    simulator = Simulator().start()
    port = simulator.port
    with pytest.raises(RuntimeError, match="already"):
        simulator.start()
    simulator.stop()
    with pytest.raises(OSError):
        get(simulator, "/health")
    with simulator:
        assert simulator.port == port
        assert get(simulator, "/health") == ""


def test_a_port_in_use_is_told_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: address already"):
            Simulator(port=port).start()


async def _in_parallel(simulator, count):
    client = openai.AsyncOpenAI(base_url=simulator.base_url, api_key="x", max_retries=0)
    async with client:
        messages = [{"role": "user", "content": "Hello"}]
        create = client.chat.completions.create
        tasks = [
            asyncio.create_task(create(model=simulator.settings.model, messages=messages, seed=i))
            for i in range(count)
        ]
        for _ in range(500):
            stats = simulator.stats()
            if stats["running"] + stats["waiting"] == count or any(t.done() for t in tasks):
                break
            await asyncio.sleep(0.01)
        metrics = await asyncio.to_thread(get, simulator, "/metrics")
        for task in tasks:
            if not task.done():
                task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True), stats, metrics


def test_requests_beyond_the_slots_wait_as_in_vllm(serve):
    simulator = serve(slots=2, latency=30.0)
    _, stats, metrics = asyncio.run(_in_parallel(simulator, 5))
    assert (stats["running"], stats["waiting"]) == (2, 3)
    model = simulator.settings.model
    assert f'vllm:num_requests_running{{engine="0",model_name="{model}"}} 2.0' in metrics
    assert f'vllm:num_requests_waiting{{engine="0",model_name="{model}"}} 3.0' in metrics


def test_open_connections_are_counted(serve):
    simulator = serve(slots=1, latency=30.0)
    _, stats, _ = asyncio.run(_in_parallel(simulator, 5))
    assert stats["connections"] >= 5
    for _ in range(200):
        if simulator.stats()["connections"] == 0:
            break
        threading.Event().wait(0.02)
    assert simulator.stats()["connections"] == 0


def test_a_full_queue_is_a_503(serve):
    simulator = serve(slots=1, latency=30.0, max_queue=1)
    replies, _, _ = asyncio.run(_in_parallel(simulator, 4))
    refused = [reply for reply in replies if isinstance(reply, openai.InternalServerError)]
    assert refused and refused[0].status_code == 503
    assert "queue is full" in str(refused[0])


def test_a_full_cache_preempts(serve):
    simulator = serve(kv_cache_tokens=1)
    with client_for(simulator) as client:
        ask(client)
    assert "vllm:num_preemptions_total{" in get(simulator, "/metrics")
    lines = get(simulator, "/metrics").splitlines()
    assert [x.split()[-1] for x in lines if x.startswith("vllm:num_preemptions_total")] == ["1.0"]


def test_slots_pass_on_in_order_and_without_drift():
    async def main():
        slots = Slots(1)
        await slots.acquire()
        waiting = [asyncio.create_task(slots.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        assert (slots.running, slots.waiting) == (1, 3)
        waiting[0].cancel()
        await asyncio.sleep(0)
        slots.release(10.0)
        assert await waiting[1] == 10.0
        slots.release(12.5)
        waiting[2].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (slots.running, slots.waiting) == (0, 0)
        await slots.acquire()
        assert slots.running == 1

    asyncio.run(main())


def test_the_prefix_cache_knows_beginnings_only():
    cache = PrefixCache()
    assert cache.lookup("a" * 640) == 0
    assert cache.lookup("a" * 640) == 160
    assert cache.lookup("a" * 320 + "b" * 320) == 80
    assert cache.lookup("b" + "a" * 640) == 0


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"violation_rate": 1.5}, "violation_rate is a share"),
        ({"slots": 0}, "slots must be at least 1"),
        ({"latency": -1.0}, "latency must not be negative"),
        ({"reasoning": "loud"}, "none, field or tags"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        SimulatorSettings(**settings)


def test_the_command_has_an_option_for_every_setting():
    output = CliRunner().invoke(simulate, ["--help"]).output
    for name in SimulatorSettings.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in output
    refused = CliRunner().invoke(simulate, ["--slots", "0"])
    assert refused.exit_code == 1 and "slots must be at least 1" in refused.output


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_blocking_server_prints_its_url_and_ends_cleanly(ending):
    code = (
        "from autoif_assets.simulator import SimulatorSettings, run_simulator;"
        "run_simulator(SimulatorSettings(), port=0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        url = line.split("ready: ")[1].split()[0]
        with urllib.request.urlopen(f"{url}/models") as reply:
            assert reply.status == 200
        os.kill(process.pid, ending)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def test_importing_the_package_stays_light():
    code = (
        "import sys, autoif_assets.simulator;"
        "heavy = {'aiohttp', 'polars', 'jinja2', 'prometheus_client'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
