import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.augmentation import augment_queries, join_prompt
from autoif_assets.method.recipe import make_recipe

PAPER = make_recipe("paper")
INSTRUCTIONS = pl.DataFrame({"instruction_id": ["i", "j"], "instruction": ["Use a.", "Use b."]})
QUERIES = pl.DataFrame({"query_id": [f"q{n:02}" for n in range(40)], "query": "why"})


@pytest.mark.parametrize(
    ("query", "instruction", "prompt"),
    [
        ("why is it so", "use no commas", "Why is it so. Use no commas."),
        ("Why?", "Use no commas.", "Why? Use no commas."),
        ("Use v1.0 to write it", "Be brief!", "Use v1.0 to write it. Be brief!"),
        ('Say "yes."', "say 'no'", "Say \"yes.\" Say 'no'."),
        ("为什么", "用两句话回答", "为什么。 用两句话回答。"),
        ("为什么？", "Be brief", "为什么？ Be brief."),
        ("ßtraße?", ")", "ßtraße? )."),
    ],
)
def test_query_and_instruction_become_one_prompt(query, instruction, prompt):
    assert join_prompt(query, instruction) == prompt


@given(st.text(), st.text())
def test_any_two_texts_join(query, instruction):
    join_prompt(query, instruction)


def test_each_instruction_gets_its_own_reproducible_sample():
    first = augment_queries(INSTRUCTIONS, QUERIES, PAPER, "b1")
    assert first.equals(
        augment_queries(
            INSTRUCTIONS.reverse(), QUERIES.sample(fraction=1, shuffle=True), PAPER, "b1"
        )
    )
    assert first.group_by("instruction_id").len()["len"].to_list() == [16, 16]
    assert first["prompt_id"].n_unique() == 32
    samples = [set(first.filter(instruction_id=i)["query_id"]) for i in ("i", "j")]
    assert samples[0] != samples[1]
    other = augment_queries(INSTRUCTIONS, QUERIES, PAPER, "b2")
    assert set(other.filter(instruction_id="i")["query_id"]) != samples[0]


def test_few_queries_are_all_used_and_none_give_an_empty_frame():
    few = augment_queries(INSTRUCTIONS, QUERIES.head(3), PAPER, "b")
    assert few.height == 6
    assert augment_queries(INSTRUCTIONS, QUERIES.clear(), PAPER, "b").is_empty()
