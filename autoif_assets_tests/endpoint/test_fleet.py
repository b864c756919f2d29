"""Several servers that are replicas of one model."""

import socket
import ssl
import subprocess
from collections import Counter
from contextlib import ExitStack

import pytest

from autoif_assets.endpoint import (
    Client,
    EndpointSettings,
    NotServed,
    ServerUnreachable,
    lanes,
    llm_calls,
    presence,
)
from autoif_assets.endpoint.calls import Call, jobs
from autoif_assets.endpoint.checks import check_endpoint, first_problem
from autoif_assets.endpoint.concurrency import Load
from autoif_assets.endpoint.errors import Failure
from autoif_assets.endpoint.features import Features, Form
from autoif_assets.endpoint.lanes import Lane, take_over
from autoif_assets.endpoint.replicas import Replica, stranger
from autoif_assets_tests.endpoint.asking import KEY, again, ask, client_of, got, texts
from autoif_assets_tests.endpoint.server import Server

GONE = "http://127.0.0.1:9/v1"


@pytest.fixture
def servers():
    """Start servers, which stop at the end."""
    with ExitStack() as stack:
        yield lambda count, **how: [stack.enter_context(Server(**how)) for _ in range(count)]


def fleet(servers, **changes):
    urls = ",".join(one if isinstance(one, str) else one.url for one in servers)
    return client_of(urls, **{"key": KEY, "progress_every_s": 0.02, **changes})


def asked(server):
    return [body["messages"][-1]["content"] for body in server.bodies]


def paid(servers):
    return sum((server.completed for server in servers), Counter())


def test_what_begins_alike_goes_to_one_server_and_to_the_same_again(servers, journal):
    three = servers(3)
    # Ports, which differ each time, say who gets what: of so many each server gets some.
    topics = [f"Topic {i} at length. " * 8 for i in range(40)]
    requests = [ask(f"{topic}Question {q}") for q in range(2) for topic in topics]
    replies = fleet(three).complete(requests, journal)
    assert [got(reply) for reply in replies] == [texts(one.prompt, 1) for one in requests]
    homes = [{i for i, one in enumerate(three) if any(t in p for p in asked(one))} for t in topics]
    assert all(len(home) == 1 for home in homes)
    assert len(set.union(*homes)) == 3
    # In another order of the URLs, and asked for other things.
    before = [len(one.bodies) for one in three]
    fleet(three[::-1]).complete([ask(f"{topic}Other") for topic in topics], journal)
    later = [set(asked(one)[n:]) for one, n in zip(three, before, strict=True)]
    assert [{i for i, p in enumerate(later) if f"{t}Other" in p} for t in topics] == homes


def test_what_one_server_cannot_take_goes_to_those_with_room(servers, journal):
    """All prompts begin alike, and 4 at a time are all that a server is trusted with."""
    three = servers(3, latency_s=0.05)
    asker = fleet(three, max_concurrency=4)
    beginning = "The same for all. " * 20
    far = [ask("A first that is not alike")]
    asker.complete([*far, *(ask(f"{beginning}{i}") for i in range(60))], journal)
    assert min(len(one.bodies) for one in three) >= 10
    assert max(one.most_open for one in three) <= 4
    assert set(paid(three).values()) == {1}


def lane(server, in_flight=0, ready=0, met=True):
    features = Features()
    features.met = met
    settings = EndpointSettings(base_url=f"http://{server}/v1", model="tiny")
    made = Lane(Replica(settings), None, features, 20.0, alone=False)
    made.in_flight = in_flight
    calls = [Call(str(i), ask(f"prompt {i}"), {}) for i in range(ready)]
    made.ready.extend(job for call in calls for job in jobs(call))
    return made


def test_a_server_with_nothing_left_takes_from_the_one_that_has_most():
    idle, giver = lane("idle"), lane("giver", in_flight=64, ready=3)
    least = lane("least", in_flight=64, ready=2)
    last = giver.ready[-1]
    assert take_over(idle, [least, giver, idle])
    assert list(idle.ready) == [last] and (len(giver.ready), len(least.ready)) == (2, 2)


def test_nothing_is_taken_from_a_server_with_room_nor_by_one_whose_queue_is_long():
    idle, giver = lane("idle"), lane("giver", in_flight=63, ready=3)
    assert not take_over(idle, [giver, idle])
    # By its own figures one of three that it was sent waits there.
    giver.seen(Load(running=40, waiting=20, kv_usage=0, preemptions=0), more=True)
    assert take_over(idle, [giver, idle])
    idle.in_flight = 2
    idle.seen(Load(running=64, waiting=64, kv_usage=0, preemptions=0), more=True)
    assert not take_over(idle, [giver, idle])


def test_what_is_tried_in_simpler_forms_stays_until_its_server_is_away():
    idle, giver = lane("idle"), lane("giver", in_flight=64, ready=1)
    giver.ready[0].refused[Form(1)] = "no"
    assert not take_over(idle, [giver, idle])
    giver.availability.note_failure(Failure("connection", "refused"))
    assert giver.is_away and take_over(idle, [giver, idle])
    assert idle.ready[0].refused == {}


def test_what_is_in_flight_to_a_server_that_no_connection_reaches_is_given_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])
    one = lane("one")
    one.tasks = {"job": "task"}
    unmade = Failure("connection", "no route")
    assert one.missed(unmade) == [] and one.is_away
    now[0] += 30
    assert one.missed(Failure("timeout", "slow")) == []
    assert one.missed(unmade) == []
    now[0] += 30
    assert one.missed(unmade) == [("job", "task")]


@pytest.mark.slow
def test_a_server_that_dies_loses_its_requests_to_the_others_and_is_tried_again(journal):
    """The others wait for it to be back, which only a try can tell."""
    mortal = Server(latency_s=0.02)
    with ExitStack() as stack, ExitStack() as life:
        life.enter_context(mortal)
        reborn, dead = Server(port=mortal.port), []

        def behave(body, count):
            return 503 if count > 60 and not reborn.bodies else None

        others = [stack.enter_context(Server(behave, latency_s=0.02)) for _ in range(2)]

        def report(progress):
            if progress.done > 50 and not dead:
                life.close()
                dead.append(mortal)
            elif mortal.url in (progress.outage or "") and len(dead) == 1:
                stack.enter_context(reborn)
                dead.append(reborn)

        requests = [ask(f"prompt {i}") for i in range(300)]
        asker = fleet([*others, mortal], max_concurrency=8)
        replies = asker.complete(requests, journal, report)
    assert [got(reply) for reply in replies] == [texts(one.prompt, 1) for one in requests]
    assert reborn.bodies


def test_one_that_serves_another_model_is_refused_before_anything_is_asked(servers, journal):
    one, other = servers(2)
    other.models = ("else",)
    words = (
        f"{other.url} serves else and not 'tiny' as {one.url} does: the URLs of AUTOIF_BASE_URL "
        "must be replicas of one model."
    )
    with pytest.raises(NotServed) as refused:
        fleet([other, one]).complete([ask()], journal)
    settings = EndpointSettings(base_url=f"{one.url},{other.url}", model="tiny")
    assert str(refused.value) == first_problem(settings, Features(), 0.1, briefly=True) == words
    assert [len(server.bodies) for server in (one, other)] == [0, 0]


def test_a_server_that_is_not_there_from_the_start_is_waited_for_by_none(servers, journal):
    (one,) = servers(1)
    assert got(fleet([GONE, one]).complete([ask()], journal)[0]) == texts("hello", 1)
    settings = EndpointSettings(base_url=f"{GONE},{one.url}", model="tiny")
    assert first_problem(settings, Features(), 0.1) is None
    reports = check_endpoint(settings, n=2)
    assert [report.base_url for report in reports] == [GONE, one.url]
    assert [report.problem is None for report in reports] == [False, True]


def test_all_away_is_an_outage(journal):
    with pytest.raises(ServerUnreachable, match="None of the 2 replicas of tiny is there"):
        fleet([GONE, "http://127.0.0.1:10/v1"], first_contact_s=0.3).complete([ask()], journal)


def test_what_was_paid_is_not_asked_of_another_server(servers, journal, tmp_path):
    one, two, three = servers(3)
    requests = [ask(f"prompt {i}") for i in range(9)]
    fleet([one, two]).complete(requests, journal)
    urls = llm_calls(tmp_path, "responses", "b1")["base_url"]
    assert set(urls) == {server.url for server in (one, two) if server.bodies}
    with again(journal) as later:
        fleet([three, one]).complete(requests, later)
        fleet([three]).complete(requests, later)
    assert three.bodies == []


def test_a_server_that_refuses_what_others_take_is_asked_in_its_own_way(servers, journal):
    (modest,) = servers(1, behave=lambda body, count: 400 if body.get("n", 1) > 1 else None)
    (able,) = servers(1)
    requests = [ask(f"prompt {i}", n=4) for i in range(40)]
    replies = fleet([modest, able]).complete(requests, journal)
    assert [got(reply) for reply in replies] == [texts(one.prompt, 4) for one in requests]
    assert {body.get("n", 1) for body in modest.bodies[2:]} == {1}
    assert {body.get("n", 1) for body in able.bodies} == {4}


def test_one_that_turns_all_away_is_left_to_itself(servers, journal):
    (wrong,) = servers(1, behave=lambda body, count: 404)
    (right,) = servers(1)
    requests = [ask(f"prompt {i}") for i in range(40)]
    replies = fleet([wrong, right]).complete(requests, journal)
    assert all(reply.error is None for reply in replies)
    right.behave = wrong.behave
    with pytest.raises(NotServed):
        fleet([wrong, right]).complete([ask("more")], journal)


def test_a_key_of_the_sdks_variables_goes_to_its_server_alone(servers, journal, monkeypatch):
    meant, other = servers(2)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", meant.url)
    requests = [ask(f"prompt {i}") for i in range(40)]
    asker = Client(EndpointSettings(base_url=f"{meant.url},{other.url}", model="tiny"))
    asker.complete(requests, journal)
    assert {headers.get("Authorization") for headers in meant.headers} == {f"Bearer {KEY}"}
    assert {headers.get("Authorization") for headers in other.headers} == {None}


@pytest.fixture
def addresses(monkeypatch):
    """The addresses of models.test."""
    known, look_up = ["127.0.0.1", "127.0.0.2"], socket.getaddrinfo

    def resolve(host, *arguments, **options):
        hosts = known if host == "models.test" else [host]
        return [place for one in hosts for place in look_up(one, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.mark.slow
@pytest.mark.usefixtures("addresses")
def test_a_name_with_several_addresses_is_several_servers(monkeypatch, servers, journal, tmp_path):
    """Each under the name's certificate and Host header."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate]
    subject = ["-subj", "/CN=models", "-addext", "subjectAltName=DNS:models.test"]
    made = ["openssl", "req", "-x509", *options, *subject]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    (one,) = servers(1, secure=context)
    (two,) = servers(1, secure=context, host="127.0.0.2", port=one.port)
    url = f"https://models.test:{one.port}/v1"
    replies = client_of(url).complete([ask(f"prompt {i}") for i in range(40)], journal)
    assert all(reply.error is None for reply in replies)
    assert one.bodies and two.bodies
    hosts = {headers["Host"] for server in (one, two) for headers in server.headers}
    assert hosts == {f"models.test:{one.port}"}
    assert set(llm_calls(tmp_path, "responses", "b1")["base_url"]) == {url}


def test_an_address_that_comes_later_is_asked_too(monkeypatch, addresses, servers, journal):
    """The others have no answers until it has one."""
    monkeypatch.setattr(presence, "_LOOK_UP_EVERY_S", 0.05)
    late = []

    def behave(body, count):
        return 503 if count > 10 and not late[0].bodies else None

    (one,) = servers(1, behave=behave, latency_s=0.01)
    servers(1, behave=behave, latency_s=0.01, host="127.0.0.2", port=one.port)
    late += servers(1, host="127.0.0.3", port=one.port)
    asker = client_of(f"http://models.test:{one.port}/v1", max_concurrency=2, progress_every_s=0.02)
    asker.complete(
        [ask(f"prompt {i}") for i in range(100)],
        journal,
        lambda progress: addresses.append("127.0.0.3") if progress.done > 10 else None,
    )
    assert late[0].bodies


@pytest.mark.parametrize(
    ("served", "found"),
    [
        ({"a": ["m"], "b": ["x", "m"]}, None),
        ({"a": ["m"], "b": []}, None),
        ({"a": ["x"], "b": ["m"]}, "a"),
        # Servers that answer to any name.
        ({"a": ["x"], "b": ["x", "y"]}, None),
        ({"a": ["x"], "b": ["y"]}, "b"),
    ],
)
def test_who_serves_another_model_is_found(served, found):
    other = stranger("m", served)
    assert (other and other[0]) == found
