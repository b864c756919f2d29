"""Reading what a server sends: completions, words of a refusal, headers."""

import email.utils
import json
import math
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from autoif_assets.endpoint.budget import Usage
from autoif_assets.method.readable import count, shown_text

_MAX_WAIT_S = 86_400.0  # a day; how much of it is waited depends on the run
_MAX_DIGITS = 100  # of a number that may be of use
_REASON = 100  # characters of a finish reason
# What is asked for with log-probabilities is short; before it there may be thoughts.
_TOLD_TOKENS = 64
# Kinds of the parts that a message may come in; a part without one is text.
_ANSWER = (None, "text", "output_text")
_THOUGHTS = ("thinking", "reasoning", "reasoning_text")

# What servers say of a row that they refuse for what it holds, be it in words or as a code. Any
# other refusal is of what every row has, such as a parameter.
_OF_THE_ROW = {
    "length": re.compile(
        r"context[ _-]?(?:length|size|window)|exceeds?_context|maximum (?:model|input|sequence) "
        r"length|\btoo long\b|(?:prompt|input|request) is too large|longer than the "
        r"(?:maximum|model)",
        re.IGNORECASE,
    ),
    "filter": re.compile(
        r"content[ _-]?filter|content[ _-](?:management[ _-])?policy|ResponsibleAIPolicyViolation"
        r"|safety (?:system|filter|policy|settings)|usage polic|flagged (?:as|by|for)|moderation",
        re.IGNORECASE,
    ),
}
_REFUSALS = (400, 413, 422)


@dataclass(frozen=True)
class Answer:
    """Completions in a server's words: ``text``, ``reasoning``, ``finish_reason`` each.

    And ``logprobs``, as `calls.Choice` has them, where they were asked for and told.

    Attributes:
        choices: The completions.
        usage: Tokens, as far as they are told.
        thoughts: Tokens that went into thoughts, shown or not; 0 where the server does not say.
    """

    choices: tuple[dict[str, str | None], ...]
    usage: Usage
    thoughts: int = 0


def read_json(raw: bytes) -> Any:
    """Parse a body.

    Raises:
        ValueError: It is not JSON; the message quotes its beginning.
    """
    try:
        return _loads(raw)
    except (ValueError, RecursionError):
        text = raw[:200].decode("utf-8", "replace")
        if text.lstrip().startswith("{"):
            raise ValueError("the answer ended before it was whole") from None
        raise ValueError(f"not a chat completion: {text!r}") from None


def _loads(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Of a number with more digits than Python reads, the number alone is lost. Not as a rule:
        # reading each number so costs time.
        return json.loads(raw, parse_int=_int)


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def read_answer(raw: bytes, *, logprobs: bool = False) -> Answer:
    """Read the body of a chat completion.

    Args:
        raw: The body.
        logprobs: Whether log-probabilities were asked for: some servers tell them unasked.

    Raises:
        ValueError: It is none; the message says what it is.
    """
    data = read_json(raw)
    try:
        choices = tuple(_choice(choice, logprobs) for choice in data["choices"])
    except (TypeError, KeyError, AttributeError):
        raise ValueError(f"not a chat completion: {_beginning(data)!r}") from None
    if not choices:
        raise NoChoices("an answer without completions")
    usage = data.get("usage")
    if not isinstance(usage, dict):
        return Answer(choices, Usage())
    details = usage.get("completion_tokens_details")
    thoughts = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return Answer(choices, _usage(usage), count(thoughts) or 0)


class NoChoices(ValueError):
    """The server answered, with no completion in it: so do some that block a prompt."""


class Unsupported(ValueError):
    """The server answered, but without what it was asked for."""


def read_likelihood(raw: bytes) -> Answer:
    """Read the log-probabilities of what the server read, in vLLM's shape.

    vLLM puts them beside the choices of a chat and inside the one choice of a plain text: one
    entry a token, null for the first, else the token's id with its log-probability. Where more
    than the token itself is told, its entry comes first.

    Returns:
        One choice whose text is JSON: ``[id, log-probability]`` of every token with an entry.

    Raises:
        Unsupported: There are none: the server ignores ``prompt_logprobs``.
        ValueError: It is no answer at all.
    """
    answer = read_json(raw)
    try:
        choice = answer["choices"][0]
        usage = answer.get("usage")
        entries = answer.get("prompt_logprobs") or choice.get("prompt_logprobs")
    except (TypeError, KeyError, IndexError, AttributeError):
        raise ValueError(f"not a completion: {_beginning(answer)!r}") from None
    if entries is None:
        raise Unsupported("the answer has no prompt_logprobs")
    try:
        firsts = [next(iter(entry.items())) for entry in entries if entry]
        told = [(int(token), float(entry["logprob"])) for token, entry in firsts]
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError):
        raise Unsupported("prompt_logprobs is not in the shape of vLLM's") from None
    if any(count(token) is None or not math.isfinite(logprob) for token, logprob in told):
        raise ValueError("prompt_logprobs holds numbers out of all bounds")
    tokens = [[token, round(logprob, 6)] for token, logprob in told]
    text = json.dumps(tokens, separators=(",", ":"))
    read = {"text": text, "reasoning": None, "finish_reason": "stop"}
    return Answer((read,), _usage(usage) if isinstance(usage, dict) else Usage())


def _choice(choice: Mapping[str, Any], logprobs: bool) -> dict[str, str | None]:
    message = choice["message"]
    content = message.get("content")
    # vLLM names it reasoning since 0.12, reasoning_content before, as others do; Mistral sends
    # it as a part of the content.
    thought = message.get("reasoning") or message.get("reasoning_content")
    reasoning = _text(thought) or _text(content, _THOUGHTS)
    finish_reason = choice.get("finish_reason")
    told = _logprobs(choice.get("logprobs")) if logprobs else None
    return {
        "text": _text(content),
        "reasoning": reasoning or None,
        "finish_reason": None if finish_reason is None else _reason(finish_reason),
        **({"logprobs": told} if told is not None else {}),
    }


def _logprobs(told: Any) -> str | None:
    """Read the log-probabilities of a completion's last tokens; None where there are none."""
    try:
        tokens = [_alternatives(token) for token in told["content"][-_TOLD_TOKENS:]]
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError):
        # The answer itself is none the worse for it.
        return None
    return json.dumps(tokens, ensure_ascii=False, separators=(",", ":")) if tokens else None


def _alternatives(token: Mapping[str, Any]) -> list[Any]:
    """Return a token's text, and what might have stood there, likeliest first."""
    every = {
        shown_text(one["token"]): float(one["logprob"])
        for one in (*(token.get("top_logprobs") or ())[:_TOLD_TOKENS], token)
    }
    if not all(math.isfinite(logprob) for logprob in every.values()):
        raise ValueError
    ranked = sorted(every.items(), key=lambda one: -one[1])
    return [shown_text(token["token"]), [[text, round(logprob, 6)] for text, logprob in ranked]]


def _reason(told: Any) -> str:
    return shown_text(told if isinstance(told, str) else _beginning(told))[:_REASON]


def _beginning(value: Any) -> str:
    """Return how a value that is not what was expected begins, as JSON."""
    try:
        return json.dumps(value)[:200]
    except RecursionError:
        return "something nested too deep"


def _text(content: Any, kinds: Collection[Any] = _ANSWER) -> str:
    """Return a text, or those of a list's parts that are of some kinds, joined."""
    if isinstance(content, list):
        texts = [_part(part) for part in content if part.get("type") in kinds]
        content = "".join(text for text in texts if isinstance(text, str))
    elif kinds is not _ANSWER:
        return ""
    # A lone surrogate (half an emoji, escaped) is valid in JSON and in nothing after it.
    return shown_text(content) if isinstance(content, str) else ""


def _part(part: Mapping[str, Any]) -> Any:
    thinking = part.get("thinking")
    return _text(thinking) if isinstance(thinking, list) else part.get("text") or thinking


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        count(usage.get("prompt_tokens")), count(cached), count(usage.get("completion_tokens"))
    )


def server_words(text: str) -> str:
    """Find the sentence in an error body, whichever of the usual shapes it has."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    return body if isinstance(body, str) else _beginning(body) if body else ""


def refused_content(status: int, text: str) -> str | None:
    """Tell what of a row's own content an error body objects to.

    Returns:
        ``length`` or ``filter``; None where it names nothing of the row.
    """
    if status not in _REFUSALS:
        return None
    if status == 413:
        return "length"
    said = [server_words(text)]
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        error = body["error"] if isinstance(body.get("error"), dict) else body
        said += [str(error.get(name)) for name in ("code", "type")]
    return content_named(" ".join(said))


def content_named(words: str) -> str | None:
    """Tell what of a row's content a server's words object to; see `refused_content`."""
    return next((name for name, said in _OF_THE_ROW.items() if said.search(words)), None)


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Read Retry-After, seconds or a date, as a number of seconds between none and a day."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError, TypeError, IndexError, OSError):
            return 0.0
    return 0.0 if math.isnan(seconds) else min(max(seconds, 0.0), _MAX_WAIT_S)
