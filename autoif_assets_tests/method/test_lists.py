"""Lists of instructions as models write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.lists import parse_instruction_lines

TWO = ["Use no commas.", "Write three lines."]
MARKS = (
    *(
        ("- ", "- "),
        ("* ", "* "),
        ("+ ", "+ "),
        ("• ", "• "),
        ("•", "•"),
        ("– ", "– "),
        ("▪ ", "▪ "),
    ),
    *(("- [ ] ", "- [x] "), ("1. ", "2. "), ("1) ", "2) "), ("(1) ", "(2) "), ("[1] ", "[2] ")),
    *(("1: ", "2: "), ("1、", "2、"), ("1．", "2．"), ("① ", "② "), ("①", "②"), ("1️⃣ ", "2️⃣ ")),
    *(("1 - ", "2 - "), ("#1 ", "#2 "), ("a) ", "b) "), ("a. ", "b. "), ("i. ", "ii. ")),
    *(("**1.** ", "**2.** "), ("> 1. ", "> 2. "), ("- 1. ", "- 2. "), ("→ ", "→ ")),
    *(("Instruction 1: ", "Instruction 2: "), ("**Instruction 1:** ", "**Instruction 2:** ")),
    *(("- Instruction 1: ", "- Instruction 2: "), ("指令1：", "指令2：")),
    *(("Anweisung 1: ", "Anweisung 2: "), ("Règle 1 : ", "Règle 2 : "), ("Regla 1. ", "Regla 2. ")),
    *(("一、", "二、"), ("第一条：", "第二条："), ("1\\. ", "2\\. "), ("- **1.** ", "- **2.** ")),
    *(("### Instruction 1\n", "### Instruction 2\n"), ("Instruction 1:\n", "Instruction 2:\n")),
)


@pytest.mark.parametrize("marks", MARKS, ids=lambda marks: repr(marks[0]))
@pytest.mark.parametrize(
    "form", ["{0}\n{1}", "Sure! Here are two:\n\n{0}\n\n{1}\n\nI hope this helps!", "  {0}\n  {1}"]
)
def test_items_are_told_by_any_mark(marks, form):
    items = [mark + text for mark, text in zip(marks, TWO, strict=True)]
    assert parse_instruction_lines(form.format(*items)) == TWO


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "```json\n{}\n```",
        "Here you are:\n\n{}\n\nEnjoy!",
        "Here you are:\n```\n{}\n```\nLet me know if you need more.",
    ],
)
@pytest.mark.parametrize(
    "written",
    [
        json.dumps(TWO),
        json.dumps(TWO, indent=2),
        json.dumps({"instructions": TWO}),
        json.dumps([{"instruction": text} for text in TWO]),
        "\n".join(json.dumps({"instruction": text}) for text in TWO),
        json.dumps(TWO, indent=1).replace('."\n', '.",\n'),
        str(TWO),
    ],
)
def test_json_is_read(form, written):
    assert parse_instruction_lines(form.format(written)) == TWO


def test_a_torn_list_ends_with_what_is_torn():
    assert parse_instruction_lines('["Use no commas.", "Write thr') == [TWO[0], "Write thr"]


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        (
            "- Put ****** between the two answers.\n- Put *** between the paragraphs.\n"
            "- Write at least two words in bold, **so**.",
            [
                "Put ****** between the two answers.",
                "Put *** between the paragraphs.",
                "Write at least two words in bold, **so**.",
            ],
        ),
        (
            "1. Use this order:\n   - Opening\n   - Body\n2. Use capitals only.",
            ["Use this order:\n   - Opening\n   - Body", "Use capitals only."],
        ),
        (
            "1. Use this order:\n- Opening\n- Body\n2. Use capitals only.",
            ["Use this order:\n- Opening\n- Body", "Use capitals only."],
        ),
        (
            "- Use exactly two parts\n  1. a claim\n  2. its proof\n- Use capitals only.",
            ["Use exactly two parts\n  1. a claim\n  2. its proof", "Use capitals only."],
        ),
        (
            "- Begin with this line:\n```\nHello\n```\n- Use capitals only.",
            ["Begin with this line:\n```\nHello\n```", "Use capitals only."],
        ),
        ("- Wrap what is\n  long.\n- End.", ["Wrap what is\n  long.", "End."]),
        # The first line of a completion lost its indentation.
        ("- Use no commas.\n  - Write three lines.", TWO),
        (
            '- "Yes" or "no" must come first.\n- Say "it" **twice**.',
            ['"Yes" or "no" must come first.', 'Say "it" **twice**.'],
        ),
        ('- "Use no commas."\n- **Write three lines.**', TWO),
        ("```\n- Use no commas.\n- Write three lines.\n```", TWO),
        ("- Use no commas.\n\n---\n\n- Write three lines.", TWO),
        ("Use no commas.\nWrite three lines.", TWO),
        ("Here are two new instructions.\nUse no commas.\nWrite three lines.\nThank you!", TWO),
        (
            "10 - 15 words are enough.\n3.5 lines at most.",
            ["10 - 15 words are enough.", "3.5 lines at most."],
        ),
        (
            "A. is the first word.\nOkay is the last.",
            ["A. is the first word.", "Okay is the last."],
        ),
        ("Use a.\nUse b.\n→ comes last.", ["Use a.", "Use b.", "→ comes last."]),
        ("Thank the reader.\nHope must be named.", ["Thank the reader.", "Hope must be named."]),
        ('["Note"] comes first.\n[x] comes last.', ['["Note"] comes first.', "[x] comes last."]),
        ("{x} comes first.\nUse [brackets].", ["{x} comes first.", "Use [brackets]."]),
        # A number that nobody counted belongs to the text.
        (
            "- 3. Person Singular verwenden.\n- Keine Kommas.",
            ["3. Person Singular verwenden.", "Keine Kommas."],
        ),
        ("- 2. Satz kurz.\n- 1. Satz lang.", ["2. Satz kurz.", "1. Satz lang."]),
        (
            "Keine Kommas.\n3. Person Singular verwenden.\nKurz antworten.",
            ["Keine Kommas.", "3. Person Singular verwenden.", "Kurz antworten."],
        ),
        ("1. 2. Person verwenden.\n2. Keine Kommas.", ["2. Person verwenden.", "Keine Kommas."]),
        ("一、二、三都要出现。\n不要逗号。", ["一、二、三都要出现。", "不要逗号。"]),
        ("Here are 10 new instructions:", []),
        ("```\n```", []),
        ("", []),
    ],
)
def test_the_text_of_an_item_is_what_was_written(text, instructions):
    assert parse_instruction_lines(text) == instructions


words = st.text(alphabet="ab *_`'\"{}[]()<>/\\#-+•①.:,!?é数", min_size=1, max_size=30).map(
    lambda text: f"Use {text} here."
)


@given(
    st.lists(words, min_size=2, max_size=5), st.sampled_from(["- ", "1. ", "① ", "Instruction 1: "])
)
def test_any_words_of_an_item_stay(texts, mark):
    written = "\n".join(mark + text for text in texts)
    assert parse_instruction_lines(written) == texts
    assert parse_instruction_lines(json.dumps(texts, indent=1)) == texts
