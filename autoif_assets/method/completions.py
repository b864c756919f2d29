"""Completions as frames, and which of them may be read: whole, and text alone."""

import re

import polars as pl

from autoif_assets.method.guard import UNREADABLE, UnreadableRows
from autoif_assets.method.readable import shown_text
from autoif_assets.method.thoughts import TAG

# One row per completion beside the columns of the request; a refused call has one row whose
# `raw` is null and whose `error` holds the server's words.
COMPLETION_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "call_id": pl.String,
    "sample": pl.Int64,
    "raw": pl.String,
    "reasoning": pl.String,
    "finish_reason": pl.String,
    "error": pl.String,
}

# A completion is whole when its server says this, or says nothing.
WHOLE = ("stop", "")
# The most tokens it may have, in the words of vLLM and OpenAI, of others, and of Mistral.
CUT_SHORT = ("length", "max_tokens", "model_length")
# What has nothing to do with the row: the same call may be answered the next time.
BROKEN_OFF = ("abort", "cancelled", "error")
# What the completion or its prompt says is not let through.
FILTERED = "content_filter"
TRUNCATED = "truncated"
UNFINISHED = "unfinished"
# Why any other is none, by the server's word for it; one that is not known is `unfinished`.
_ENDED = {
    **dict.fromkeys(CUT_SHORT, TRUNCATED),
    "abort": "aborted",
    "cancelled": "aborted",
    "error": "server_error",
    FILTERED: "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
# Of these the server is the cause: the model might have answered well.
NO_SAMPLE = ("call_refused", "aborted", "server_error", "content_filter", UNFINISHED)

# Of these the model is: it said something else than it was asked for.
UNREAD = ("unparsed", "no_function", "no_instruction")
_FEW = 4  # may all be like that, whatever the model
_WORDS = 200

# Tokens of chat templates and tokenizers, and the marks that training programs replace by a
# picture: written out in a text they end a turn, begin one, or ask for a file. What is left of
# thoughts' marks once these are split off is no answer, either.
_TOKENS = (
    r"<[|｜][^<>|｜\s]{1,64}[|｜]>",
    r"<\|channel>|<channel\|>",
    r"<(?:image|video|audio|img|image_pad|video_pad|audio_pad)>",
    r"</?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|tool_call|tool_response|turn)>",
    r"<(?:start_of_image|image_soft_token|unused\d{1,4}|extra_id_\d{1,4}|0x[0-9A-F]{2})>",
    rf"</?{TAG}>",
    r"\[/?(?:INST|THINK|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|IMG)\]",
    r"<</?SYS>>",
    "◁/?[a-z_]{1,20}▷",
)
# By reason; both are read by Polars' expressions and by Python's.
CONTROL = {
    "control_tokens": "|".join(_TOKENS),
    "control_characters": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\u009f]",
}


def unusable() -> dict[str, pl.Expr]:
    """Return the rules that reject a completion before anyone parses it.

    A truncated completion is kept and flagged but never parsed as if it were whole.
    """
    ended, text = pl.col("finish_reason").fill_null(""), pl.col("raw").fill_null("")
    by_name = {
        reason: ended.is_in([name for name, said in _ENDED.items() if said == reason])
        for reason in dict.fromkeys(_ENDED.values())
    }
    return {
        # What `guard.read_row_by_row` found that raises.
        UNREADABLE: pl.col("error")
        .cast(pl.String)
        .str.starts_with(f"{UNREADABLE}: ")
        .fill_null(False),
        "call_refused": pl.col("error").is_not_null(),
        **by_name,
        UNFINISHED: ~ended.is_in(WHOLE),
        "empty": text.str.strip_chars() == "",
        **{reason: text.str.contains(pattern) for reason, pattern in CONTROL.items()},
    }


def usable(frame: pl.DataFrame) -> pl.Series:
    """Return which completions may be parsed."""
    return frame.select(~pl.any_horizontal(unusable().values())).to_series()


def check_any_read(
    completions: pl.DataFrame, made: pl.DataFrame | tuple[pl.DataFrame, ...]
) -> None:
    """See that of a stage's whole answers at least one could be read.

    An answer that cannot be read is a rejected row; where all are, the model does not do what it
    is asked, and the stages behind would come out empty, and green.

    Args:
        completions: Completion frame.
        made: What the stage read out of them; of several frames the first counts. Its
            ``reason``, its ``unusable`` or its null ``nli_label`` tells what was not read.

    Raises:
        UnreadableRows: None of five or more could be read.
    """
    frame = made if isinstance(made, pl.DataFrame) else made[0]
    reason = "unusable" if "unusable" in frame.columns else "reason"
    has_labels = "nli_label" in frame.columns
    is_unread = pl.col("nli_label").is_null() if has_labels else pl.col(reason).is_in(UNREAD)
    unread = frame.filter(is_unread).height
    if unread <= _FEW:
        # Most stages end here, and need no second look at their texts.
        return
    whole = completions.filter(usable(completions))
    if has_labels:
        # What is not whole has no label either.
        unread -= completions.height - whole.height
    if unread >= whole.height > _FEW:
        said = " ".join(shown_text(whole["raw"][0]).split())[:_WORDS]
        raise UnreadableRows(
            f"None of {whole.height} answers could be read; the first begins: {said} - The model "
            "does not answer in the form that it is asked for: take another one, or a prompt that "
            "it follows (autoif prompts). AUTOIF_MAX_FAILED_SHARE=1 goes on all the same; what was "
            "paid for is journaled."
        )


def control_reason(text: str) -> str | None:
    """Return the reason to reject a text that is more than text, or None."""
    return next((reason for reason, pattern in CONTROL.items() if re.search(pattern, text)), None)
