"""Log-probabilities of an answer's tokens: told where a server can, and part of no call's id."""

import dataclasses
import json
import math

import pytest

from autoif_assets.endpoint import Features, compact_journals
from autoif_assets.endpoint.calls import call_id
from autoif_assets.endpoint.responses import read_answer
from autoif_assets.method.prompts import AUDIT
from autoif_assets_tests.endpoint.asking import again, ask, client, texts
from autoif_assets_tests.endpoint.server import Server, answer

WANTED = 3


def audit(prompt="Is it?", **changes):
    return ask(prompt, role="audit", schema=AUDIT.schema, logprobs=WANTED, **changes)


def token(word, logprob, others=()):
    top = [{"token": text, "logprob": value} for text, value in others]
    return {"token": word, "logprob": logprob, "bytes": None, "top_logprobs": top}


YES = token("yes", -0.1, [("yes", -0.1), ("no", -2.5)])
TOLD = [["yes", [["yes", -0.1], ["no", -2.5]]]]


def telling(*content):
    """A ``behave`` that tells log-probabilities, whether or not they were asked for."""

    def behave(body, count):
        said = answer(body)
        for choice in said["choices"]:
            choice["logprobs"] = {"content": list(content)}
        return said

    return behave


def told_of(replies):
    return [
        None if choice.logprobs is None else json.loads(choice.logprobs)
        for reply in replies
        for choice in reply.choices
    ]


def test_what_is_told_is_kept_with_the_answer(journal):
    with Server(telling(YES)) as server:
        replies = client(server).complete([audit(n=2), ask("other")], journal)
        assert told_of(replies) == [TOLD, TOLD, None]
        asked = {
            body["messages"][-1]["content"]: (body.get("logprobs"), body.get("top_logprobs"))
            for body in server.bodies
        }
        assert asked == {"Is it?": (True, WANTED), "other": (None, None)}
        with again(journal) as later:
            assert client(server).complete([audit(n=2), ask("other")], later) == replies
        assert len(server.bodies) == 2


def test_compacting_keeps_what_was_told(journal):
    with Server(telling(YES)) as server:
        replies = client(server).complete([audit()], journal)
        journal.close()
        with again(journal) as other:
            client(server).complete([ask("other")], other)
        (done,) = compact_journals(journal.path.parents[2])
        assert done.asset == "responses"
        with again(journal, "run3") as later:
            assert client(server).complete([audit()], later) == replies
        assert len(server.bodies) == 2
    assert told_of(replies) == [TOLD]


def test_what_was_answered_without_is_not_asked_for_again(journal):
    """Journals of before there were any hold the same calls."""
    without = dataclasses.replace(audit(), logprobs=0)
    assert call_id("tiny", audit()) == call_id("tiny", without)
    with Server(telling(YES)) as server:
        before = client(server).complete([without], journal)
        with again(journal) as later:
            assert client(server).complete([audit()], later) == before
        assert len(server.bodies) == 1
    assert told_of(before) == [None]


@pytest.mark.parametrize(
    "said",
    [
        (400, {"error": {"message": "logprobs are not supported with reasoning models"}}),
        (422, {"error": {"message": "Invalid request"}}),
        500,
    ],
)
def test_a_server_that_refuses_them_is_asked_without(journal, monkeypatch, said):
    monkeypatch.setattr("autoif_assets.endpoint.availability._BACKOFF_S", 0.02)
    features = Features()
    with Server(lambda body, count: said if "logprobs" in body else None) as server:
        asker = client(server, features=features, max_concurrency=2)
        replies = asker.complete([audit(f"p{n}") for n in range(10)], journal)
        assert [reply.choices[0].text for reply in replies] == [
            texts(f"p{n}", 1)[0] for n in range(10)
        ]
        # What else it may be asked for is not given up.
        assert all("response_format" in body for body in server.bodies[-3:])
        assert not any("logprobs" in body for body in server.bodies[-3:])
    assert told_of(replies) == [None] * 10
    (note,) = features.notes
    assert "refuses logprobs" in note


def test_a_server_that_ignores_them_gives_its_answers(journal):
    features = Features()
    with Server() as server:
        replies = client(server, features=features).complete([audit(n=2)], journal)
    assert [choice.text for choice in replies[0].choices] == list(texts("Is it?", 2))
    assert told_of(replies) == [None, None]
    assert features.notes == []


def body_of(logprobs):
    choice = {"message": {"content": "yes"}, "finish_reason": "stop", "logprobs": logprobs}
    return json.dumps({"choices": [choice]}).encode()


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        [],
        "yes",
        {"content": None},
        {"content": "yes"},
        {"content": []},
        {"content": [None]},
        {"content": [{"token": None, "logprob": -0.1}]},
        {"content": [{"token": "yes"}]},
        {"content": [token("yes", None)]},
        {"content": [token("yes", math.nan)]},
        {"content": [token("yes", -math.inf)]},
        {"content": [token("yes", 10**400)]},
        {"content": [token("yes", -0.1) | {"top_logprobs": 3}]},
        {"content": [token("yes", -0.1) | {"top_logprobs": [3]}]},
        # Of llama.cpp's older servers, and of the completions without a chat.
        {"tokens": ["yes"], "token_logprobs": [-0.1]},
    ],
)
def test_an_answer_is_none_the_worse_for_what_is_told_with_it(logprobs):
    (choice,) = read_answer(body_of(logprobs), logprobs=True).choices
    assert choice == {"text": "yes", "reasoning": None, "finish_reason": "stop"}


def test_likeliest_come_first_and_the_token_itself_is_among_them():
    content = [token("no", -2.0, [("yes", -0.2), ("nay", -3)]), token("\ud83d", -0.1)]
    (choice,) = read_answer(body_of({"content": content}), logprobs=True).choices
    assert json.loads(choice["logprobs"]) == [
        ["no", [["yes", -0.2], ["no", -2.0], ["nay", -3.0]]],
        ["?", [["?", -0.1]]],
    ]


def test_of_long_answers_the_end_is_kept():
    content = [token(f"t{n}", -0.1) for n in range(1000)]
    (choice,) = read_answer(body_of({"content": content}), logprobs=True).choices
    kept = [text for text, _ in json.loads(choice["logprobs"])]
    assert kept[-1] == "t999"
    assert len(kept) < 100
