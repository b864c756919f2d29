import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from autoif_assets.cli import main
from autoif_assets.serving import ServingError, running
from autoif_assets_tests.serving.stand_in import install

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def vllm(tmp_path, monkeypatch):
    command = install(tmp_path / "env")
    monkeypatch.setenv("AUTOIF_VLLM", str(command))
    monkeypatch.delenv("AUTOIF_BASE_URL", raising=False)
    return command


def seen(base_url):
    return requests.get(base_url.removesuffix("v1") + "seen", timeout=30).json()


def alive(pid):
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def gone(*pids):
    """Wait until the processes are gone; return those that stay."""
    for _ in range(300):
        if not any(map(alive, pids)):
            break
        time.sleep(0.1)
    return [pid for pid in pids if alive(pid)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def autoif(*arguments, **environment):
    """`autoif` in a process and session of its own, started as shells start background jobs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "autoif_assets.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_server_runs_while_its_block_does_and_leaves_nothing(vllm):
    with pytest.raises(KeyError), running("org/model", arguments=["--seed", "1"]) as base_url:
        assert base_url.endswith("/v1")
        told = seen(base_url)
        assert told["arguments"][:2] == ["serve", "org/model"]
        assert told["arguments"][-2:] == ["--seed", "1"]
        assert alive(told["pid"])
        assert alive(told["child"])
        raise KeyError("an error in the block")
    assert gone(told["pid"], told["child"]) == []


@pytest.mark.slow
def test_the_key_reaches_vllm_by_its_environment_only(vllm, monkeypatch):
    monkeypatch.setenv("AUTOIF_API_KEY", KEY)
    with running("org/model", api_key=KEY) as base_url:
        told = seen(base_url)
        lines = [
            entry.read_bytes() for entry in Path("/proc").glob("[0-9]*/cmdline") if entry.exists()
        ]
    assert told["environment"]["VLLM_API_KEY"] == KEY
    assert not [name for name in told["environment"] if name.startswith("AUTOIF_")]
    assert not [line for line in lines if KEY.encode() in line]
    monkeypatch.setenv("VLLM_API_KEY", "of another server")
    with running("org/model") as base_url:
        assert "VLLM_API_KEY" not in seen(base_url)["environment"]


@pytest.mark.slow
def test_a_server_ends_when_its_parent_is_killed(vllm):
    code = (
        "import time; from autoif_assets.serving import running\n"
        "with running('org/model') as base_url: print(base_url, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    told = seen(parent.stdout.readline().strip())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(told["pid"], told["child"]) == []


@pytest.mark.slow
def test_a_server_is_asked_to_end_when_its_guard_is_killed(vllm):
    with running("org/model") as base_url:
        told = seen(base_url)
        guard = int(Path(f"/proc/{told['pid']}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guard, signal.SIGKILL)
        assert gone(told["pid"]) == []
    os.kill(told["child"], signal.SIGKILL)  # what vLLM would have ended by itself


@pytest.mark.slow
def test_a_failed_start_tells_why_with_the_end_of_the_log(vllm, tmp_path):
    log = tmp_path / "vllm.log"
    log.write_text("of an earlier start\n")
    for kept in (None, log):
        with (
            pytest.raises(
                ServingError, match="exit status 3 while starting to serve broken"
            ) as error,
            running("broken", log=kept),
        ):
            pass
        assert "ValueError: not a model, it says" in str(error.value)
        assert "OutOfMemoryError: too large" in str(error.value)
        assert len(str(error.value).splitlines()) < 25
        assert "earlier" not in str(error.value)
    assert log.read_text().startswith("of an earlier start\nOutOfMemoryError")


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_given_up(vllm):
    with (
        pytest.raises(ServingError, match=r"did not answer within 3 s(.|\n)*still loading"),
        running("hanging", start_s=3),
    ):
        pass


def test_an_address_that_is_taken_is_not_mistaken_for_vllm(vllm):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(ServingError, match=rf"Cannot listen on 127\.0\.0\.1:{port}"),
            running("org/model", port=port),
        ):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_autoif_serve_prints_what_to_export_and_ends_with_all_it_started(vllm, number):
    url = f"http://127.0.0.1:{free_port()}/v1"
    extra = ["--served-model-name", "it's mine"]
    settings = {"AUTOIF_BASE_URL": url, "AUTOIF_API_KEY": KEY}
    with autoif("serve", "org/model", "--", *extra, **settings) as process:
        exports = process.stdout.readline() + process.stdout.readline()
        shell = f'{exports}\nprintf "%s|%s" "$AUTOIF_BASE_URL" "$AUTOIF_MODEL"'
        read = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
        assert read.stdout == f"{url}|it's mine"
        told = seen(url)
        assert told["arguments"][-2:] == extra
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "no longer served" in err
    assert KEY not in exports + out + err
    assert gone(told["pid"], told["child"]) == []


@pytest.mark.slow
def test_autoif_serve_can_be_interrupted_while_vllm_starts(vllm):
    url = f"http://127.0.0.1:{free_port()}/v1"
    with autoif("serve", "hanging", AUTOIF_BASE_URL=url) as process:
        assert "still loading" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert "hanging is no longer served" in err


@pytest.mark.slow
def test_autoif_serve_ends_when_vllm_does(vllm):
    url = f"http://127.0.0.1:{free_port()}/v1"
    with autoif("serve", "org/model", AUTOIF_BASE_URL=url) as process:
        process.stdout.readline()
        told = seen(url)
        with pytest.raises(requests.ConnectionError):
            requests.get(url.removesuffix("v1") + "exit", timeout=30)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "vLLM ended with exit status 9" in err
    assert gone(told["child"]) == []


def test_autoif_serve_without_a_gpu_says_so_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOIF_VLLM", str(install(tmp_path / "env", "vllm-0.33.1")))
    monkeypatch.setenv("AUTOIF_BASE_URL", f"http://127.0.0.1:{free_port()}/v1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = CliRunner().invoke(main, ["serve", "org/model"])
    assert result.exit_code == 2
    assert result.output.startswith("Error: vLLM needs a GPU and none is visible here")
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1", f"http://me:{KEY}@127.0.0.1/", "http://x:y/v1", "8000"]
)
def test_autoif_serve_refuses_an_address_it_cannot_serve_at(vllm, monkeypatch, url):
    monkeypatch.setenv("AUTOIF_BASE_URL", url)
    result = CliRunner().invoke(main, ["serve", "org/model"])
    assert result.exit_code == 2
    assert "AUTOIF_BASE_URL is no place to serve a model at" in result.output
    assert KEY not in result.output
