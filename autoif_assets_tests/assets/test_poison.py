"""Answers that nothing could hold: rows with a reason, on this run and on the next."""

import json

import polars as pl
import pytest

from autoif_assets_tests.endpoint.server import Server

from .pipeline import run_batch, tables

pytestmark = pytest.mark.slow

TINY = {
    "instructions_per_batch": 1,
    "seeds_per_batch": 6,
    "verifiers_per_instruction": 3,
    "near_misses_per_prompt": 0,
    "further_responses_per_prompt": 0,
    "min_score": ">= 5",
    "queries_per_instruction": 1,
}
ASKED = {"model": "tiny", "overrides": TINY, "upto": "sft_examples"}
SOURCE = "def evaluate(response):\n    return 'never' not in response  # {}"
CASES = [{"input": "yes", "output": True}, {"input": "never", "output": False}]
HALF = {"input": "half \ud83d", "output": True}  # written as an escape by json.dumps


class Poisonous(Server):
    """Answers every role well, but for one answer of each that no table could hold."""

    def __init__(self):
        super().__init__(self.say)
        self.poisoned = set()

    def once(self, role):
        first = role not in self.poisoned
        self.poisoned.add(role)
        return first

    def say(self, body, count):
        form = body.get("response_format", {}).get("json_schema", {}).get("name")
        n = body.get("n", 1)
        texts = [f"Plainly said, number {body['seed'] + i} is so." for i in range(n)]
        if form == "verifier":
            texts = [
                json.dumps({"func": SOURCE.replace("{}", "x" * i), "cases": [*CASES, HALF]})
                for i in range(n)
            ]
            if self.once(form):
                texts[0] = json.dumps({"func": SOURCE + "'\udc00'", "cases": CASES})
        elif form == "nli":
            texts = [json.dumps({"label": "entailment"})] * n
        elif form == "score":
            score = "9" * 400 if self.once(form) else "9"
            texts = ['{"reason": "r", "answers": true, "score": X}'.replace("X", score)] * n
        usage = {"prompt_tokens": 5, "completion_tokens": 5}
        if self.once("usage"):
            usage["prompt_tokens"] = 2**70
        choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]
        return {"choices": choices, "usage": usage}


@pytest.mark.long
def test_no_answer_poisons_a_batch(tmp_path):
    with Poisonous() as server:
        assert run_batch(tmp_path, server.url, **ASKED).success
        asked = len(server.bodies)
        first = tables(tmp_path)
        assert run_batch(tmp_path, server.url, **ASKED).success
        assert len(server.bodies) == asked
    candidates = first["verifier_candidates"]
    assert candidates.filter(reason="no_function")["detail"].to_list() == [
        'the text under "func" holds half a character (a lone surrogate)'
    ]
    cases = first["test_cases"].filter(pl.col("detail").is_not_null())
    assert set(cases["detail"]) == {"the input holds half a character (a lone surrogate)"}
    scores = first["response_scores"]
    assert scores.filter(reason="unparsed").height == 1
    assert scores.filter(status="accepted").height == scores.height - 1 > 0
    assert not first["sft_examples"].is_empty()


@pytest.mark.long
def test_a_row_on_which_a_rule_raises_is_kept_with_its_reason(tmp_path, monkeypatch):
    from autoif_assets.method import responses

    real = responses.parse_score

    def parse_score(raw):
        return real(raw) if len(raw) < 100 else 1 / 0

    with Poisonous() as server:
        server.poisoned = {"verifier", "usage"}
        monkeypatch.setattr(responses, "parse_score", parse_score)
        assert run_batch(tmp_path, server.url, **ASKED).success
    scores = tables(tmp_path)["response_scores"]
    assert scores.filter(reason="unreadable").height == 1
    assert scores.filter(status="accepted").height == scores.height - 1 > 0
