"""What of a completion is judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.rewards import SPECIALS, answer_of

# An answer's own letters: no mark of a chat template or a thought begins with them.
PLAIN = st.text(st.characters(exclude_characters="<[◁"), min_size=1).filter(
    lambda text: text.strip() and "assistant" not in text
)


@pytest.mark.parametrize("mark", SPECIALS)
def test_marks_of_templates_are_taken_off_the_ends(mark):
    assert answer_of(f"{mark}The answer.{mark}\n{mark}") == "The answer."


@pytest.mark.parametrize("mark", SPECIALS)
def test_marks_in_the_midst_are_the_answers_own(mark):
    assert answer_of(f"Write {mark} here.") == f"Write {mark} here."


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("<think>hm</think>\n\nYES<|im_end|>", "YES"),
        ("hm</think>YES<|im_end|><|endoftext|>", "YES"),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nYES<|eot_id|>", "YES"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final"
         "<|message|>YES<|return|>", "YES"),
        ("<think>it never ends", ""),
        ("<think>all</think>", ""),
        (" \n", ""),
        ("<|im_end|>", ""),
        # The marks of Llama 2; around a word struck out they are HTML.
        ("was <s>old</s>", "was <s>old</s>"),
        ("<s>old</s> price", "<s>old</s> price"),
        ("<s> YES</s>", "YES"),
        ("    x = 1\n    y = 2", "    x = 1\n    y = 2"),
    ],
)  # fmt: skip
def test_thoughts_go_and_the_answer_stays(completion, answer):
    assert answer_of(completion) == answer


@given(PLAIN)
def test_other_texts_stay_but_for_the_space_around(text):
    assert answer_of(text).strip() == text.strip()
