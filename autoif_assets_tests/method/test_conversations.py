import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.conversations import (
    NotKept,
    as_transcript,
    context_of,
    read_messages,
    write_messages,
)


def turn(role, content):
    return {"role": role, "content": content}


def turns(*told):
    return [{"from": who, "value": text} for who, text in told]


BEFORE = [turn("system", "Be brief."), turn("user", "Why?"), turn("assistant", "Because.")]


def test_all_that_was_said_before_the_query_is_kept():
    told = turns(("System", "Be brief."), ("human", "Why?"), ("gpt", "Because."), ("human", "Oh?"))
    assert read_messages(context_of(told)) == BEFORE
    assert read_messages(context_of([*BEFORE, turn("user", "Oh?")])) == BEFORE


def test_what_a_record_says_beside_its_text_comes_first():
    context = context_of([], "Be brief.", [["Why?", "Because."]])
    assert read_messages(context) == BEFORE
    told = turns(("human", "And?"), ("gpt", "So."), ("human", "Oh?"))
    assert read_messages(context_of(told, "Be brief.", [["Why?", "Because."]])) == [
        *BEFORE,
        turn("user", "And?"),
        turn("assistant", "So."),
    ]


@pytest.mark.parametrize("said", [[("system", "")], [("gpt", " \n")], [("system", None)]])
def test_turns_that_say_nothing_before_the_first_one_are_left_out(said):
    assert context_of(turns(*said, ("human", "Oh?"))) is None
    told = turns(*said, ("human", "Why?"), ("gpt", "Because."), ("human", "Oh?"))
    assert read_messages(context_of(told)) == BEFORE[1:]


def test_contents_in_parts_of_text_are_joined():
    parts = [{"type": "text", "text": "Why"}, {"text": "not?"}]
    context = context_of([turn("user", parts), turn("assistant", "So."), turn("user", "Oh?")])
    assert read_messages(context)[0] == turn("user", "Why\nnot?")


PICTURE = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "x"}}]
ASKED = ("human", "Why?")
ANSWERED = ("gpt", "Because.")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (turns(ASKED, ("narrator", "Hm."), ASKED), "unknown_role"),
        (turns(ASKED, (None, "Hm."), ASKED), "unknown_role"),
        ([*turns(ASKED), "Hm.", *turns(ASKED)], "unknown_role"),
        (turns(ASKED, ("tool", "42"), ANSWERED, ASKED), "tool_turn"),
        (turns(ASKED, ("observation", ""), ANSWERED, ASKED), "tool_turn"),
        (
            [turn("user", "Why?"), turn("assistant", None) | {"tool_calls": [{}]}, *turns(ASKED)],
            "tool_turn",
        ),
        (turns(ASKED, ("gpt", " "), ASKED), "empty_turn"),
        (turns(("human", None), ANSWERED, ASKED), "empty_turn"),
        ([turn("user", PICTURE), *turns(ANSWERED, ASKED)], "not_only_text"),
        ([*turns(ASKED, ANSWERED), turn("user", PICTURE)], "not_only_text"),
        (turns(("human", 5), ANSWERED, ASKED), "not_only_text"),
        ([turn("user", [{"text": None}]), *turns(ANSWERED, ASKED)], "not_only_text"),
        (turns(ANSWERED, ASKED), "unpaired_turns"),
        (turns(ASKED, ASKED), "unpaired_turns"),
        (turns(ASKED, ANSWERED, ANSWERED, ASKED), "unpaired_turns"),
        (turns(ASKED, ANSWERED, ("system", "Be brief."), ASKED), "unpaired_turns"),
        (turns(("system", "Be brief."), ("system", "Be kind."), ASKED), "unpaired_turns"),
        (turns(("human", "a\0b"), ANSWERED, ASKED), "control_characters"),
    ],
)
def test_what_cannot_be_asked_as_messages_is_not_kept(told, reason):
    with pytest.raises(NotKept, match=f"^{reason}$"):
        context_of(told)


@pytest.mark.parametrize("history", [[["Why?"]], ["Why?"], [{"a": 1}], [["Why?", "So.", "Oh?"]]])
def test_a_history_is_pairs(history):
    with pytest.raises(NotKept, match="unpaired_turns"):
        context_of([], None, history)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(str.strip)


@given(st.none() | TEXT, st.lists(st.tuples(TEXT, TEXT)), TEXT)
def test_context_and_query_are_the_conversation_verbatim(system, pairs, query):
    said = [] if system is None else [turn("system", system)]
    for asked, answered in pairs:
        said += [turn("user", asked), turn("assistant", answered)]
    conversation = [*said, turn("user", query)]
    context = context_of(conversation)
    assert [*read_messages(context), turn("user", query)] == conversation
    assert (context is None) == (not said)
    if said:
        assert (
            context
            == write_messages(said)
            == json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        )
    assert context_of([], system, [list(pair) for pair in pairs]) == context


def test_a_judge_is_shown_the_conversation_and_a_query_alone_as_it_is():
    rows = pl.DataFrame(
        {"query": ["Oh?", "Why?"], "context": [write_messages(BEFORE), None], "more": [1, 2]}
    )
    assert as_transcript(rows)["query"].to_list() == [
        "The last message of this conversation.\n"
        "[System] Be brief.\n[User] Why?\n[Assistant] Because.\n[User] Oh?",
        "Why?",
    ]
    assert as_transcript(rows.clear()).schema == rows.clear().schema
