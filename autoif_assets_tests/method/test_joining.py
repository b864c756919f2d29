"""A query and an instruction become one prompt, and neither is damaged."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.joining import join_prompt


@pytest.mark.parametrize(
    ("query", "instruction", "prompt"),
    [
        ("why is it so", "use no commas", "Why is it so. Use no commas."),
        ("Why?", "Use no commas.", "Why? Use no commas."),
        ("Use v1.0 to write it", "Be brief!", "Use v1.0 to write it. Be brief!"),
        ('Say "yes."', "say 'no'", "Say \"yes.\" Say 'no'."),
        ("为什么", "用两句话回答", "为什么。 用两句话回答。"),
        ("为什么？", "Be brief", "为什么？ Be brief."),
        ("真的！", "なぜですか", "真的！ なぜですか。"),
        ("왜 그렇습니까", "Be brief", "왜 그렇습니까. Be brief."),
        ("почему это так", "Be brief", "Почему это так. Be brief."),
        ("ßtraße?", ")", "ßtraße? )."),
        ("make a list of cats", "Be brief", "Make a list of cats. Be brief."),
        ("What is it?", "npm install must be named", "What is it? npm install must be named."),
        ("let us begin", "Be brief", "Let us begin. Be brief."),
        ("hello, why is it so", "Be brief", "Hello, why is it so. Be brief."),
        ("It costs $5", "Be brief", "It costs $5. Be brief."),
        ("Why is a = b", "Be brief", "Why is a = b. Be brief."),
        ("Which word(s)", "Be brief", "Which word(s). Be brief."),
        ("Cats (and dogs)", "Be brief", "Cats (and dogs). Be brief."),
    ],
)
def test_prose_becomes_sentences(query, instruction, prompt):
    assert join_prompt(query, instruction) == prompt


@pytest.mark.parametrize(
    "query",
    [
        "Explain this:\ndef f(x):\n    return x",
        "    indented\ncode",
        "Sort these:\n- pears\n- apples",
        "Which is first?\n1. a\n2. b",
        "What does it do?\n```\nx = 1\n```",
        "What does `x = 1`",
        "What prints print(x)",
        "print(x)",
        "rewrite a[0]",
        "Explain {'a': 1}",
        "Explain <b>x</b>",
        "int x = f(1);",
        "Summarise https://example.com/a?b=c",
        "Summarise www.example.com",
        "summarise example.com/a",
        "Explain setup.py",
        "Explain ./run/me",
        "Explain git commit --amend",
        "Write to me@example.com",
        "Explain ssh me@host",
        "Print $HOME",
        "npm install",
        "git push origin main",
        "SELECT * FROM t",
        "x = 5",
        "total[i] += 1",
    ],
)
def test_what_a_full_stop_would_damage_stands_apart(query):
    joined = join_prompt(query, "be brief")
    assert joined[1:] == f"{query}\n\nbe brief."[1:]
    assert joined[0] in (query[0], query[0].upper())


@pytest.mark.parametrize(
    "query",
    [
        *("npm install", "git push origin main", "iPhone", "print(x)", "make install", "x = 1"),
        *("this.x is 3", "is.na(x)", "i.e. a cat", "a + b", "i = 0", "do { x++ }", "let x be 3"),
        *("for i in range(3): print(i)", "while i < 3", "if i > 3", "is (a or b)", "a == b"),
    ],
)
def test_only_prose_gets_a_capital(query):
    assert join_prompt(query, "Be brief.").startswith(query)
    assert query in join_prompt("Why?", query)


def test_an_instruction_keeps_its_end():
    assert join_prompt("Why?", "end with print(x)").endswith("print(x)")
    assert join_prompt("Why?", "Use this order:\n- a\n- b").endswith("- a\n- b")


@given(st.text(), st.text())
def test_any_two_texts_join_and_stay(query, instruction):
    joined = join_prompt(query, instruction)
    assert query.strip()[1:] in joined
    assert instruction.strip()[1:] in joined
    assert len(joined) <= len(query) + len(instruction) + 4


@pytest.mark.parametrize("part", ["a.", "a(", "/a", "-a", "a@", "`", " ", "\n", "www.", "]", "a-"])
def test_joining_is_fast(part):
    began = time.process_time()
    join_prompt(part * 30_000, "x")
    assert time.process_time() - began < 0.2
