"""Only whole completions that are text alone are read; any other has a reason by its name."""

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoif_assets.method.back_translation import parse_nli
from autoif_assets.method.completions import CONTROL, check_any_read, control_reason, unusable
from autoif_assets.method.gates import decide
from autoif_assets.method.guard import UnreadableRows
from autoif_assets.method.recipe import PAPER
from autoif_assets.method.responses import parse_scores
from autoif_assets_tests.method.frames import completions


def reason_of(**row):
    return decide(completions({"raw": "Paris.", **row}), unusable())["reason"][0]


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [
        ("stop", None),
        (None, None),
        ("", None),
        ("length", "truncated"),
        ("max_tokens", "truncated"),
        ("model_length", "truncated"),
        ("abort", "aborted"),
        ("error", "server_error"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("recitation", "unfinished"),
        ("stopped", "unfinished"),
    ],
)
def test_a_completion_is_whole_by_an_allowed_finish_reason_only(finish_reason, reason):
    assert reason_of(finish_reason=finish_reason) == reason


TOKENS = (
    *("<|im_end|>", "<|im_start|>user", "<|eot_id|>", "<|endoftext|>", "<｜end▁of▁sentence｜>"),
    *(
        "<image>",
        "<video>",
        "<audio>",
        "<s>",
        "</s>",
        "<pad>",
        "<end_of_turn>",
        "[INST]",
        "[/INST]",
    ),
    *(
        "<<SYS>>",
        "<tool_call>",
        "<0x0A>",
        "<unused12>",
        "<think>",
        "[THINK]",
        "◁think▷",
        "<|channel>",
    ),
)


@pytest.mark.parametrize("token", TOKENS)
def test_control_tokens_are_no_text(token):
    assert reason_of(raw=f"Paris.{token} Thanks") == "control_tokens"
    assert control_reason(f"Paris.{token}") == "control_tokens"


@pytest.mark.parametrize("character", ["\0", "\b", "\x0b", "\x0c", "\x1b", "\x7f", "\x80", "\x9f"])
def test_control_characters_are_no_text(character):
    assert reason_of(raw=f"Paris.{character}") == "control_characters"


@pytest.mark.parametrize(
    "text",
    [
        "a < b | c > d",
        "<b>bold</b> <img src='a.png'> <video controls>",
        "f <| x |> g and <||>",
        "[1] [x] [inst] 'a' | b",
        "tab\tline\r\nline \u2028 é 数 😀 \ufeff",
    ],
)
def test_ordinary_text_is_text(text):
    assert reason_of(raw=text) is None
    assert control_reason(text) is None


@given(st.lists(st.sampled_from((*TOKENS, "a", "<", "|", ">", "\0", "\x85", "\n", "[", "]"))))
def test_frames_and_single_texts_are_judged_alike(parts):
    text = "".join(parts)
    frame = pl.DataFrame({"raw": [text]})
    for pattern in CONTROL.values():
        assert frame["raw"].str.contains(pattern).to_list() == [
            re.search(pattern, text) is not None
        ]


IDS = ("response_id", "prompt_id", "instruction_id", "pair_id")


def answered(*texts):
    """Whole answers, and a call that was refused."""
    refused = {"raw": None, "error": "400", "finish_reason": None}
    rows = [{"raw": text} for text in texts] + [refused]
    return completions(
        *({**dict.fromkeys(IDS, "i"), **row} for row in rows), **dict.fromkeys(IDS, pl.String)
    )


@pytest.mark.parametrize("read", [lambda frame: parse_scores(frame, PAPER), parse_nli])
def test_a_stage_of_which_nothing_can_be_read_is_none(read):
    none = answered(*["I would rather not."] * 5)
    with pytest.raises(UnreadableRows, match=r"None of 5 answers .* I would rather not\."):
        check_any_read(none, read(none))
    for some in (
        answered(*["I would rather not."] * 5, '{"score": 2, "label": "neutral"}'),
        answered(*["I would rather not."] * 4),
        answered(),
    ):
        check_any_read(some, read(some))
