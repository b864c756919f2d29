"""Fixtures for the simulator's tests."""

import openai
import pytest

from autoif_assets.simulator import Simulator, SimulatorSettings


def client_for(simulator, key="unused", **options):
    options.setdefault("max_retries", 0)
    return openai.OpenAI(base_url=simulator.base_url, api_key=key, **options)


@pytest.fixture
def serve():
    """Start simulators with the given settings; they stop after the test."""
    started = []

    def start(**settings):
        simulator = Simulator(SimulatorSettings(**settings)).start()
        started.append(simulator)
        return simulator

    yield start
    for simulator in started:
        simulator.stop()


@pytest.fixture(scope="module")
def simulator():
    """A simulator with the default settings that a module's tests share."""
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator):
    with client_for(simulator) as made:
        yield made
