"""What is read from a server's words and headers."""

import email.utils
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.endpoint.budget import Usage
from autoif_assets.endpoint.responses import read_answer, retry_after_s, server_words


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3), ("0.5", 0.5), ("-4", 0), ("soon", 0), ("", 0), ("nan", 0), ("Mon, 99 Foo", 0)],
)
def test_retry_after_in_seconds(value, seconds):
    assert retry_after_s({"retry-after": value}) == seconds


@given(st.integers(-10_000, 10_000))
def test_retry_after_as_a_date(ahead):
    date = email.utils.formatdate(time.time() + ahead, usegmt=True)
    assert abs(retry_after_s({"retry-after": date}) - max(ahead, 0)) < 3


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too long", "code": 400}},
        {"message": "too long", "object": "error"},
        {"detail": "too long"},
        {"error": "too long"},
        "too long",
    ],
)
def test_the_servers_words_are_found_in_every_shape(body):
    assert server_words(json.dumps(body)) == "too long"


def test_words_that_are_no_json_and_none_at_all():
    assert server_words("<h1>Bad gateway</h1>") == "<h1>Bad gateway</h1>"
    assert server_words("") == ""
    assert json.loads(server_words('{"detail": [{"loc": ["n"]}]}')) == [{"loc": ["n"]}]


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_anything_else_than_a_completion_is_said_to_be_none(raw):
    with pytest.raises(ValueError, match=r"completion|whole|JSON"):
        read_answer(raw)


def test_usage_is_read_as_far_as_it_is_given():
    def usage(reported):
        choice = {"message": {"content": "a"}, "finish_reason": "stop"}
        return read_answer(json.dumps({"choices": [choice], "usage": reported}).encode()).usage

    details = {"prompt_tokens_details": {"cached_tokens": 3}}
    assert usage({"prompt_tokens": 5, "completion_tokens": 1, **details}) == Usage(5, 3, 1)
    assert usage({"prompt_tokens": 5, "prompt_tokens_details": None}) == Usage(5, None, None)
    assert usage(None) == Usage()


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        ({"content": "yes", "reasoning": "hm"}, "hm"),
        ({"content": "yes", "reasoning_content": "hm"}, "hm"),
        ({"content": "yes", "reasoning": None, "reasoning_content": None}, None),
        ({"content": [{"type": "text", "text": "y"}, {"text": "es"}]}, None),
        ({"content": [{"type": "text", "text": None}, {"type": "text", "text": "yes"}]}, None),
        ({"content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "yes"}]}, "hm"),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "yes"},
                ]
            },
            "hm",
        ),
        ({"content": [{"type": "refusal", "text": "no"}, {"type": "text", "text": "yes"}]}, None),
    ],
)
def test_the_reasoning_is_read_wherever_it_stands(message, reasoning):
    (choice,) = read_answer(json.dumps({"choices": [{"message": message}]}).encode()).choices
    assert (choice["text"], choice["reasoning"]) == ("yes", reasoning)
