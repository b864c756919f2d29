"""What of the completions may lack: too much of what fails stops a run, what a filter stops not."""

import pytest

from autoif_assets.endpoint import EndpointSettings, Features, Shortfalls, TooManyFailed
from autoif_assets_tests.endpoint.asking import again, ask, client, got, texts
from autoif_assets_tests.endpoint.server import Server, answer

FILTER = (400, {"error": {"message": "no", "code": "content_filter"}})
TOO_LONG = (400, {"error": {"message": "maximum context length is 9 tokens"}})
REQUESTS = [ask(f"p{i}", n=2) for i in range(10)]


def number_of(body):
    return int(body["messages"][-1]["content"][1:])


def stops(said, share):
    """A ``behave`` that says the same to a share of the ten prompts."""

    def behave(body, count):
        if number_of(body) >= 10 * share:
            return None
        return said(body) if callable(said) else said

    return behave


def ended_by_filter(body):
    said = answer(body)
    for choice in said["choices"]:
        choice["finish_reason"] = "content_filter"
    return said


def checked(replies, **settings):
    shortfalls = Shortfalls(
        EndpointSettings(base_url="http://h/v1", model="tiny", **settings), Features()
    )
    for request, reply in zip(REQUESTS, replies, strict=True):
        shortfalls.add(request, reply)
    shortfalls.check()


@pytest.mark.parametrize("said", [FILTER, ended_by_filter])
def test_what_a_filter_stops_is_a_verdict_on_its_row(journal, said):
    """Before, a batch with more of them than may fail was never complete: they are final."""
    with Server(stops(said, 0.5)) as server:
        checked(client(server).complete(REQUESTS, journal))
    with Server() as server, again(journal) as second:
        checked(client(server).complete(REQUESTS, second))
        assert server.bodies == []


@pytest.mark.parametrize("said", [FILTER, ended_by_filter])
def test_where_a_filter_stops_every_call_there_is_no_stage(journal, said):
    with Server(stops(said, 1)) as server:
        replies = client(server).complete(REQUESTS, journal)
    with pytest.raises(TooManyFailed, match=r"20 of 20 .* stopped by a filter .* --ask-refused"):
        checked(replies)
    checked(replies, max_failed_share=1.0)


@pytest.mark.parametrize("said", [FILTER, ended_by_filter])
def test_one_flag_asks_again_what_a_filter_stopped(journal, said):
    with Server(stops(said, 0.5)) as server:
        client(server).complete(REQUESTS, journal)
    with Server() as server, again(journal, ask_refused=True) as second:
        replies = client(server).complete(REQUESTS, second)
        assert len(server.bodies) == 5
    assert [got(reply) for reply in replies] == [texts(f"p{i}", 2) for i in range(10)]


def test_what_is_too_long_for_the_server_stops_a_stage(journal):
    """Its context and what is kept free for answers are settings, which a person can mend."""
    with Server(stops(TOO_LONG, 0.5)) as server:
        replies = client(server).complete(REQUESTS, journal)
    with pytest.raises(TooManyFailed, match=r"10 of 20 .* context length .* --ask-refused"):
        checked(replies)


def test_the_share_is_of_what_a_filter_lets_through(journal):
    def behave(body, count):
        number = number_of(body)
        return FILTER if number < 7 else TOO_LONG if number < 8 else None

    with Server(behave) as server:
        replies = client(server).complete(REQUESTS, journal)
    # One prompt of ten, and one of the three that no filter stops.
    with pytest.raises(TooManyFailed, match=r"2 failed .* 14 were stopped by a filter"):
        checked(replies)
