"""Trying out an endpoint before anything depends on it: what it serves and what it can do."""

import asyncio
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoif_assets.endpoint.calls import Choice, chat_body
from autoif_assets.endpoint.concurrency import Load
from autoif_assets.endpoint.errors import EndpointError, Failure
from autoif_assets.endpoint.responses import Answer
from autoif_assets.endpoint.settings import Credentials, EndpointSettings
from autoif_assets.method.prompts import NLI
from autoif_assets.method.readable import count

if TYPE_CHECKING:
    from autoif_assets.endpoint.wire import Wire

_TIMEOUT_S = 120.0
_HELLO = "Say hello."
_HELLO_TOKENS = 16
_LABEL_TOKENS = 256
_PAIR = {
    "premise": "Answer in exactly two sentences.",
    "hypothesis": "Answer in exactly seven sentences.",
}
_SIGNALS = {
    "num_requests_running": "running",
    "num_requests_waiting": "waiting",
    "kv_cache_usage_perc": "KV cache use",
    "num_preemptions_total": "preemptions",
    "prefix_cache_hits_total": "prefix cache hits",
}


@dataclass(frozen=True)
class Ability:
    """Whether a server can do something.

    Attributes:
        works: Whether it can; None where the check could not tell.
        words: What was seen, for people; of a refusal, the server's words.
    """

    works: bool | None
    words: str


@dataclass(frozen=True)
class EndpointReport:
    """What an endpoint turned out to be.

    Attributes:
        base_url: Its URL, without anything secret.
        model: The model asked for.
        problem: Why nothing can be generated with it and what to do; None where all is well. What
            follows is then as far as the check came.
        served: Names the server lists; empty where it lists none.
        context_length: Tokens of prompt and answer together, where the server says.
        latency_s: Seconds a tiny answer took, prompt and network included.
        answer: That answer, shortened; of a model that only came to think, its thoughts.
        reasons: Whether thoughts were told apart from an answer.
        many: Whether one request gives several completions.
        schema: Whether answers follow a JSON schema.
        signals: Which of its own figures the server shows, in words; empty without any.
    """

    base_url: str
    model: str
    problem: str | None = None
    served: tuple[str, ...] = ()
    context_length: int | None = None
    latency_s: float | None = None
    answer: str = ""
    reasons: bool = False
    many: Ability | None = None
    schema: Ability | None = None
    signals: tuple[str, ...] = ()


def check_endpoint(
    settings: EndpointSettings, credentials: Credentials | None = None, n: int = 8
) -> EndpointReport:
    """Ask an endpoint a few small things; about 1,000 tokens in four requests.

    Args:
        settings: Whom and how to ask.
        credentials: The key and further headers; None for those of the variables that the
            settings name.
        n: Completions to ask for in one request.

    Returns:
        The report; an endpoint that cannot be used is told in it, not raised.
    """
    url = ""
    try:
        url = settings.public_url
        settings.check_extra_body()
        sent = settings.credentials if credentials is None else credentials
        # A caller may have an event loop of its own.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, _check(settings, sent, n)).result()
    except EndpointError as error:
        return EndpointReport(url, settings.model, str(error))


async def _check(settings: EndpointSettings, credentials: Credentials, n: int) -> EndpointReport:
    # The SDK takes a second to import: this module is loaded by commands that ask nothing.
    from autoif_assets.endpoint.wire import Wire

    found: dict[str, Any] = {"base_url": settings.public_url, "model": settings.model}
    brief = settings.model_copy(update={"timeout_s": _TIMEOUT_S})
    async with Wire(brief, credentials) as wire:
        problem = await _look(wire, found)
        if problem is None:
            problem = await _say_hello(wire, settings, found)
        if problem is None:
            found["many"] = await _ask_many(wire, settings, n)
            found["schema"] = await _ask_with_schema(wire, settings)
            found["signals"] = await _signals(wire)
    return EndpointReport(problem=problem, **found)


async def _look(wire: "Wire", found: dict[str, Any]) -> str | None:
    url, model = found["base_url"], found["model"]
    try:
        cards = await wire.cards()
    except Failure as failure:
        if failure.denied:
            return f"It refuses the key ({failure.words})."
        if failure.status is None:
            return (
                f"Nothing usable answers at {url} ({failure.words}). Start the server, or correct "
                "the URL, which usually ends in /v1."
            )
        cards = []  # not every server lists its models
    found["served"] = served = tuple(card["id"] for card in cards)
    if served and model not in served:
        asked = f"{model!r} is not served" if model else "No model is named"
        return f"{asked}; it serves {', '.join(served)}."
    if not model:
        return "No model is named, and the server does not list its models."
    own = next((card for card in cards if card["id"] == model), {})
    length = own.get("max_model_len")
    if not isinstance(length, int) and isinstance(meta := own.get("meta"), dict):
        length = meta.get("n_ctx")  # llama.cpp's name for it
    found["context_length"] = count(length)
    return None


async def _say_hello(wire: "Wire", settings: EndpointSettings, found: dict[str, Any]) -> str | None:
    began = time.monotonic()
    try:
        answer = await wire.chat(_body(settings, _HELLO, _HELLO_TOKENS))
    except Failure as failure:
        return f"It completes nothing ({failure.words})."
    found["latency_s"] = time.monotonic() - began
    choice = Choice.from_raw(answer.choices[0])
    found["reasons"] = choice.reasoning is not None
    words = " ".join((choice.text or choice.reasoning or "").split())
    found["answer"] = "".join(letter for letter in words if letter.isprintable())[:60]
    return None


async def _ask_many(wire: "Wire", settings: EndpointSettings, n: int) -> Ability:
    answer, words = await _try(wire, _body(settings, _HELLO, _HELLO_TOKENS, n=n))
    if answer is None:
        return Ability(False, words)
    if len(answer.choices) < n:
        return Ability(False, f"{len(answer.choices)} completions where n={n} were asked")
    if len({choice["text"] or choice["reasoning"] for choice in answer.choices}) == 1:
        return Ability(True, f"n={n} gave {n} equal completions: little use for sampling")
    return Ability(True, f"n={n}")


async def _ask_with_schema(wire: "Wire", settings: EndpointSettings) -> Ability:
    """Ask for a label of back-translation, whose schema is the smallest one in use."""
    form = {"name": NLI.role, "schema": NLI.schema, "strict": True}
    wanted = {"type": "json_schema", "json_schema": form}
    answer, words = await _try(
        wire, _body(settings, NLI.render(**_PAIR), _LABEL_TOKENS, response_format=wanted)
    )
    if answer is None:
        return Ability(False, words)
    choice = Choice.from_raw(answer.choices[0])
    if NLI.schema is not None and _follows(choice.text, NLI.schema):
        return Ability(True, "json_schema")
    if choice.finish_reason == "length":
        return Ability(None, f"no whole answer in {_LABEL_TOKENS} tokens")
    said = " ".join(choice.text.split())[:40]
    return Ability(False, f"it takes the schema and answers {said!r}")


def _follows(text: str, schema: Mapping[str, Any]) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    properties: Mapping[str, Any] = schema["properties"]
    return (
        isinstance(value, dict)
        and value.keys() == properties.keys()
        and all(value[name] in list(kind["enum"]) for name, kind in properties.items())
    )


async def _signals(wire: "Wire") -> tuple[str, ...]:
    try:
        text = await wire.metrics()
    except Failure:
        return ()
    if Load.parse(text) is None:
        return ()
    return tuple(words for name, words in _SIGNALS.items() if f"\nvllm:{name}" in f"\n{text}")


async def _try(wire: "Wire", body: Mapping[str, Any]) -> tuple[Answer | None, str]:
    """Return the answer, or what the server said instead."""
    try:
        return await wire.chat(body), ""
    except Failure as failure:
        return None, failure.words


def _body(settings: EndpointSettings, prompt: str, max_tokens: int, **more: Any) -> dict[str, Any]:
    return chat_body(settings, prompt, max_tokens=max_tokens, seed=1, **more)
