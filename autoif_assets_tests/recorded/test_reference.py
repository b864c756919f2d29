"""The reference checkers agree with the texts that are clear, and leave the others alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets_tests.recorded.readings import prose, words
from autoif_assets_tests.recorded.recording import packaged_seeds
from autoif_assets_tests.recorded.reference import REFERENCES


def test_every_packaged_seed_has_a_reference():
    assert set(REFERENCES) == set(packaged_seeds()["instruction"])


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES)
def test_clear_texts(reference):
    assert len(reference.labelled) == len(dict(reference.labelled)) >= 8
    assert min(len(reference.obeys), len(reference.breaks)) >= 3
    wrong = [text for text, obeys in reference.labelled if reference.check(text) is not obeys]
    assert wrong == []


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        ("Use no more than 75 words in the whole response.", prose(72) + " A well-known end."),
        ("Answer in exactly four sentences.", "It costs 3.5 euros. Is it worth it? No. Go."),
        ("Give each paragraph at least three sentences.", "A.\nB.\nC."),
        ('Mention the word "lantern" somewhere in the response.', "Many lanterns hung there."),
        ('Do not use the word "very".', "It was very-good."),
        ("Write the entire response in capital letters.", "123"),
        ("Write the response without any full stops.", "It costs 3.5 euros"),
        ("Return the whole answer as one valid JSON object.", '```json\n{"a": 1}\n```'),
        ('Mention "spring" before the first mention of "winter".', "It is spring."),
        ("Arrange the lines of the answer in alphabetical order.", "apple\nBanana\ncherry"),
        ("Put a number in the first sentence.", "Two people came."),
        ("Mention at least one four-digit year.", "We sold 1500 of them."),
        ("Start and end the response with the same word.", "Yes."),
        ("Do not use the same word twice in a row.", "No, no, not at all."),
    ],
)
def test_what_is_not_clear_is_not_judged(instruction, text):
    assert REFERENCES[instruction].check(text) is None


@given(st.text(alphabet=" \n\r\t.!?,;:-#*|`[](){}\"'5$%aeozMZ0αя😀ünoteRain\0\ud800", max_size=80))
def test_any_text_gets_an_answer(text):
    for reference in REFERENCES.values():
        assert reference.check(text) in (True, False, None), reference.instruction


@pytest.mark.parametrize("count", [1, 75, 120, 200])
def test_prose_has_so_many_words(count):
    assert len(words(prose(count))) == len(prose(count).split()) == count
