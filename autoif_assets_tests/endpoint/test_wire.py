"""How a server is reached, and what it is told and not told."""

import base64
import json
import logging
import os
import socket
import ssl
import subprocess
import threading
import time
import traceback
from contextlib import contextmanager

import pytest

from autoif_assets.endpoint import (
    Client,
    EndpointError,
    EndpointSettings,
    NotServed,
    ServerUnreachable,
    llm_calls,
)
from autoif_assets.endpoint.settings import sdk_key_variable
from autoif_assets_tests.endpoint.asking import KEY, ask, client, client_of, got, texts
from autoif_assets_tests.endpoint.server import Server

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CANARY = "canary-9f3b"
OPENAI = {
    "OPENAI_API_KEY": "sk-of-openai",
    "OPENAI_ADMIN_KEY": "sk-of-admin",
    "OPENAI_ORG_ID": "org-mine",
    "OPENAI_PROJECT_ID": "proj-mine",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer sk-of-gateway\nX-Mine: x-mine",
    "AZURE_OPENAI_API_KEY": "sk-of-azure",
    "AZURE_OPENAI_AD_TOKEN": "sk-of-directory",
}


@pytest.fixture
def environment(monkeypatch):
    """Set a variable; none of a proxy or of the SDK is set before."""
    for name in [*PROXIES, *map(str.upper, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"]:
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "AZURE_"))]:
        monkeypatch.delenv(name)
    return monkeypatch.setenv


def test_requests_go_through_the_proxy_with_its_password_which_is_never_shown(environment, journal):
    with Server() as server:
        environment("http_proxy", server.url.removesuffix("/v1").replace("//", "//me:hunter2@"))
        asker = client_of("http://model.example/v1", "tiny", first_contact_s=5)
        (reply,) = asker.complete([ask()], journal)
        basic = base64.b64encode(b"me:hunter2").decode()
        assert server.headers[0]["Proxy-Authorization"] == f"Basic {basic}"
    assert got(reply) == texts("hello", 1)
    asker = client_of("http://model.example/v1", "tiny", first_contact_s=0.2)
    with pytest.raises(EndpointError) as away:
        asker.complete([ask("other")], journal)
    assert "hunter2" not in "".join(traceback.format_exception(away.value))


def test_no_proxy_is_heeded(environment, journal):
    with Server() as server, Server() as proxy:
        environment("http_proxy", proxy.url.removesuffix("/v1"))
        environment("no_proxy", "localhost,127.0.0.1")
        client(server).complete([ask()], journal)
        assert (len(server.bodies), len(proxy.bodies)) == (1, 0)


def test_only_trusted_certificates_are_taken(environment, journal, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", *options, *subject]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Server(secure=context) as server:
        asker = client_of(server.url, first_contact_s=0.2)
        with pytest.raises(ServerUnreachable, match="self-signed certificate"):
            asker.complete([ask()], journal)
        assert server.bodies == []
        environment("SSL_CERT_FILE", str(certificate))
        assert got(asker.complete([ask()], journal)[0]) == texts("hello", 1)


def test_a_redirect_is_an_error_that_names_where_it_points_and_sends_nothing_there(journal):
    with Server() as other:
        target = other.url.replace("//", "//me:hunter2@") + "/chat/completions?token=hunter3"
        with Server(lambda body, count: (307, {}, {"Location": target})) as server:
            with pytest.raises(NotServed) as stopped:
                client(server, max_concurrency=2).complete(
                    [ask(f"p{i}") for i in range(9)], journal
                )
            assert len(server.bodies) <= 2
        assert other.bodies == []
    message = str(stopped.value)
    assert server.url in message and f"redirects to {other.url}/chat/completions" in message
    assert "hunter" not in message and "AUTOIF_BASE_URL" in message


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 308])
def test_a_redirect_to_nowhere_is_an_error_too(journal, status):
    with Server(lambda body, count: (status, {})) as server, pytest.raises(NotServed):
        client(server).complete([ask()], journal)


def test_the_query_of_the_url_is_sent_with_every_request_and_not_shown(journal):
    with Server() as server:
        asker = client_of(f"{server.url}/?gateway={CANARY}&b=", key=KEY)
        assert got(asker.complete([ask()], journal)[0]) == texts("hello", 1)
        asker.models()
        assert server.urls == [
            f"/v1/chat/completions?gateway={CANARY}&b=",
            f"/v1/models?gateway={CANARY}&b=",
        ]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert json.loads(journal.path.read_text())["base_url"] == server.url
    with pytest.raises(EndpointError) as away:
        asker.models()
    assert CANARY not in str(away.value) + repr(asker)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/openai", "/openai/deployments/tiny/chat/completions"),
        ("", "/openai/deployments/tiny/chat/completions"),
        ("/openai/deployments/mine", "/openai/deployments/mine/chat/completions"),
    ],
)
def test_azure_gets_its_api_version_deployment_and_kind_of_key(journal, environment, path, sent):
    environment("OPENAI_API_VERSION", "2020-01-01")
    with Server() as server:
        url = server.url.removesuffix("/v1") + path + "?api-version=2024-10-21"
        asker = client_of(url, key=KEY)
        assert got(asker.complete([ask()], journal)[0]) == texts("hello", 1)
        assert server.urls == [f"{sent}?api-version=2024-10-21"]
        assert server.headers[0]["api-key"] == KEY
        assert "Authorization" not in server.headers[0]
        # Its list is not of deployments.
        assert asker.models() == []


def test_azure_without_an_api_version_says_so(journal, environment):
    with pytest.raises(EndpointError, match=r"example\.openai\.azure\.com.*api_version"):
        client_of("https://example.openai.azure.com/openai").complete([ask()], journal)


def test_azures_own_way_of_openais_protocol_is_no_deployment(journal):
    with Server() as server:
        url = server.url.replace("/v1", "/openai/v1?api-version=preview")
        client_of(url, key=KEY).complete([ask()], journal)
        assert server.urls == ["/openai/v1/chat/completions?api-version=preview"]


@pytest.mark.parametrize("path", ["/v1", "/openai?api-version=1"])
def test_without_a_key_no_authorization_is_sent(journal, environment, path):
    for name, value in OPENAI.items():
        environment(name, value)
    environment("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    environment("AZURE_OPENAI_ENDPOINT", "http://127.0.0.1:9")
    with Server() as server:
        asker = client_of(server.url.removesuffix("/v1") + path)
        assert got(asker.complete([ask()], journal)[0]) == texts("hello", 1)
        asker.models()
        for headers in [*server.headers, *server.listed]:
            assert not {"authorization", "api-key"} & {name.lower() for name in headers}
            assert not any(name.lower().startswith("x-stainless") for name in headers)


@pytest.mark.parametrize("path", ["/v1", "/openai?api-version=1"])
def test_what_the_environment_holds_for_openai_goes_to_no_other_server(journal, environment, path):
    for name, value in OPENAI.items():
        environment(name, value)
    with Server() as server:
        for key in ("", KEY):
            asker = client_of(server.url.removesuffix("/v1") + path, key=key)
            asker.complete([ask(f"with {key}")], journal)
            asker.models()
        sent = repr([server.headers, server.listed])
    assert len(server.bodies) == 2
    assert not [value for value in OPENAI.values() if value in sent]
    assert not [text for text in ("sk-of-gateway", "x-mine", "X-Mine") if text in sent]


def test_a_redirected_sdk_gets_no_key_of_its_own(journal, environment):
    """The URL that is set counts, whatever OPENAI_BASE_URL says."""
    with Server() as other, Server() as server:
        environment("OPENAI_BASE_URL", other.url)
        environment("OPENAI_API_KEY", "sk-of-openai")
        client_of(server.url).complete([ask()], journal)
        assert (len(server.bodies), len(other.bodies)) == (1, 0)


def test_the_sdks_variables_count_at_the_server_they_are_meant_for(journal, environment):
    with Server() as server:
        for name, value in OPENAI.items():
            environment(name, value)
        environment("OPENAI_BASE_URL", server.url)
        settings = EndpointSettings(base_url=server.url, model="tiny")
        assert settings.key_variable == "OPENAI_API_KEY"
        Client(settings).complete([ask()], journal)
        headers = server.headers[0]
        assert headers["Authorization"] == "Bearer sk-of-openai"
        assert headers["OpenAI-Organization"] == "org-mine"
        assert headers["OpenAI-Project"] == "proj-mine"
        assert headers["X-Mine"] == "x-mine"
        environment("AUTOIF_API_KEY", KEY)
        assert settings.key_variable == "AUTOIF_API_KEY"
        Client(settings).complete([ask("other")], journal)
        assert server.headers[1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("base_url", "variable"),
    [
        ("https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("https://api.openai.com:443/v1/", "OPENAI_API_KEY"),
        ("http://api.openai.com/v1", ""),
        ("https://api.openai.com.example/v1", ""),
        ("https://mine.openai.azure.com/openai", "AZURE_OPENAI_API_KEY"),
        ("https://theirs.openai.azure.com/openai", ""),
        ("http://127.0.0.1:8000/v1", ""),
        ("https://api.openai.com:99999/v1", ""),
    ],
)
def test_for_whom_the_sdks_keys_are_meant(environment, base_url, variable):
    environment("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/")
    assert sdk_key_variable(base_url) == variable


FURTHER = {
    "extra_body": {"chat_template_kwargs": {"enable_thinking": False}},
    "system_prompt": "Be brief \ud800.",
    "headers": {"X-Team": CANARY, "Authorization": f"Bearer {CANARY}"},
}


@pytest.mark.slow
def test_further_fields_headers_and_the_system_prompt_reach_every_request(journal):
    def behave(body, count):
        return 503 if count <= 10 else None  # enough for a probe

    with Server(behave) as server:
        asker = client(server, max_concurrency=1, **FURTHER)
        replies = asker.complete([ask("a"), ask("b", n=2)], journal)
        asker.models()
        for body in server.bodies:
            assert body["chat_template_kwargs"] == {"enable_thinking": False}
            assert body["messages"][0] == {"role": "system", "content": "Be brief ?."}
            assert [message["role"] for message in body["messages"]] == ["system", "user"]
        for headers in [*server.headers, *server.listed]:
            assert headers["X-Team"] == CANARY
            # A header of one's own counts more than the key.
            assert headers["Authorization"] == f"Bearer {CANARY}"
    assert all(reply.error is None for reply in replies)


@pytest.mark.parametrize("prompt", ["", "Say something."])
def test_they_reach_questions_for_likelihoods(journal, prompt):
    entries = [None, {"7": {"logprob": -0.5}}]
    said = {"choices": [{"prompt_logprobs": entries, "message": {}}], "usage": None}
    with Server(lambda body, count: said) as server:
        (reply,) = client(server, **FURTHER).complete([ask(prompt, scored="text")], journal)
        (body,) = server.bodies
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert server.headers[0]["X-Team"] == CANARY
        roles = [message["role"] for message in body.get("messages", [])]
        assert roles == (["system", "user", "assistant"] if prompt else [])
        assert body.get("prompt") == (None if prompt else "text")
    assert reply.error is None


CONTEXT = [
    {"role": "system", "content": "Be kind \ud800."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So."},
]


@pytest.mark.parametrize("system_prompt", ["", "Be brief."])
@pytest.mark.parametrize("scored", [None, "text"])
def test_what_was_said_before_is_asked_as_messages(journal, system_prompt, scored):
    entries = [None, {"7": {"logprob": -0.5}}]
    said = {"choices": [{"prompt_logprobs": entries, "message": {}}], "usage": None}
    with Server(lambda body, count: said if scored else None) as server:
        model = client(server, system_prompt=system_prompt)
        asked = [ask("And?", scored=scored, context=c) for c in (CONTEXT, CONTEXT[1:], ())]
        assert all(reply.error is None for reply in model.complete(asked, journal))
    systems = [system_prompt] if system_prompt else []
    answer = [("assistant", scored)] if scored else []
    told = [
        [(message["role"], message["content"]) for message in body["messages"]]
        for body in server.bodies
    ]
    turns = [("user", "Why?"), ("assistant", "So."), ("user", "And?"), *answer]
    with_system = [("system", "\n\n".join([*systems, "Be kind ?."])), *turns]
    own = [("system", text) for text in systems]
    alone = [*own, ("user", "And?"), *answer]
    assert sorted(told) == sorted([with_system, [*own, *turns], alone])


def test_an_answer_is_reused_as_long_as_these_are_the_same(journal):
    with Server() as server:
        for further in ({}, FURTHER, {**FURTHER, "headers": {"X-Team": "other"}}):
            for _ in range(2):
                client(server, **further).complete([ask()], journal)
    assert len(server.bodies) == 3


def test_headers_are_never_shown(journal, caplog):
    caplog.set_level(logging.DEBUG)
    shown = []

    def behave(body, count):
        words = f"bad request with {CANARY}, Bearer {CANARY} and {KEY}"
        if count == 1:
            return 500, {"error": {"message": words}}
        status = {"refused": 400, "denied": 401, "moved": 307}.get(body["messages"][-1]["content"])
        return status and (status, {"error": {"message": words}}, {"Location": f"/{CANARY}"})

    with Server(behave) as server:
        asker = client(server, **FURTHER)
        asker.complete([ask(), ask("refused")], journal, lambda p: shown.append(repr(p) + str(p)))
        for prompt in ("denied", "moved"):
            with pytest.raises(EndpointError) as stopped:
                asker.complete([ask(prompt)], journal)
            shown.append("".join(traceback.format_exception(stopped.value)))
    with pytest.raises(EndpointError) as away:
        asker.models()
    shown += [str(away.value), repr(asker), repr(vars(asker)), caplog.text]
    shown.append(llm_calls(journal.path.parents[2], "responses", "b1").write_json())
    shown.append(journal.path.read_text())
    assert "bad request with ***" in shown[-1]
    assert not [text for text in shown if CANARY in text or KEY in text]


@pytest.mark.slow
def test_a_server_that_trickles_is_not_waited_for(journal):
    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.sendall(b"{")
            time.sleep(0.05)

    seen = []
    with listening(trickle) as url, pytest.raises(ServerUnreachable, match=r"within 0\.3 s"):
        client_of(url, timeout_s=0.3, max_outage_s=1).complete([ask()], journal, seen.append)
    assert set(seen[-1].retries) == {"timeout"}


def said(status, *headers, body=b""):
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


BROKEN = {
    "no HTTP": b"garbage\r\n\r\n",
    "a bad status": said(b"abc"),
    "a bad header": said(b"200 OK", b"A\x00: b"),
    "a wrong length": said(b"200 OK", b"Content-Length: x"),
    "a wrong encoding": said(b"200 OK", b"Content-Encoding: gzip", body=b"{}"),
    "a wrong charset": said(b"500 X", b"Content-Type: a/b; charset=x", body=b"\xff"),
    "depth": said(b"200 OK", body=b"[" * 100_000),
    "depth of a refusal": said(b"500 X", body=b"[" * 100_000),
    "a bad date": said(b"503 X", b"Retry-After: Mon, 01 Jan 99999 00:00:00 GMT"),
    "a long header": said(b"200 OK", b"A: " + b"b" * 100_000),
    "a foreign location": said(b"307 X", b"Location: http://[\xff"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_whatever_is_sent_ends_in_an_error_of_our_own(journal, name):
    def send(connection):
        connection.sendall(BROKEN[name])

    with listening(send) as url, pytest.raises(EndpointError):
        client_of(url, first_contact_s=0.2, max_outage_s=0, timeout_s=5).complete([ask()], journal)


@contextmanager
def listening(talk):
    """Take connections, read a request of each and let ``talk`` answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection:
            try:
                connection.recv(2**16)
                talk(connection)
            except OSError:
                pass

    def take():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
