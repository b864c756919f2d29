"""Every setting of an endpoint: what it may hold, and what of it is shown."""

import pytest

from autoif_assets.endpoint import Client, Credentials, EndpointError, EndpointSettings
from autoif_assets.endpoint.settings import read_headers


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/v1/", "http://host/v1"),
        ("https://host:8000/v1?api-version=1&key=hunter2#there", "https://host:8000/v1"),
        ("HTTP://[::1]:80/v1", "http://[::1]:80/v1"),
    ],
)
def test_a_url_is_shown_without_its_query(url, shown):
    assert EndpointSettings(base_url=url).public_url == shown


@pytest.mark.parametrize(
    ("urls", "each"),
    [
        ("http://a/v1", ["http://a/v1"]),
        ("http://a/v1, http://b/v1?x=1,2,HTTPS://c/v1,", ["http://a/v1", "http://b/v1?x=1,2"]),
        (["http://a/v1", "http://b/v1"], ["http://a/v1", "http://b/v1"]),
        ("http://a/v1,http://a/v1/", ["http://a/v1/"]),
    ],
)
def test_several_urls_are_replicas(urls, each):
    settings = EndpointSettings(base_url=urls)
    assert [one.base_url for one in settings.replicas][: len(each)] == each
    assert settings.public_url == ",".join(one.public_url for one in settings.replicas)
    assert "?" not in settings.public_url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://a/v1,b:8000/v1", "with a comma between"),
        ("http://a/v1,http://me:hunter2@b/v1", "AUTOIF_API_KEY"),
        ("localhost:8000/v1", "not the URL of an endpoint"),
        ("ftp://host/v1", "not the URL of an endpoint"),
        ("http://", "not the URL of an endpoint"),
        ("http://host:99999/v1", "not the URL of an endpoint"),
        ("http://[::1/v1", "not the URL of an endpoint"),
        ("http://me:hunter2@host/v1", "AUTOIF_API_KEY"),
    ],
)
def test_a_bad_url_is_refused_without_showing_its_password(url, words):
    with pytest.raises(EndpointError, match=words) as refused:
        Client(EndpointSettings(base_url=url))
    assert "hunter2" not in str(refused.value)


def test_the_key_is_taken_without_the_blanks_around_it_and_not_shown():
    credentials = Credentials(" sk-secret\n", {"X-Team": "x-secret"})
    assert credentials.api_key == "sk-secret"
    assert "secret" not in repr(credentials)
    assert credentials.texts() == {"sk-secret", "x-secret"}


def test_headers_are_read_from_their_variable(monkeypatch):
    assert read_headers("") == read_headers("AUTOIF_NO_SUCH_VARIABLE") == {}
    monkeypatch.setenv("AUTOIF_EXTRA_HEADERS", '{"X-Team": " a ", "X-Route": "b"}')
    assert EndpointSettings().credentials.headers == {"X-Team": "a", "X-Route": "b"}


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        '["hunter2"]',
        '{"a": 7, "b": "hunter2"}',
        '{"a b": "hunter2"}',
        '{"": "hunter2"}',
        '{"a:": "hunter2"}',
        '{"a": "hunter2\\r\\nB: c"}',
        '{"a": "hünter2"}',
    ],
)
def test_headers_that_cannot_be_sent_are_refused_and_not_shown(monkeypatch, text):
    monkeypatch.setenv("AUTOIF_JUDGE_EXTRA_HEADERS", text)
    with pytest.raises(EndpointError, match="AUTOIF_JUDGE_EXTRA_HEADERS is not a") as refused:
        read_headers("AUTOIF_JUDGE_EXTRA_HEADERS")
    assert "nter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"n": 3, "stream": True, "top_k": 1}, "extra_body holds n, stream, which"),
        ({"temperature": 1}, "settings of their own"),
        ({"a": float("nan")}, "no JSON"),
        ({"a": object()}, "no JSON"),
        ({"a": "\ud800"}, "no JSON"),
    ],
)
def test_fields_that_are_not_to_be_set_or_cannot_be_sent_are_refused(body, words):
    with pytest.raises(EndpointError, match=words):
        Client(EndpointSettings(extra_body=body))


def test_every_variable_is_named_after_its_setting():
    named = {name: EndpointSettings.variable(name) for name in EndpointSettings.model_fields}
    assert named == {
        "base_url": "AUTOIF_BASE_URL",
        "model": "AUTOIF_MODEL",
        "api_key_variable": "AUTOIF_API_KEY",
        "extra_headers_variable": "AUTOIF_EXTRA_HEADERS",
        "extra_body": "AUTOIF_EXTRA_BODY",
        "system_prompt": "AUTOIF_SYSTEM_PROMPT",
        "temperature": None,
        "max_tokens": None,
        "thinking_tokens": "AUTOIF_THINKING_TOKENS",
        "max_concurrency": "AUTOIF_MAX_CONCURRENCY",
        "timeout_s": None,
        "max_outage_s": "AUTOIF_MAX_OUTAGE",
        "price_prompt": "AUTOIF_PRICE_PROMPT",
        "price_cached": "AUTOIF_PRICE_CACHED",
        "price_completion": "AUTOIF_PRICE_COMPLETION",
        "max_failed_share": "AUTOIF_MAX_FAILED_SHARE",
        "refresh": None,
        "ask_refused": None,
    }
    assert EndpointSettings.variable("model", "AUTOIF_JUDGE") == "AUTOIF_JUDGE_MODEL"
