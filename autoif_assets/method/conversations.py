"""Conversations: what was said before a query, as the messages that a chat server takes.

Such a context is JSON text in a column ``context``, null where a query stands alone. It is a
system message, user and assistant in turn, or both, and ends where the user asks the query: chat
templates and trainers take nothing else. What cannot be put so is rejected, never bent.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

Message = Mapping[str, str]
"""``role`` (system, user or assistant) and ``content``."""

_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bard", "bing", "model"), "assistant"),
}
_OF_TOOLS = ("tool", "function", "function_call", "function_response", "observation", "ipython")
_CALLS = ("tool_calls", "function_call")


class NotKept(ValueError):
    """A conversation cannot be asked as messages; the text is the reason."""


def context_of(turns: Sequence[Any], system: Any = None, history: Any = None) -> str | None:
    """Return what stands before the query of a record.

    Args:
        turns: Those of a conversation up to the query's, as in the file: ``from`` and ``value``,
            or ``role`` and ``content``. Empty where the query is no turn.
        system: The record's system message beside them, if any.
        history: Its earlier pairs of user and assistant beside them, if any.

    Returns:
        The context; contents are as in the file. Turns that say nothing before the user's first
        one are left out. None where nothing is left.

    Raises:
        NotKept: ``unknown_role``, ``tool_turn``, ``not_only_text`` (a picture, say),
            ``empty_turn``, ``unpaired_turns`` (user and assistant do not take turns, or the
            assistant begins), ``control_characters``.
    """
    messages: list[Message] = []
    asked = False
    for turn in (*_beside(system, history), *turns[:-1]):
        message = _message(turn)
        asked = asked or message["role"] == "user"
        if message["content"].strip():
            messages.append(message)
        elif asked:
            raise NotKept("empty_turn")
    for turn in turns[-1:]:
        # The query's text is read elsewhere.
        _message(turn)
    _check_order(messages)
    return write_messages(messages) if messages else None


def _beside(system: Any, history: Any) -> Iterator[Any]:
    if system is not None:
        yield {"role": "system", "content": system}
    for pair in history or ():
        if not isinstance(pair, list) or len(pair) != 2:
            raise NotKept("unpaired_turns")
        for role, content in zip(("user", "assistant"), pair, strict=True):
            yield {"role": role, "content": content}


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise NotKept("unknown_role")
    told = turn.get("role") if turn.get("from") is None else turn["from"]
    name = told.strip().lower() if isinstance(told, str) else ""
    if name in _OF_TOOLS or any(turn.get(call) for call in _CALLS):
        raise NotKept("tool_turn")
    if name not in _ROLES:
        raise NotKept("unknown_role")
    content = turn.get("content") if turn.get("value") is None else turn["value"]
    text = _text(content)
    if "\0" in text:
        raise NotKept("control_characters")
    return {"role": _ROLES[name], "content": text}


def _text(content: Any) -> str:
    """Return a content, or the parts of one, if these are text and nothing else."""
    if content is None:
        return ""
    if isinstance(content, list):
        texts = [text for part in content if isinstance(text := _text_of_part(part), str)]
        if len(texts) == len(content):
            return "\n".join(texts)
    elif isinstance(content, str):
        return content
    raise NotKept("not_only_text")


def _text_of_part(part: Any) -> Any:
    is_text = isinstance(part, dict) and part.get("type") in (None, "text", "input_text")
    return part.get("text") if is_text else None


def _check_order(messages: Sequence[Message]) -> None:
    roles = [message["role"] for message in messages]
    if roles[:1] == ["system"]:
        del roles[0]
    if roles != ["user", "assistant"] * (len(roles) // 2):
        raise NotKept("unpaired_turns")


def write_messages(messages: Sequence[Message]) -> str:
    """Write a context; equal messages are equal text."""
    plain = [{"role": one["role"], "content": one["content"]} for one in messages]
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def read_messages(context: str | None) -> list[Message]:
    """Return the messages of a context; none of a query that stands alone."""
    messages: list[Message] = [] if context is None else json.loads(context)
    return messages


def as_transcript(rows: pl.DataFrame) -> pl.DataFrame:
    """Put in the place of ``query`` the conversation that it ends, for whoever is to judge it.

    Args:
        rows: ``query`` and ``context``; where that is null, the query stays as it is.
    """
    told = [_transcript(*row) for row in rows.select("query", "context").iter_rows()]
    return rows.with_columns(query=pl.Series(told, dtype=pl.String))


def _transcript(query: str, context: str | None) -> str:
    if context is None:
        return query
    turns = [*read_messages(context), {"role": "user", "content": query}]
    told = "\n".join(f"[{turn['role'].capitalize()}] {turn['content']}" for turn in turns)
    return f"The last message of this conversation.\n{told}"
