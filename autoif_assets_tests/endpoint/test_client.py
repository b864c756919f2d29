import asyncio
import email.utils
import json
import logging
import socket
import threading
import time
import traceback

import pytest

from autoif_assets.endpoint import (
    AccessDenied,
    Choice,
    EndpointError,
    NotServed,
    ServerUnreachable,
    call_id,
    llm_calls,
)
from autoif_assets.method.prompts import NLI
from autoif_assets_tests.endpoint.asking import KEY, again, ask, client, client_of, got, texts
from autoif_assets_tests.endpoint.server import Server, answer, faults


def test_replies_come_in_order_with_all_samples(journal):
    with Server() as server:
        requests = [ask(f"p{i}", n=3) for i in range(40)]
        replies = client(server).complete(requests, journal)
        assert [got(reply) for reply in replies] == [texts(f"p{i}", 3) for i in range(40)]
        assert [reply.call_id for reply in replies] == [call_id("tiny", r) for r in requests]
        assert len(server.bodies) == 40
        assert server.bodies[0]["n"] == 3
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_second_run_asks_nothing(journal):
    requests = [ask(f"p{i}", n=2) for i in range(5)] + [ask("bad")]

    def behave(body, count):
        if body["messages"][0]["content"] == "bad":
            return 400, {"error": {"message": "no", "code": "content_filter"}}
        return None

    with Server(behave) as server:
        first = client(server).complete(requests, journal)
        asked = len(server.bodies)
        with again(journal) as second:
            assert client(server).complete(requests, second) == first
            assert not second.path.exists()
        assert len(server.bodies) == asked


def test_all_in_the_journal_needs_no_server(journal):
    with Server() as server:
        first = client(server).complete([ask()], journal)
    seen = []
    assert client(server).complete([ask()], journal, seen.append) == first
    assert (seen[-1].total, seen[-1].done, seen[-1].reused) == (1, 1, 1)


def test_equal_requests_are_one_call(journal):
    with Server() as server:
        replies = client(server).complete([ask(), ask("other"), ask()], journal)
        assert len(server.bodies) == 2
        assert replies[0] is replies[2]


def test_missing_samples_alone_are_asked_for(journal):
    with Server() as server:
        client(server).complete([ask(n=8)], journal)
        line = json.loads(journal.path.read_text())
        line["samples"], line["choices"] = line["samples"][:5], line["choices"][:5]
        journal.path.write_text(json.dumps(line) + "\n")
        with again(journal) as second:
            (reply,) = client(server).complete([ask(n=8)], second)
        assert server.bodies[1]["n"] == 3
        assert server.bodies[1]["seed"] == 7 + 5
        assert got(reply) == texts("hello", 8)


def test_refresh_asks_anew_and_the_new_answer_counts_from_then_on(journal):
    version = ["old"]

    def behave(body, count):
        said = answer(body)
        said["choices"][0]["message"]["content"] = version[0]
        return said

    with Server(behave) as server:
        client(server).complete([ask()], journal)
        version[0] = "new"
        with again(journal, refresh=True) as second:
            (reply,) = client(server).complete([ask()], second)
            assert got(reply) == ("new",)
            assert got(client(server).complete([ask()], second)[0]) == ("new",)
        with again(journal, "run0") as third:
            assert got(client(server).complete([ask()], third)[0]) == ("new",)
        assert len(server.bodies) == 2
    rows = llm_calls(journal.path.parents[2], "responses", "b1")
    assert rows["completions"].to_list() == [["new"]]
    assert rows["completion_tokens"].to_list() == [6]


def test_refused_row_keeps_the_servers_words_and_the_others_go_on(journal):
    def behave(body, count):
        if body["messages"][0]["content"] == "long":
            return 400, {"message": "maximum context length is 8 tokens", "code": 400}
        return None

    with Server(behave) as server:
        good, bad = client(server).complete([ask(), ask("long", n=4, schema=NLI.schema)], journal)
        assert got(good) == texts("hello", 1)
        assert bad.choices == () and "maximum context length is 8 tokens" in bad.error
        # The refusal taught nothing about n: it is still used.
        client(server).complete([ask("next", n=4)], journal)
        assert server.bodies[-1]["n"] == 4


@pytest.mark.parametrize("status", [401, 403, 404])
def test_wrong_key_or_model_stops_at_once(journal, status):
    with Server(lambda body, count: status) as server:
        with pytest.raises(AccessDenied if status < 404 else NotServed) as stopped:
            client(server, max_concurrency=4).complete([ask(f"p{i}") for i in range(50)], journal)
        assert len(server.bodies) <= 4
        message = str(stopped.value)
        assert server.url in message and "'tiny'" in message and "tiny, other" in message
        assert f"status {status} on purpose" in message


def test_n_refused_falls_back_to_single_requests_once(journal):
    def behave(body, count):
        return (400, {"error": {"message": "n must be 1"}}) if body.get("n", 1) > 1 else None

    with Server(behave) as server:
        asker = client(server, max_concurrency=1)
        replies = asker.complete([ask("a", n=4), ask("b", n=4)], journal)
        assert [got(reply) for reply in replies] == [texts("a", 4), texts("b", 4)]
        assert sum(body.get("n", 1) > 1 for body in server.bodies) == 1
        seeds = [b["seed"] for b in server.bodies if b["messages"][0]["content"] == "b"]
        assert sorted(seeds) == [7, 8, 9, 10]


def test_fewer_choices_than_asked_are_kept_and_the_rest_asked_for(journal):
    def behave(body, count):
        said = answer(body)
        said["choices"] = said["choices"][:1]
        return said

    notes = []
    with Server(behave) as server:
        asker = client(server, max_concurrency=1)
        (reply,) = asker.complete([ask(n=4)], journal, lambda p: notes.extend(p.notes))
        assert got(reply) == texts("hello", 4)
        assert [body.get("n", 1) for body in server.bodies] == [4, 1, 1, 1]
        assert "n=4" in notes[-1]
    rows = llm_calls(journal.path.parents[2], "responses", "b1")
    assert rows["completions"].to_list() == [list(texts("hello", 4))]


def test_schema_is_sent_and_dropped_when_refused(journal):
    refuse = [False]

    def behave(body, count):
        if refuse[0] and "response_format" in body:
            return 400, {"error": {"message": "response_format is not supported"}}
        return None

    with Server(behave) as server:
        client(server).complete([ask(role="nli", schema=NLI.schema)], journal)
        sent = server.bodies[0]["response_format"]
        assert sent == {
            "type": "json_schema",
            "json_schema": {"name": "nli", "schema": dict(NLI.schema), "strict": True},
        }
        refuse[0] = True
        progress = []
        asker = client(server, max_concurrency=1)
        requests = [ask(f"p{i}", n=2, role="nli", schema=NLI.schema) for i in range(5)]
        replies = asker.complete(requests, journal, progress.append)
        assert [got(r) for r in replies] == [texts(f"p{i}", 2) for i in range(5)]
        assert sum("response_format" in body for body in server.bodies[1:]) <= 2
        assert "refuses the JSON schema of nli" in progress[-1].notes[0]


def test_retry_after_is_honoured(journal):
    times = []

    def behave(body, count):
        times.append(time.monotonic())
        return (429, {}, {"Retry-After": "1"}) if count == 1 else None

    with Server(behave) as server:
        (reply,) = client(server).complete([ask()], journal)
    assert got(reply) == texts("hello", 1)
    assert times[1] - times[0] >= 1.0
    assert json.loads(journal.path.read_text())["attempts"] == 2


@pytest.mark.slow
def test_retry_after_may_be_a_date(journal):
    times = []

    def behave(body, count):
        times.append(time.time())
        later = email.utils.formatdate(int(time.time()) + 3, usegmt=True)
        return (503, {}, {"Retry-After": later}) if count == 1 else None

    with Server(behave) as server:
        assert got(client(server).complete([ask()], journal)[0]) == texts("hello", 1)
    assert times[1] - times[0] >= 1.5  # dates have whole seconds


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (408, "http 408"),
        (409, "http 409"),
        (425, "http 425"),
        (429, "http 429"),
        (500, "http 500"),
        (502, "http 502"),
        (503, "http 503"),
        (504, "http 504"),
        ("drop", "dropped"),
        ("half", "body"),
        ("short", "dropped"),
    ],
)
def test_what_may_pass_is_tried_again_and_counted_by_cause(journal, said, cause):
    seen = []
    with Server(lambda body, count: said if count == 1 else None) as server:
        replies = client(server).complete([ask(n=2)], journal, seen.append)
    assert got(replies[0]) == texts("hello", 2)
    assert seen[-1].retries == {cause: 1}
    assert seen[-1].requests == 2
    assert json.loads(journal.path.read_text())["attempts"] == 2


def test_the_progress_tells_the_course_of_the_run(journal):
    seen = []
    with Server(latency_s=0.02) as server:
        asker = client(server, max_concurrency=5, price_prompt=1e6, price_completion=2e6)
        asker.complete([ask(f"p{i}", n=2) for i in range(40)], journal, seen.append)
    last = seen[-1]
    assert last.peak_in_flight == 5
    assert last.cost == pytest.approx(40 * (10 + 6 * 2))
    assert last.throughput[-1][1:] == (40, 240)
    columns = list(zip(*last.throughput, strict=True))
    assert all(list(column) == sorted(column) for column in columns)
    assert 0 < last.latency_s["p50"] <= last.latency_s["p95"] <= last.latency_s["p99"]
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    waits = [line["queue_wait_s"] for line in lines]
    assert min(waits) >= 0 and max(waits) >= 7 * 0.02  # eight rounds of five
    assert [line["cost"] for line in lines] == [22.0] * 40
    rows = llm_calls(journal.path.parents[2], "responses", "b1")
    assert rows["cost"].sum() == pytest.approx(last.cost)
    assert sorted(rows["queue_wait_s"]) == sorted(waits)


def test_prompts_that_begin_alike_are_asked_one_after_the_other(journal):
    prompts = [f"{start} and then {end}" for end in range(5) for start in "abc"]
    with Server() as server:
        client(server, max_concurrency=1).complete([ask(p) for p in prompts], journal)
        assert [body["messages"][0]["content"] for body in server.bodies] == sorted(prompts)


@pytest.mark.slow
def test_faults_of_every_kind_change_no_reply(journal):
    requests = [ask(f"p{i}", n=2) for i in range(300)]
    progress = []
    with Server(faults(0.3, hang=True), latency_s=0.01) as server:
        asker = client(server, timeout_s=1.0)
        replies = asker.complete(requests, journal, progress.append)
    assert [got(reply) for reply in replies] == [texts(f"p{i}", 2) for i in range(300)]
    assert all(reply.error is None for reply in replies)
    assert {"http 429", "http 500", "dropped", "body", "timeout"} <= set(progress[-1].retries)
    with again(journal) as second:
        assert client(server).complete(requests, second) == replies


@pytest.mark.slow
def test_a_row_that_always_fails_ends_with_an_error_and_is_asked_again_next_time(
    journal, monkeypatch
):
    bad = [True]

    def behave(body, count):
        return 500 if bad[0] and body["messages"][0]["content"] == "bad" else None

    with Server(behave) as server:
        monkeypatch.setattr("autoif_assets.endpoint.availability._MAX_BACKOFF_S", 0.02)
        good, failed = client(server).complete([ask(), ask("bad")], journal)
        assert got(good) == texts("hello", 1)
        # Twelve, and four in simpler forms, for it was the first to be asked.
        assert "gave up after 16 attempts" in failed.error
        bad[0] = False
        with again(journal) as second:
            assert got(client(server).complete([ask("bad")], second)[0]) == texts("bad", 1)


@pytest.mark.slow
def test_a_server_that_was_never_there_fails_in_bounded_time(journal):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    asker = client_of(url, key=KEY, first_contact_s=1.0)
    with pytest.raises(ServerUnreachable) as stopped:
        asker.complete([ask(f"p{i}") for i in range(500)], journal)
    message = str(stopped.value)
    assert url in message and "AUTOIF_BASE_URL" in message and f"curl {url}/models" in message


@pytest.mark.slow
def test_something_else_at_the_url_fails_in_bounded_time(journal):
    with Server(lambda body, count: {"html": "welcome"}) as server:
        asker = client(server, first_contact_s=1.0)
        with pytest.raises(ServerUnreachable, match=r"not a chat completion.*welcome"):
            asker.complete([ask(f"p{i}") for i in range(20)], journal)


@pytest.mark.slow
def test_dropped_connections_are_not_taken_for_a_missing_server(journal):
    with Server(lambda body, count: "drop" if count <= 3 else None) as server:
        asker = client(server, first_contact_s=0.2)
        (reply,) = asker.complete([ask()], journal)
    assert got(reply) == texts("hello", 1)


@pytest.mark.slow
def test_a_server_that_goes_away_is_waited_for(journal, monkeypatch):
    monkeypatch.setattr("autoif_assets.endpoint.availability._SILENT_S", 0.5)
    requests = [ask(f"p{i}") for i in range(60)]
    seen = []
    with Server(latency_s=0.05) as server:
        result = []
        asker = client(server, max_concurrency=16, first_contact_s=0.5)
        thread = threading.Thread(
            target=lambda: result.append(asker.complete(requests, journal, seen.append))
        )
        thread.start()
        while not any(p.done > 5 for p in seen):
            time.sleep(0.01)
    time.sleep(1.5)
    assert thread.is_alive()
    with Server(port=server.port):
        thread.join(40)
    assert [got(reply) for reply in result[0]] == [texts(f"p{i}", 1) for i in range(60)]
    assert any(p.outage and server.url in p.outage for p in seen)
    assert seen[-1].outage is None


@pytest.mark.slow
def test_an_outage_longer_than_allowed_stops_the_run(journal):
    behave = lambda body, count: None if count < 3 else 503  # noqa: E731
    with Server(behave) as server:
        asker = client(server, max_outage_s=1.0, max_concurrency=1)
        with pytest.raises(ServerUnreachable, match="AUTOIF_MAX_OUTAGE"):
            asker.complete([ask(f"p{i}") for i in range(50)], journal)
    assert len(journal.path.read_text().splitlines()) == 2


def test_works_inside_a_running_loop_and_in_a_thread_without_one(journal):
    with Server() as server:

        async def inside():
            return client(server).complete([ask("a")], journal)

        assert got(asyncio.run(inside())[0]) == texts("a", 1)
        result = []
        thread = threading.Thread(
            target=lambda: result.extend(client(server).complete([ask("b")], journal))
        )
        thread.start()
        thread.join()
        assert got(result[0]) == texts("b", 1)


def test_no_more_in_flight_than_allowed(journal):
    with Server(latency_s=0.1) as server:
        client(server, max_concurrency=5).complete([ask(f"p{i}") for i in range(30)], journal)
        assert server.most_open == 5


@pytest.mark.slow
def test_more_than_a_hundred_are_in_flight_where_the_server_takes_them(journal):
    with Server(latency_s=1.0) as server:
        client(server, max_concurrency=160).complete([ask(f"p{i}") for i in range(500)], journal)
        assert 100 < server.most_open <= 160


def test_a_queue_on_the_server_lowers_the_limit(journal):
    load = (
        'vllm:num_requests_running{engine="0"} 4.0\n'
        'vllm:num_requests_waiting{engine="0"} 90.0\n'
        'vllm:kv_cache_usage_perc{engine="0"} 0.5\n'
    )
    seen = []
    with Server(latency_s=0.02, metrics=lambda: load) as server:
        requests = [ask(f"p{i}") for i in range(200)]
        client(server, max_concurrency=64).complete(requests, journal, seen.append)
    assert seen[-1].limit < 64
    assert seen[-1].waiting == 90


def test_reasoning_is_kept_apart_in_both_forms(journal):
    def behave(body, count):
        if body["messages"][0]["content"] == "tag":
            message = {"content": "<think>\nhm\n</think>\n\nyes"}
        else:
            message = {"content": "yes", "reasoning_content": "hm"}
        return {"choices": [{"message": message, "finish_reason": "length"}]}

    with Server(behave) as server:
        replies = client(server).complete([ask("tag"), ask("field")], journal)
    assert [reply.choices for reply in replies] == [(Choice("yes", "hm", "length"),)] * 2
    with again(journal) as second:
        assert client(server).complete([ask("tag"), ask("field")], second) == replies


def test_null_content_and_broken_characters_do_no_harm(journal):
    def behave(body, count):
        content = None if count == 1 else "half \ud83d emoji \u0000 and \u2028 line"
        return {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}

    with Server(behave) as server:
        asker = client(server, max_concurrency=1)
        replies = asker.complete([ask("a \ud800 b"), ask("b")], journal)
    assert got(replies[0]) == ("",)
    assert got(replies[1]) == ("half ? emoji \u0000 and \u2028 line",)
    with again(journal) as second:
        assert asker.complete([ask("a \ud800 b"), ask("b")], second) == replies
    assert llm_calls(journal.path.parents[2], "responses", "b1").height == 2


def test_the_key_is_never_shown(journal, caplog):
    caplog.set_level(logging.DEBUG)
    shown = []

    def behave(body, count):
        if body["messages"][0]["content"] == "bad":
            return 400, {"error": {"message": f"bad request with key {KEY}"}}
        if body["messages"][0]["content"] == "stop":
            return 401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}
        return (500, {"error": {"message": KEY}}) if count == 1 else None

    with Server(behave) as server:
        asker = client(server)
        asker.complete([ask(), ask("bad")], journal, lambda p: shown.append(repr(p) + str(p)))
        with pytest.raises(AccessDenied) as stopped:
            asker.complete([ask("stop")], journal)
    trace = "".join(traceback.format_exception(stopped.value))
    everything = [trace, repr(asker), caplog.text, journal.path.read_text(), *shown]
    assert "Incorrect API key provided: ***" in trace
    assert not any(KEY in text for text in everything)


def test_models_are_listed():
    with Server() as server:
        assert client(server).models() == ["tiny", "other"]
    with pytest.raises(EndpointError, match=server.url):
        client(server).models()
