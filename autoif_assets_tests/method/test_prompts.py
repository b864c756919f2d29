"""Templates: filled as packaged, and replaced by a person's own."""

import polars as pl
import pytest

from autoif_assets.method.instructions import self_instruct_prompts
from autoif_assets.method.prompts import PROMPTS, RESPONSE, PromptError
from autoif_assets.method.recipe import PAPER, RecipeError, make_recipe
from autoif_assets.method.responses import response_prompts

QUERIES = pl.DataFrame(
    {
        "prompt_id": ["p"],
        "instruction_id": ["i"],
        "instruction": ["Use no commas."],
        "query": ["Why is {{ query }} blue?"],
        "context": [None],
    }
)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_a_packaged_prompt_can_be_filled(prompt):
    prompt.check()
    filled = prompt.render(**dict.fromkeys(prompt.variables, "SAID"))
    assert "SAID" in filled
    assert "{{" not in filled
    assert prompt.of({}) is prompt


def test_a_language_is_asked_for_where_the_recipe_names_one():
    german = make_recipe("paper", {"language": "German"})
    (plain,) = response_prompts(QUERIES, PAPER)["prompt"]
    (asked,) = response_prompts(QUERIES, german)["prompt"]
    sentence = " Write in German, unless the instruction asks for another language."
    assert asked.replace(sentence, "") == plain
    assert sentence in asked
    seeds = pl.DataFrame({"instruction": ["Antworte in drei Sätzen."]})
    prompts = self_instruct_prompts(seeds, german, "b")["prompt"]
    assert all(" Write them in German." in prompt for prompt in prompts)


@pytest.mark.parametrize("language", ["", "Ger\nman", "{{ x }}", "-", "D" * 61])
def test_what_is_no_language_is_refused(language):
    with pytest.raises(RecipeError, match="language"):
        make_recipe("paper", {"language": language})


def test_a_template_of_a_person_s_own_may_hold_all_that_jinja_knows():
    text = "{% if 'no' in instruction %}Mind: {% endif %}{{ instruction | upper }} {{ query }}"
    recipe = make_recipe("paper", {"prompts": {"response": text}})
    assert response_prompts(QUERIES, recipe)["prompt"].to_list() == [
        "Mind: USE NO COMMAS. Why is {{ query }} blue?"
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("{{ instruction }}\n{{ query }}\n{{ answer }}", 3, "no variable answer; response has"),
        ("{{ instruction }}\n{% if %}{{ query }}", 2, "no Jinja template"),
        ("Answer {{ query }}", None, "must name {{ instruction }}"),
        ("Answer.", None, "must name {{ instruction }} and {{ query }}"),
        ("{% for query in instruction %}{{ query }}{% endfor %}", None, "must name {{ query }}"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(text, line, words):
    with pytest.raises(PromptError) as refused:
        RESPONSE.of({"response": text}).check()
    assert words in str(refused.value)
    assert refused.value.line == line
    with pytest.raises(RecipeError, match="response"):
        make_recipe("paper", {"prompts": {"response": text}})


def test_a_prompt_of_no_role_is_refused():
    with pytest.raises(RecipeError, match="there is no prompt respones"):
        make_recipe("paper", {"prompts": {"respones": "x"}})
