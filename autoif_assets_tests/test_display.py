"""Texts as a terminal or a page may show them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.display import displayed

CONTROLS = st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])
TEXTS = st.text(st.one_of(st.characters(), CONTROLS), max_size=60)
_JOINERS = "\u200c\u200d"


@given(TEXTS)
def test_nothing_that_directs_a_display_is_left(text):
    shown = displayed(text)
    for letter in shown:
        directs = unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        assert not directs or letter in "\n\t" + _JOINERS
    # What is left is what was there, in its order, and shown again it is the same.
    rest = iter(text)
    assert all(letter in rest for letter in shown)
    assert displayed(shown) == shown


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_letters_signs_and_blanks_stay(text):
    assert displayed(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb\x1b]0;title\x07", "a[31mb]0;title"),
        ("two\r\nlines\tand\u2028more", "two\nlines\tandmore"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("\x9b2Jgone\x7f", "2Jgone"),
        ("half \ud800 a letter", "half  a letter"),
        ("👩\u200d🔬 می\u200cخواهم", "👩\u200d🔬 می\u200cخواهم"),
        ("soft\u00adhyphen\ufeff", "softhyphen"),
    ],
)
def test_examples(text, shown):
    assert displayed(text) == shown
