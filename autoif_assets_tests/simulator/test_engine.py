"""The slots with their queue, and the caches."""

import asyncio
import threading

import openai

from autoif_assets.simulator.engine import PrefixCache, Slots
from autoif_assets_tests.simulator.conftest import ask, client_for, get


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
