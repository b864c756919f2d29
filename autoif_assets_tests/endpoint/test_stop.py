"""Stopping a run: at once, with nothing left behind."""

import json
import os
import signal
import threading
import time

import pytest

from autoif_assets.endpoint import Features, Journal
from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets_tests.endpoint.asking import ask, client, client_of
from autoif_assets_tests.endpoint.server import Server


def test_an_exception_from_on_progress_stops_everything(journal):
    def stop(progress):
        if progress.done:
            raise KeyboardInterrupt

    with Server(latency_s=0.05) as server:
        threads = threading.active_count()
        with pytest.raises(KeyboardInterrupt):
            client(server, max_concurrency=4).complete(
                [ask(f"p{i}") for i in range(500)], journal, stop
            )
        assert threading.active_count() == threads
        time.sleep(0.2)  # what was on its way has arrived
        asked = len(server.bodies)
        time.sleep(0.2)
        assert len(server.bodies) == asked < 500
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert lines and all(len(line["choices"]) == 1 for line in lines)


class Interrupted(BaseException):
    """What Dagster's signal handler raises in the main thread is no Exception either."""


def test_an_exception_from_a_signal_handler_stops_everything(journal):
    def interrupt(*_):
        raise Interrupted

    def lines():
        return len(journal.path.read_text().splitlines()) if journal.path.exists() else 0

    def send():
        while lines() < 5:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        quick = [f"p{i}" for i in range(5)]
        with Server(
            lambda body, _: None if body["messages"][0]["content"] in quick else "hang"
        ) as server:
            sender = threading.Thread(target=send)
            sender.start()
            with pytest.raises(Interrupted):
                client(server).complete([ask(f"p{i}") for i in range(50)], journal)
            sender.join()
            assert not any("autoif-endpoint" in t.name for t in threading.enumerate())
    finally:
        signal.signal(signal.SIGINT, before)
    assert lines() == 5


@pytest.mark.parametrize("why", [KeyboardInterrupt, ValueError])
def test_a_hanging_server_does_not_hold_a_stopped_run(tmp_path, why):
    hanging = SimulatorSettings(slots=64, slow_seconds=3600, fault_slow=0.5)
    requests = [ask(f"p{i}", n=2) for i in range(200)]
    outcome = []

    def stop(progress):
        if progress.done and progress.in_flight == 32:
            raise why

    def complete(server):
        with Journal(tmp_path, "responses", "b1", "run1") as journal:
            asker = client_of(
                server.base_url, "autoif-simulator", max_concurrency=32, progress_every_s=0.05
            )
            try:
                asker.complete(requests, journal, stop)
            except BaseException as error:
                outcome.append(type(error))

    with Simulator(hanging) as server:
        run = threading.Thread(target=complete, args=(server,))
        run.start()
        while not server.stats()["served"]:
            time.sleep(0.02)
        run.join(60)
        assert outcome == [why]
        assert not any("autoif-endpoint" in thread.name for thread in threading.enumerate())
        for _ in range(250):
            if not server.stats()["connections"]:
                break
            time.sleep(0.02)
        assert server.stats()["connections"] == server.stats()["running"] == 0
        served = server.stats()["served"]
    (path,) = tmp_path.rglob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert 0 < len(lines) <= served < 200
    assert all(len(line["choices"]) == 2 for line in lines)


def test_after_the_stop_of_a_hanging_run_nothing_is_left_running_within_5_seconds(journal):
    """The 5 seconds are the time the thread is given, counted from the stop."""
    stopped = threading.Event()
    # Else the first request would be waited for alone.
    features = Features()
    features.met = True

    def stop(progress):
        if progress.in_flight == 8:
            stopped.set()
            raise KeyboardInterrupt

    def complete():
        with pytest.raises(KeyboardInterrupt):
            client(server, max_concurrency=8, features=features).complete(
                [ask(f"p{i}") for i in range(50)], journal, stop
            )

    with Server(lambda body, count: "hang") as server:
        run = threading.Thread(target=complete)
        run.start()
        assert stopped.wait(60)
        run.join(5)
        assert not run.is_alive()
