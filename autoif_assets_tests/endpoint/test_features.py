"""What a server does not take is learnt once, and asked for in a simpler form from then on."""

import json

import pytest

from autoif_assets.endpoint import Features, TooManyFailed
from autoif_assets.endpoint.responses import refused_content
from autoif_assets.method.prompts import NLI
from autoif_assets_tests.endpoint.asking import again, ask, client, got, texts
from autoif_assets_tests.endpoint.server import Server, answer


def prompt_of(body):
    return body["messages"][-1]["content"]


def refusing(*names, status=422, named=True):
    """A ``behave`` that refuses requests with any of these fields."""

    def behave(body, count):
        for name in names:
            if name in body:
                words = f"Unsupported parameter: '{name}'" if named else "Invalid request"
                return status, {"error": {"message": words}}
        return None

    return behave


def carrying(server, name):
    return sum(name in body for body in server.bodies)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", ["seed", "temperature", "max_tokens"])
def test_a_refused_parameter_is_left_out_or_renamed_after_one_request(journal, name, named):
    features = Features()
    with Server(refusing(name, named=named)) as server:
        asker = client(server, features=features)
        requests = [ask(f"p{i}", n=2) for i in range(20)]
        assert all(reply.error is None for reply in asker.complete(requests, journal))
        # Another asset of the run asks through another client.
        client(server, features=features).complete([ask("next")], journal)
        assert carrying(server, name) <= (1 if named else 4)
        renamed = carrying(server, "max_completion_tokens")
        assert renamed == (21 if name == "max_tokens" else 0)
        kept = {"seed", "temperature", "max_tokens"} - {name}
        assert all(carrying(server, other) >= 21 for other in kept)
    (note,) = features.notes
    assert f"refuses {name}" in note


def test_a_server_that_refuses_everything_but_the_prompt_is_asked_for_that(journal):
    fields = ("seed", "temperature", "max_tokens", "response_format")
    features = Features()
    with Server(refusing(*fields)) as server:
        requests = [ask(f"p{i}", n=3, schema=NLI.schema, role="nli") for i in range(10)]
        replies = client(server, features=features).complete(requests, journal)
        assert all(len(reply.choices) == 3 for reply in replies)
        assert len(server.bodies) == 10 + len(fields)
    assert len(features.notes) == len(fields)


def test_one_temperature_may_be_refused_and_another_not(journal):
    def behave(body, count):
        if body.get("temperature", 1.0) != 1.0:
            return 400, {"error": {"message": "'temperature' supports only the default (1)"}}
        return None

    with Server(behave) as server:
        asker = client(server, max_concurrency=1)
        requests = [ask("a"), ask("b", temperature=0.8), ask("c", temperature=0.8), ask("d")]
        assert all(reply.error is None for reply in asker.complete(requests, journal))
        told = {prompt_of(body): body.get("temperature") for body in server.bodies}
        assert told == {"a": 1.0, "b": None, "c": None, "d": 1.0}
        assert len(server.bodies) == 5


def test_what_is_left_out_is_part_of_no_calls_id(journal):
    with Server(refusing("seed")) as server:
        first = client(server).complete([ask(n=2)], journal)
        asked = len(server.bodies)
    with Server() as server, again(journal) as second:
        assert client(server).complete([ask(n=2)], second) == first
        assert (asked, len(server.bodies)) == (2, 0)


@pytest.mark.parametrize("feature", ["response_format", "n"])
def test_a_server_that_breaks_on_a_feature_is_asked_without_it(journal, monkeypatch, feature):
    """Before, it counted as away: the run waited for the whole outage and died."""
    monkeypatch.setattr("autoif_assets.endpoint.availability._BACKOFF_S", 0.02)
    features = Features()
    with Server(refusing(feature, status=500, named=False)) as server:
        requests = [ask(f"p{i}", n=2, schema=NLI.schema, role="nli") for i in range(30)]
        asker = client(server, features=features, max_concurrency=8)
        replies = asker.complete(requests, journal)
        assert [got(reply) for reply in replies] == [texts(f"p{i}", 2) for i in range(30)]
        # The first alone tried it again and again; those that were sent next confirmed it.
        assert carrying(server, feature) <= 4 + 8 + 3
        client(server, features=features).complete([ask("z", n=2, schema=NLI.schema)], journal)
        assert len([body for body in server.bodies[-2:] if feature in body]) == 0
    assert "500" in features.notes[0]


def test_what_was_answered_once_is_not_given_up_for_errors_of_the_server(journal, monkeypatch):
    monkeypatch.setattr("autoif_assets.endpoint.availability._BACKOFF_S", 0.01)
    features = Features()
    failing = {"left": 0}

    def behave(body, count):
        failing["left"] -= 1
        return 500 if failing["left"] >= 0 else None

    with Server(behave) as server:
        asker = client(server, features=features, max_concurrency=1)
        asker.complete([ask("a", n=2, schema=NLI.schema)], journal)
        failing["left"] = 6
        asker.complete([ask("b", n=2, schema=NLI.schema)], journal)
        assert all("response_format" in body and body["n"] == 2 for body in server.bodies)
    assert features.notes == []


def test_the_first_request_is_alone_and_an_answer_lets_the_others_go(journal):
    open_before = []
    with Server(lambda body, count: open_before.append(server.open), latency_s=0.05) as server:
        client(server).complete([ask(f"p{i}") for i in range(20)], journal)
        assert server.most_open > 5
    assert open_before[0] == 1


@pytest.mark.parametrize(
    ("status", "body", "content"),
    [
        (400, {"error": {"message": "This model's maximum context length is 8 tokens"}}, "length"),
        (400, {"error": {"message": "no", "code": "context_length_exceeded"}}, "length"),
        (400, {"error": {"message": "x", "type": "exceed_context_size_error"}}, "length"),
        (400, {"message": "The decoder prompt is longer than the maximum model length"}, "length"),
        (413, {}, "length"),
        (400, {"error": {"message": "no", "code": "content_filter"}}, "filter"),
        (400, {"error": {"message": "Azure OpenAI's content management policy"}}, "filter"),
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}, None),
        (400, {"error": {"message": "messages must alternate"}}, None),
        (500, {"error": {"message": "context length"}}, None),
        (400, [], None),
    ],
)
def test_what_a_refusal_is_of(status, body, content):
    assert refused_content(status, json.dumps(body)) == content


def test_a_refusal_that_names_nothing_of_the_row_is_asked_again_by_the_next_run(journal):
    with Server(lambda body, count: 422) as server:
        (reply,) = client(server).complete([ask()], journal)
        assert reply.error
    with Server() as server, again(journal) as second:
        assert got(client(server).complete([ask()], second)[0]) == texts("hello", 1)


def test_what_an_earlier_release_took_for_final_is_asked_again(journal):
    with Server(lambda body, count: 422) as server:
        client(server).complete([ask()], journal)
    line = json.loads(journal.path.read_text().splitlines()[-1])
    del line["content"]
    journal.path.write_text(json.dumps(line | {"final": True}) + "\n")
    with Server() as server, again(journal) as second:
        assert got(client(server).complete([ask()], second)[0]) == texts("hello", 1)


def test_a_refusal_of_the_rows_own_content_is_final_until_a_flag_asks_again(journal):
    words = {"error": {"message": "no", "code": "content_filter"}}
    with Server(lambda body, count: (400, words)) as server:
        (reply,) = client(server).complete([ask(n=2, schema=NLI.schema)], journal)
        assert "400: no" in reply.error
        # No simpler form would help.
        assert len(server.bodies) == 1
    with Server() as server:
        with again(journal) as second:
            assert client(server).complete([ask(n=2, schema=NLI.schema)], second) == [reply]
            assert server.bodies == []
        with again(journal, "run3", ask_refused=True) as third:
            asker = client(server)
            wanted = texts("hello", 2)
            assert got(asker.complete([ask(n=2, schema=NLI.schema)], third)[0]) == wanted
        with again(journal, "run4") as fourth:
            assert got(client(server).complete([ask(n=2, schema=NLI.schema)], fourth)[0]) == wanted
        assert len(server.bodies) == 1


@pytest.mark.parametrize("said", [{"choices": []}, 500])
@pytest.mark.slow
def test_one_broken_row_does_not_look_like_an_outage(journal, said, monkeypatch):
    """Before, the only row that was left was taken for the server, whose time was up soon."""
    monkeypatch.setattr("autoif_assets.endpoint.availability._WORKING_BACKOFF_S", 0.2)

    def behave(body, count):
        return said if prompt_of(body) == "blocked" else None

    with Server(behave) as server:
        requests = [ask(f"p{i}") for i in range(200)] + [ask("blocked")]
        # The tries of that row take longer than the server may be away.
        replies = client(server, max_outage_s=1).complete(requests, journal)
    assert [got(reply) for reply in replies[:-1]] == [texts(f"p{i}", 1) for i in range(200)]
    assert "gave up after" in replies[-1].error


THOUGHT = 300


def thinking(where="tags", needs=THOUGHT):
    """A ``behave`` of a model that thinks first, within the tokens it may have."""

    def behave(body, count):
        most = body.get("max_tokens") or body["max_completion_tokens"]
        said = answer(body)
        for choice in said["choices"]:
            text = choice["message"]["content"]
            whole = most >= needs + 20
            if not whole:
                choice["finish_reason"], text = "length", ""
            if where == "tags":
                text = f"<think>hm{'</think>' if whole else ''}{text}"
            choice["message"]["content"] = text
        if where == "counted":
            said["usage"]["completion_tokens_details"] = {"reasoning_tokens": 200}
        return said

    return behave


@pytest.mark.parametrize("where", ["tags", "counted", "hidden"])
def test_a_model_that_thinks_is_given_room_after_its_first_answer(journal, where):
    features = Features()
    with Server(thinking(where)) as server:
        requests = [ask(f"p{i}", n=2) for i in range(20)]
        replies = client(server, features=features).complete(requests, journal)
        assert [got(reply) for reply in replies] == [texts(f"p{i}", 2) for i in range(20)]
        assert len(server.bodies) == 21
        assert {body["max_tokens"] for body in server.bodies} == {50, 50 + 8192}
    assert "thinks before it answers" in features.notes[0]
    with Server(lambda body, count: 500) as server, again(journal) as second:
        assert client(server).complete(requests, second) == replies


def test_only_what_was_cut_off_is_asked_again_with_more_room(journal):
    def behave(body, count):
        return thinking()(body, count) if prompt_of(body) == "hard" else None

    with Server(behave) as server:
        asker = client(server, thinking_tokens=0)
        _, hard = asker.complete([ask("easy", n=2), ask("hard", n=2)], journal)
        assert [choice.finish_reason for choice in hard.choices] == ["length"] * 2
        with again(journal) as second:
            # With no more room than before there is nothing to ask for.
            assert client(server, thinking_tokens=0).complete([ask("hard", n=2)], second) == [hard]
        assert len(server.bodies) == 2
        with again(journal, "run3") as third:
            asker = client(server, thinking_tokens=400)
            replies = asker.complete([ask("easy", n=2), ask("hard", n=2)], third)
        assert [got(reply) for reply in replies] == [texts("easy", 2), texts("hard", 2)]
        assert [prompt_of(body) for body in server.bodies[2:]] == ["hard"]
        assert server.bodies[-1]["max_tokens"] == 50 + 400


def test_room_for_thoughts_that_a_server_has_no_place_for_is_made_smaller(journal):
    def behave(body, count):
        if body["max_tokens"] > 3000:
            return 400, {"error": {"message": "max_tokens: maximum context length is 3000 tokens"}}
        return thinking()(body, count)

    features = Features()
    with Server(behave) as server:
        requests = [ask(f"p{i}") for i in range(10)]
        replies = client(server, features=features).complete(requests, journal)
    assert [got(reply) for reply in replies] == [texts(f"p{i}", 1) for i in range(10)]
    assert "no place for 8192 tokens" in " ".join(features.notes)


def cut(body, count):
    said = answer(body)
    for choice in said["choices"]:
        choice["finish_reason"] = "length"
    return said


def test_a_run_of_which_too_much_is_cut_off_stops_on_the_way(journal):
    with Server(cut) as server:
        requests = [ask(f"p{i}", n=4) for i in range(1000)]
        with pytest.raises(TooManyFailed) as stopped:
            client(server, max_concurrency=8).complete(requests, journal)
        # A fifth of 4,000, and what was in flight then, of which nothing is lost.
        assert 200 < len(server.bodies) <= 220
    assert len(journal.path.read_text().splitlines()) == len(server.bodies)
    words = str(stopped.value)
    assert "of 4000 completions of tiny at" in words
    assert "were cut off at 50 tokens" in words
    assert "AUTOIF_THINKING_TOKENS" in words and "response_max_tokens" in words


def test_a_run_of_which_too_much_is_not_whole_stops_with_the_servers_word(journal):
    def aborted(body, count):
        said = answer(body)
        for choice in said["choices"]:
            choice["finish_reason"] = "abort"
        return said

    requests = [ask(f"p{i}", n=4) for i in range(100)]
    with Server(aborted) as server, pytest.raises(TooManyFailed) as stopped:
        client(server, max_concurrency=8).complete(requests, journal)
    assert "are not whole (the server ended them by 'abort')" in str(stopped.value)
    with Server() as server, again(journal) as second:
        replies = client(server).complete(requests, second)
        assert [got(reply) for reply in replies] == [texts(f"p{i}", 4) for i in range(100)]


def test_a_share_that_may_fail_lets_the_run_go_on(journal):
    with Server(cut) as server:
        requests = [ask(f"p{i}", n=4) for i in range(100)]
        replies = client(server, max_failed_share=1.0).complete(requests, journal)
        assert len(replies) == 100
