"""What a request asks for: its body, checked as vLLM does, and the role of its prompt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from autoif_assets.method.prompts import PROMPTS, Prompt
from autoif_assets.simulator.settings import SimulatorSettings

_MAX_LOGPROBS = 20
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
# What a template says that wants reasons before, or beside, the verdict.
_EXPLAINS = re.compile(r"(?i)\b(?:explain|reason|justify|analy[sz]e|why|think|step by step)")


class RequestError(Exception):
    """A request the server refuses, with the status and the body OpenAI's API gives it."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": status}}


@dataclass(frozen=True)
class ChatRequest:
    """A checked request; token counts are a quarter of the characters.

    Attributes:
        model: The name it asked for, one of those served.
        prompt: The last message's text; empty for a text without a chat template.
        prompt_tokens: Tokens of all messages.
        n: Completions asked for.
        temperature: 0 makes all completions alike.
        max_tokens: Tokens a completion may have.
        seed: Of the first completion; None where the request has none.
        stop: Texts that end a completion.
        schema: JSON schema the answer must fit, if any.
        choices: Texts the answer must be one of, if any.
        scored: The text whose log-probabilities are asked for; None for a completion.
        before: Texts of the user and the assistant in the messages before the last one.
        top_logprobs: How many tokens are told at each place of the answer, with their
            log-probabilities, beside the one that stands there; None where none is.
        stream: Whether the answer is to come as events.
        stream_usage: Whether these tell the tokens, too.
    """

    model: str
    prompt: str
    prompt_tokens: int
    n: int
    temperature: float
    max_tokens: int
    seed: int | None
    stop: tuple[str, ...]
    schema: Mapping[str, Any] | None
    choices: list[str] | None
    scored: str | None = None
    before: tuple[str, ...] = ()
    top_logprobs: int | None = None
    stream: bool = False
    stream_usage: bool = False

    @property
    def read(self) -> str:
        """All that was said, as one text; a system message changes no answer here."""
        return "\n".join((*self.before, self.prompt))


def token_count(text: str) -> int:
    """Return the simulator's count of tokens: four characters each."""
    return -(-len(text) // 4)


def _bad(message: str, param: str | None = None) -> RequestError:
    return RequestError(400, message, "BadRequestError", param)


def _refusal(name: str, status: int) -> RequestError:
    if status >= 500:
        return RequestError(status, "Internal server error", "InternalServerError")
    return RequestError(status, f"{name}: extra inputs are not permitted", "Unprocessable", name)


def _number(body: Mapping[str, Any], name: str, default: Any, kinds: tuple[type, ...]) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise _bad(f"{name} must be a number, got {value!r}", name)
    return value


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise _bad("each message needs a role and a content of text", "messages")
    return content


def parse_request(body: Any, settings: SimulatorSettings) -> ChatRequest:
    """Check the JSON body of a chat completion request.

    Raises:
        RequestError: The server refuses the request as vLLM would: 404 for a model it does not
            serve, 400 for what it cannot do.
    """
    model = _model(body, settings)
    if "prompt" in body:
        return _plain_request(body, model, settings)
    for name, status in settings.refusing.items():
        if body.get(name) is not None:
            raise _refusal(name, status)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _bad("messages must be a list of at least one message", "messages")
    contents = [_content(message) for message in messages]
    options = body.get("stream_options") or {}
    if not isinstance(options, dict) or (options and not body.get("stream")):
        raise _bad("stream_options is an object and needs stream to be true", "stream_options")
    n = _number(body, "n", 1, (int,))
    if not 1 <= n <= settings.max_n:
        raise _bad(f"n must be between 1 and {settings.max_n}, got {n}", "n")
    temperature = _number(body, "temperature", 1.0, (int, float))
    if not 0 <= temperature <= 2:
        raise _bad(f"temperature must be in [0, 2], got {temperature}", "temperature")
    stop = body.get("stop") or ()
    stop = (stop,) if isinstance(stop, str) else stop
    if not isinstance(stop, list | tuple) or not all(isinstance(text, str) for text in stop):
        raise _bad("stop must be a text or a list of texts", "stop")
    schema, choices = _constraints(body, settings)
    prompt_tokens = sum(token_count(content) + 4 for content in contents)
    asked = body.get("prompt_logprobs") is not None and settings.prompt_logprobs
    if asked and body.get("stream"):
        raise _bad("prompt_logprobs are not available when stream is true", "stream")
    # As in vLLM, an answer that is to be continued is part of the prompt: its tokens are scored.
    scored = contents.pop() if asked and body.get("continue_final_message") else None
    if scored is not None and not contents:
        raise _bad("the answer to be continued needs a message before it", "messages")
    before = [
        content
        for message, content in zip(messages, contents[:-1], strict=False)
        if message.get("role") in ("user", "assistant")
    ]
    return ChatRequest(
        model,
        contents[-1],
        prompt_tokens,
        n,
        temperature,
        _max_tokens(body, prompt_tokens, settings),
        _number(body, "seed", None, (int,)),
        tuple(stop),
        schema,
        choices,
        scored,
        tuple(before),
        _top_logprobs(body),
        bool(body.get("stream")),
        bool(options.get("include_usage")),
    )


def _top_logprobs(body: Mapping[str, Any]) -> int | None:
    top = _number(body, "top_logprobs", None, (int,))
    if not body.get("logprobs"):
        if top is not None:
            raise _bad("when using top_logprobs, logprobs must be true", "top_logprobs")
        return None
    if not 0 <= (top or 0) <= _MAX_LOGPROBS:
        raise _bad(f"top_logprobs must be between 0 and {_MAX_LOGPROBS}, got {top}", "top_logprobs")
    return top or 0


def _plain_request(body: Mapping[str, Any], model: str, settings: SimulatorSettings) -> ChatRequest:
    """Check a completion without a chat template; only its log-probabilities can be asked for."""
    text = body["prompt"]
    if not isinstance(text, str) or not text:
        raise _bad("prompt must be a text", "prompt")
    if body.get("prompt_logprobs") is None:
        raise _bad("plain completions only tell prompt_logprobs here", "prompt_logprobs")
    used = token_count(text)
    most = _max_tokens(body, used, settings)
    return ChatRequest(model, "", used, 1, 0.0, most, 0, (), None, None, text)


def _model(body: Any, settings: SimulatorSettings) -> str:
    if not isinstance(body, dict):
        raise _bad("the body must be a JSON object")
    model = body.get("model")
    if model not in settings.models:
        raise RequestError(
            404,
            f"The model `{model}` does not exist. Served here: {', '.join(settings.models)}.",
            "NotFoundError",
            "model",
        )
    return str(model)


def _max_tokens(body: Mapping[str, Any], used: int, settings: SimulatorSettings) -> int:
    length = settings.context_length
    if used >= length:
        raise _bad(
            f"This model's maximum context length is {length} tokens. However, your request has "
            f"{used} input tokens. Please reduce the length of the input messages.",
            "input_tokens",
        )
    # OpenAI renamed the field; servers take both.
    name = "max_completion_tokens" if body.get("max_completion_tokens") else "max_tokens"
    asked = _number(body, name, length - used, (int,))
    if asked < 1:
        raise _bad(f"{name} must be at least 1, got {asked}", name)
    if asked > length - used:
        raise _bad(
            f"'max_tokens' or 'max_completion_tokens' is too large: {asked}. This model's maximum "
            f"context length is {length} tokens and your request has {used} input tokens "
            f"({asked} > {length} - {used}).",
            name,
        )
    return int(asked)


def _constraints(
    body: Mapping[str, Any], settings: SimulatorSettings
) -> tuple[Mapping[str, Any] | None, list[str] | None]:
    form = body.get("response_format") or {}
    schema = None
    if isinstance(form, dict) and form.get("type") == "json_schema":
        if not settings.structured_outputs:
            raise _bad("response_format json_schema is not supported here", "response_format")
        named = form.get("json_schema")
        schema = named.get("schema") if isinstance(named, dict) else None
        if not isinstance(schema, dict):
            raise _bad("response_format.json_schema.schema must be an object", "response_format")
    structured = body.get("structured_outputs")
    choices = structured.get("choice") if isinstance(structured, dict) else None
    if choices and not (isinstance(choices, list) and all(isinstance(c, str) for c in choices)):
        raise _bad("structured_outputs.choice must be a list of texts", "structured_outputs")
    # Unlike a schema, choices are passed over by a server that does not know them.
    return schema, choices if settings.structured_outputs else None


@dataclass(frozen=True)
class RecognisedPrompt:
    """What a prompt is.

    Attributes:
        role: ``unknown`` where no template fits.
        variables: What it was made from.
        before: What was said before it.
        explains: Whether it is an audit that is to give its reasons.
    """

    role: str
    variables: Mapping[str, str]
    before: tuple[str, ...] = ()
    explains: bool = False


def template_pattern(prompt: Prompt) -> re.Pattern[str]:
    """Return the expression that matches what a template renders to, with its variables named.

    The templates themselves are the source, so that a reworded prompt is recognised at once.
    """
    pieces, seen, position = [], set(), 0
    for match in _VARIABLE.finditer(prompt.source):
        pieces.append(re.escape(prompt.source[position : match.start()]))
        name = match[1]
        # A variable that a template names twice holds the same text both times.
        pieces.append(rf"(?P={name})" if name in seen else rf"(?P<{name}>.*?)")
        seen.add(name)
        position = match.end()
    pieces.append(re.escape(prompt.source[position:]))
    return re.compile(r"\s*" + "".join(pieces) + r"\s*", re.DOTALL)


@cache
def _patterns(folder: str) -> tuple[tuple[str, re.Pattern[str], bool], ...]:
    # Whoever asks has them checked; those that are no prompts are asked with by nobody.
    files = [Path(folder) / f"{role}.jinja" for role in PROMPTS] if folder else []
    given = {file.stem: file.read_text("utf-8").strip() for file in files if file.exists()}
    known = [(role, PROMPTS[role].of(given)) for role in given]
    return tuple(
        (role, template_pattern(prompt), role == "audit" and bool(_EXPLAINS.search(prompt.source)))
        for role, prompt in (*known, *PROMPTS.items())
    )


def recognise(prompt: str, folder: str = "", before: tuple[str, ...] = ()) -> RecognisedPrompt:
    """Return the role and variables of a prompt; any text is accepted.

    Args:
        prompt: The text.
        folder: Of templates that are known beside the packaged ones.
        before: What was said before it.
    """
    for role, pattern, explains in _patterns(folder):
        match = pattern.fullmatch(prompt)
        if match is not None:
            return RecognisedPrompt(role, match.groupdict(), before, explains)
    return RecognisedPrompt("unknown", {"prompt": prompt}, before)
