"""Numbers and texts as a person reads them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.reports import formatting


@given(st.text(max_size=600), st.integers(1, 80), st.integers(1, 6))
def test_an_excerpt_loses_nothing_and_is_as_short_as_asked(text, chars, lines):
    found = formatting.excerpt(text, len(text), chars, lines)
    clean = formatting.excerpt(text, len(text), 10_000, 10_000)
    assert found.head + found.rest == clean.head
    assert clean.rest == ""
    assert len(found.head) <= chars
    assert found.head.count("\n") <= lines
    assert found.missing == 0
    assert bool(found.head) == bool(text)


@given(st.text(st.characters(categories=["Cc"]), min_size=1))
def test_control_characters_are_shown_as_symbols(text):
    head = formatting.excerpt(text, None).head
    assert not [char for char in head if ord(char) < 32 and char not in "\n\t"]
    assert "\x7f" not in head


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("one two three four", "one two "),
        ("one two\nthree four", "one two\n"),
        ("abcdefghijklmnop", "abcdefghij"),
        ("a\nb\nc\nd", "a\nb\n"),
    ],
)
def test_an_excerpt_ends_at_the_end_of_a_line_or_a_word(text, head):
    assert formatting.excerpt(text, None, 10, 2).head == head


def test_what_was_cut_before_is_counted():
    assert formatting.excerpt("abc", 10).missing == 7
    assert formatting.excerpt(None, None) is None


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "–"),
        (0, 5, "0 %"),
        (1, 1000, "<1 %"),
        (1, 3, "33 %"),
        (999, 1000, ">99 %"),
        (5, 5, "100 %"),
    ],
)
def test_a_share_is_not_rounded_to_none_or_all(part, whole, text):
    assert formatting.percent(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (59.7, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3599.6, "1 h 00 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations(seconds, text):
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0.00"), (1234.5, "1,234.50"), (0.00123, "0.0012")]
)
def test_money(value, text):
    assert formatting.money(value) == text


def test_times_are_in_utc():
    there = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert formatting.moment(there) == "2025-12-31 23:30 UTC"
    assert formatting.moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00 UTC"
