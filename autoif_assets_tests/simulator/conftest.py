"""Fixtures for the simulator's tests."""

import json
import urllib.request

import openai
import pytest

from autoif_assets.method.prompts import PROMPTS
from autoif_assets.simulator import Simulator, SimulatorSettings

MODEL = SimulatorSettings().model
PROMPT = PROMPTS["response"].render(
    instruction="Answer in exactly three sentences.", query="How do I store potatoes?"
)


def client_for(simulator, key="unused", **options):
    options.setdefault("max_retries", 0)
    return openai.OpenAI(base_url=simulator.base_url, api_key=key, **options)


def ask(client, prompt=PROMPT, **options):
    options.setdefault("seed", 1)
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(model=MODEL, messages=messages, **options)


def get(simulator, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(simulator.url + path, data) as reply:
        return reply.read().decode()


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
