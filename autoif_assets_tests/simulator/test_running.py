"""Starting and stopping, from Python and from the command line."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from autoif_assets.simulator import Simulator, SimulatorSettings
from autoif_assets.simulator.running import simulate
from autoif_assets_tests.simulator.conftest import get


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"violation_rate": 1.5}, "violation_rate is a share"),
        ({"prompts": "/no/such/folder"}, "prompts is no folder: /no/such/folder"),
        ({"slots": 0}, "slots must be at least 1"),
        ({"latency": -1.0}, "latency must not be negative"),
        ({"reasoning": "loud"}, "none, field or tags"),
        ({"correlated_kind": "typo"}, "literal_keyed, mutant, near or mixed"),
        ({"correlated_of": 0}, "correlated_of must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        SimulatorSettings(**settings)


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
