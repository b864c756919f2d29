"""The local model's server: the proxy and its process, with a stand-in for llama.cpp."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from autoif_assets.localmodel import LocalModelError, fetch, running, serve
from autoif_assets.localmodel.serving import without_whitespace

SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
    },
    "required": ["reason", "numbers"],
    "additionalProperties": False,
}

# Has the names of xllamacpp that the server uses; answers every request with what it was sent.
STAND_IN = """
import threading, types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class CommonParams(types.SimpleNamespace):
    def __init__(self):
        thread_settings = (types.SimpleNamespace() for _ in range(3))
        self.model, self.cpuparams, self.cpuparams_batch = thread_settings

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(418 if "teapot" in self.path else 200)
        self.send_header("X-Path", self.path)
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_):
        pass

class Server:
    def __init__(self, params):
        if params.model.path.endswith("broken.gguf"):
            raise RuntimeError("not a model")
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.listening_address = f"http://127.0.0.1:{server.server_address[1]}"
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Folder with a stand-in ``xllamacpp`` on the path of this process and its children."""
    (tmp_path / "xllamacpp.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    (tmp_path / "broken.gguf").write_bytes(b"")
    return tmp_path


def chat_request(schema):
    return {
        "messages": [],
        "n": 2,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    }


def test_a_schema_becomes_a_grammar_without_whitespace():
    out = json.loads(without_whitespace(json.dumps(chat_request(SCHEMA)).encode()))
    assert out.keys() == {"messages", "n", "grammar"}
    first, _, schema = out["grammar"].partition("start: %json ")
    assert first == "%llguidance {}\n"
    guided = json.loads(schema)
    assert guided.pop("x-guidance")["whitespace_flexible"] is False
    assert guided == SCHEMA


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("response_format"), inner),
)


@settings(deadline=None)
@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_requests_without_a_schema_are_left_alone(body):
    assert without_whitespace(body) == body


@pytest.mark.parametrize("schema", [None, "text", 3, []])
def test_a_schema_that_is_none_is_left_to_the_server(schema):
    body = json.dumps(chat_request(schema)).encode()
    assert without_whitespace(body) == body


def test_serving_without_the_extra_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for call in (lambda: serve(tmp_path / "a.gguf"), lambda: running(tmp_path / "a").__enter__()):
        with pytest.raises(LocalModelError, match=r"pip install 'autoif-assets\[local\]'"):
            call()


def test_a_missing_file_and_one_that_is_no_model_are_named(stand_in):
    with pytest.raises(LocalModelError, match=r"no model file .*absent\.gguf"):
        serve(stand_in / "absent.gguf")
    with pytest.raises(LocalModelError, match=r"cannot load .*broken\.gguf: not a model"):
        serve(stand_in / "broken.gguf")


@pytest.mark.slow
def test_a_failed_start_tells_why(stand_in):
    with (
        pytest.raises(LocalModelError, match=r"did not start: .*broken\.gguf: not a model"),
        running(stand_in / "broken.gguf"),
    ):
        pass


@pytest.mark.slow
def test_a_running_server_forwards_and_ends_with_its_block(stand_in):
    with pytest.raises(KeyError), running(stand_in / "own.gguf") as address:
        sent = requests.post(f"{address}/chat/completions", json=chat_request(SCHEMA), timeout=30)
        assert sent.json()["grammar"].startswith("%llguidance")
        plain = requests.post(f"{address}/completions", data=b"as it is", timeout=30)
        assert plain.content == b"as it is"
        odd = requests.get(f"{address}/teapot?a=%20b", timeout=30)
        assert (odd.status_code, odd.headers["X-Path"]) == (418, "/v1/teapot?a=%20b")
        raise KeyError("an error in the block")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/models", timeout=5)


@pytest.mark.slow
def test_a_server_ends_when_its_parent_is_killed(stand_in):
    code = (
        "import sys, time; from pathlib import Path; from autoif_assets.localmodel import running\n"
        "with running(Path(sys.argv[1])) as address: print(address, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(stand_in / "own.gguf")], stdout=subprocess.PIPE, text=True
    )
    address = parent.stdout.readline().strip()
    assert requests.get(f"{address}/models", timeout=30).ok
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(300):
        try:
            requests.get(f"{address}/models", timeout=5)
        except requests.ConnectionError:
            return
        time.sleep(0.1)
    pytest.fail("the server outlived its parent")


@pytest.mark.servers
def test_a_real_model_answers_under_a_schema_without_whitespace():
    pytest.importorskip("xllamacpp", reason="needs the extra local")
    try:
        gguf = fetch("smollm2-135m")
    except LocalModelError as error:
        pytest.skip(str(error))
    request = chat_request(SCHEMA) | {"max_tokens": 300, "seed": 1, "temperature": 1.0}
    words = "Give a reason of five words and three numbers as JSON on many indented lines."
    request["messages"] = [{"role": "user", "content": words}]
    with running(gguf, slots=2, threads=1, ctx=1024) as address:
        reply = requests.post(f"{address}/chat/completions", json=request, timeout=300).json()
    finished = [c["message"]["content"] for c in reply["choices"] if c["finish_reason"] == "stop"]
    assert finished
    for text in finished:
        assert text == json.dumps(json.loads(text), ensure_ascii=False)
