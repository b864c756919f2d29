"""A model's veto."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from autoif_assets.rewards.judge import ModelJudge, said


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        ("yes", True),
        ("Yes.", True),
        ("**No**", False),
        ("no, it says nothing", False),
        ('"yes"', True),
        ("", None),
        (None, None),
        ("I think so", None),
        ("nothing", None),
    ],
)
def test_the_first_word_decides(answer, meant):
    assert said(answer) is meant


@pytest.fixture
def model():
    """The URL of a model that likes long answers, and what it was asked."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body["messages"][0]["content"])
            if "BROKEN" in asked[-1]:
                self.send_error(400)
                return
            word = "yes" if "LONG" in asked[-1] else "no"
            choice = {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": word},
            }
            answer = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
            data = json.dumps({**answer, "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
        server.shutdown()
        thread.join()


def test_it_is_shown_query_instructions_and_answer_and_a_failure_is_no_veto(model):
    url, asked = model
    items = [
        {"query": "Why?", "instructions": ["Shout.", "Be brief."], "response": text}
        for text in ("LONG", "SHORT", "BROKEN")
    ]
    assert ModelJudge(url, "m")(items) == [True, False, None]
    assert all("- Shout.\n- Be brief." in one and "Why?" in one for one in asked)


def test_a_server_that_is_not_there_judges_nothing():
    item = {"query": None, "instructions": ["Shout."], "response": "LONG"}
    assert ModelJudge("http://127.0.0.1:9/v1", "m")([item]) == [None]
