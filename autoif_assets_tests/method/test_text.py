import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method import readable
from autoif_assets.method.ids import normalise
from autoif_assets.method.text import (
    duplicates,
    length_of,
    near_duplicate_keys,
    near_duplicates,
    trimmed,
)


def repeats(first, second):
    return near_duplicates(pl.Series([first, second])).to_list() == [None, 0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Use at least three commas.", "use at least 3 commas"),
        ("Use at least three commas.", "Your response should contain at least 3 commas."),
        ("Include a minimum of two emoji.", "Please include at least two emoji in your answer!"),
        ("Do not use any commas.", "Avoid using commas in the entire response."),
        ("Use no more than 75 words.", "Use at most 75 words."),
        ("Don't use the word 'very'.", 'Do not use the word "very"'),
        ("Make sure to use exactly one semicolon.", "Use exactly one semicolon"),
        ("How do I bake bread?", "how to bake bread"),
        ("Could you write a poem about a cat?", "Write a poem about cats"),
        ("Give me a step-by-step plan", "Give me a step by step plan."),
        ("What’s the capital of Peru?", "what's the  capital of Peru"),
        ("请用三句话回答。", "用 3 句话回答！"),
        ("不要使用逗号，也不要使用句号。", "请不要使用逗号也不要使用句号"),
        ("使用「春天」。", "请使用「春天」"),
        ("3つの文で答えてください。", "３つの文で答えて"),
        ("세 문장으로 대답하세요.", "세문장으로 대답하세요"),
    ],
)
def test_wording_does_not_matter(first, second):
    assert repeats(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Use at least 100 words.", "Use at least 200 words."),
        ("Use at least three words.", "Use at least four words."),
        ("Use at least 100 words.", "Use at most 100 words."),
        ("Use fewer than 100 words.", "Use no more than 100 words."),
        ("Write in all capital letters.", "Write in all lowercase letters."),
        ("Use only the first half of the alphabet.", "Use only the second half of the alphabet."),
        ('Mention the word "river".', 'Mention the word "lake".'),
        ('Start with "Hello"', 'Start with "hello"'),
        ("Start with 'yes'.", "Start with 'no'."),
        ("Mention spring before winter.", "Mention winter before spring."),
        ("Use commas.", "Do not use commas."),
        ("Use the # sign once.", "Use the * sign once."),
        ("How do I sort a vector in C++?", "How do I sort a vector in C?"),
        ("What is 5!", "What is 5?"),
        ("Which foods hold vitamin A?", "Which foods hold vitamin B?"),
        ("Which foods hold vitamin A?", "Which foods hold vitamins?"),
        ("What is -5 + 2?", "What is 5 + 2?"),
        ("Round 3.5 up", "Round 35 up"),
        ("请用三句话回答。", "请用四句话回答。"),
        ("请使用逗号。", "请不要使用逗号。"),
        ("使用「春天」。", "使用「秋天」。"),
        ("先写春天再写秋天。", "先写秋天再写春天。"),
        ("1.5倍", "15倍"),
        ("쉼표를 쓰세요.", "쉼표를 쓰지 마세요."),
    ],
)
def test_meaning_matters(first, second):
    assert not repeats(first, second)


def test_points_to_the_first_of_all_repeats():
    texts = pl.Series(["Use commas.", None, "Use dots.", "use commas", "", "USE COMMAS!", "", None])
    assert near_duplicates(texts).to_list() == [None, None, None, 0, None, 0, None, None]


def test_texts_without_content_repeat_nothing():
    assert near_duplicates(pl.Series(["please", "Could you, please?", " "])).to_list() == [None] * 3


def test_no_texts():
    assert near_duplicates(pl.Series([], dtype=pl.String)).to_list() == []
    assert duplicates(pl.Series([], dtype=pl.String)).to_list() == []


def test_exact_duplicates_ignore_white_space_and_unicode_form_only():
    texts = pl.Series(["caf\u00e9 noir", " cafe\u0301\n noir", "Caf\u00e9 noir", None, None])
    assert duplicates(texts).to_list() == [None, 0, None, None, None]


WORDS = (
    'Use the a no at least most three 3 four 40 "x" "X" \'y\' comma commas, word. # C++ A 5! not'
    " response your in - can you don't é 数"
)
words = st.sampled_from(WORDS.split())
texts = st.lists(words, max_size=8).map(" ".join)


@given(st.lists(st.one_of(texts, st.text(max_size=20), st.none()), max_size=12))
def test_every_row_points_to_an_earlier_first_row_of_its_key(rows):
    series = pl.Series(rows, dtype=pl.String)
    keys = near_duplicate_keys(series).to_list()
    for row, earlier in enumerate(near_duplicates(series)):
        if keys[row] is None:
            assert earlier is None
        else:
            first = keys.index(keys[row])
            assert earlier == (first if first < row else None)


@given(st.one_of(texts, st.text(max_size=40)))
def test_a_text_repeats_itself_if_it_says_anything(text):
    keys = near_duplicate_keys(pl.Series([text, f"  {text}\n"])).to_list()
    assert keys[0] == keys[1]
    if re.search(r"[0-9]", text):
        assert repeats(text, text)


@given(texts, texts)
def test_other_quoted_parts_or_numbers_never_repeat(first, second):
    def guarded(text):
        quoted = re.findall(r'"(.*?)"|\B\'(.*?)\'\B', text)
        outside = re.sub(r'".*?"|\B\'.*?\'\B', " ", text.lower())
        spoken = outside.replace("three", "3").replace("four", "4")
        return quoted, re.findall(r"\d+", spoken)

    if guarded(first) != guarded(second):
        assert not repeats(first, second)


@given(st.lists(st.text(max_size=6), max_size=8))
def test_exact_duplicates_are_those_of_normalise(rows):
    found = duplicates(pl.Series(rows, dtype=pl.String)).to_list()
    keys = [normalise(row) for row in rows]
    first = [keys.index(key) for key in keys]
    assert found == [f if f < row else None for row, f in enumerate(first)]


def test_keys_do_not_depend_on_the_other_texts():
    texts = pl.Series(["Use three commas.", 'Say "a"', None, "x"])
    alone = [near_duplicate_keys(texts[i : i + 1])[0] for i in range(4)]
    assert near_duplicate_keys(texts).to_list() == alone


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("hello", 5),
        ("春眠不觉晓", 10),
        ("ひらがな", 8),
        ("カ", 2),
        ("안녕 a", 6),
        ("", 0),
        ("é—", 2),
    ],
)
def test_a_character_of_chinese_japanese_or_korean_is_as_long_as_two(text, length):
    assert pl.select(length_of(pl.lit(text))).item() == length


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        (" \n\t", ""),
        (" yes \n", "yes"),
        ("    x = 1\n", "x = 1"),
        ("\n  \n    if x:\n        y\n\n", "    if x:\n        y"),
        ("\tif x:\n\t\ty", "\tif x:\n\t\ty"),
        (" Sure:\n- a", "Sure:\n- a"),
        ("  Sure:\nx", "Sure:\nx"),
        ("\r\n  a\r\n  b\r\n", "  a\r\n  b"),
    ],
)
def test_space_around_a_text_goes_and_the_indentation_of_code_stays(text, left):
    assert readable.trimmed(text) == left
    assert pl.select(trimmed(pl.lit(text))).item() == left


@given(st.text(st.sampled_from(" \t\n\r\u2028\x0b\u00a0ab"), max_size=12))
def test_a_column_is_trimmed_as_a_text(text):
    assert pl.select(trimmed(pl.lit(text))).item() == readable.trimmed(text)
    assert readable.trimmed(text).strip() == text.strip()
