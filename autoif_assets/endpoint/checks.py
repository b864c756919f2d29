"""Trying out an endpoint before anything depends on it: what it serves and what it can do."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autoif_assets.endpoint.calls import Call, Choice, Job, Request, body
from autoif_assets.endpoint.concurrency import Load
from autoif_assets.endpoint.errors import EndpointError, Failure
from autoif_assets.endpoint.features import Features, Form
from autoif_assets.endpoint.replicas import Replica, find_replicas, stranger
from autoif_assets.endpoint.responses import Answer
from autoif_assets.endpoint.settings import Credentials, EndpointSettings
from autoif_assets.method.prompts import NLI
from autoif_assets.method.readable import count

if TYPE_CHECKING:
    from autoif_assets.endpoint.wire import Wire

# The settings that a check's findings depend on.
CHECKED = {
    *("base_url", "model", "api_key_variable", "extra_headers_variable"),
    *("extra_body", "system_prompt", "thinking_tokens"),
}
_TIMEOUT_S = 120.0
_HELLO = "Say hello."
# A model that thinks is to have come to its answer, and one that does not ends long before.
_HELLO_TOKENS = 256
_MANY_TOKENS = 16
_FIRST_CONTACT_S = 20.0
_PAUSE_S = 1.0
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
        base_url: Its URL, without anything secret; of one of several addresses with that.
        model: The model asked for.
        problem: Why nothing can be generated with it and what to do; None where all is well. What
            follows is then as far as the check came.
        served: Names the server lists; empty where it lists none.
        context_length: Tokens of prompt and answer together, where the server says.
        latency_s: Seconds a tiny answer took, prompt and network included.
        answer: That answer, shortened; of a model that only came to think, its thoughts.
        reasons: Whether the model was seen to think before it answers.
        endless: Whether a short answer did not end within 256 tokens.
        room: Tokens that requests have for thoughts, beside the answer's.
        notes: What the server refuses, and what is done instead.
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
    endless: bool = False
    room: int = 0
    notes: tuple[str, ...] = ()
    many: Ability | None = None
    schema: Ability | None = None
    signals: tuple[str, ...] = ()


def check_endpoint(
    settings: EndpointSettings, credentials: Credentials | None = None, n: int = 8
) -> list[EndpointReport]:
    """Ask an endpoint a few small things; about 1,000 tokens in four requests a server.

    Args:
        settings: Whom and how to ask.
        credentials: The key and further headers; None for those of the variables that the
            settings name.
        n: Completions to ask for in one request.

    Returns:
        A report for each replica; one that cannot be used is told in it, not raised.
    """
    url = ""
    try:
        url = settings.public_url
        settings.check_extra_body()
        # A caller may have an event loop of its own.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, _check_all(settings, credentials, n)).result()
    except EndpointError as error:
        return [EndpointReport(url, settings.model, str(error))]


def first_problem(
    settings: EndpointSettings,
    features: Features,
    patience_s: float = _FIRST_CONTACT_S,
    *,
    briefly: bool = False,
) -> str | None:
    """Tell why a run that will need an endpoint should not begin; None where it may.

    It is asked for as little as possible: its models and one short answer. A server that is only
    busy or broken for now is no reason.

    Args:
        settings: Whom and how to ask.
        features: Where it is noted what the server refuses and whether the model thinks.
        patience_s: Seconds a server that does not answer is tried for.
        briefly: Whether it is enough that the server lists the model: nothing is asked of that.
    """
    try:
        settings.check_extra_body()
        with ThreadPoolExecutor(1) as pool:
            asked = _begin(settings, features, patience_s, briefly)
            return pool.submit(asyncio.run, asked).result()
    except EndpointError as error:
        return str(error)


async def _begin(
    settings: EndpointSettings, features: Features, patience_s: float, briefly: bool
) -> str | None:
    from autoif_assets.endpoint.wire import Wire

    until = time.monotonic() + patience_s
    replicas = await find_replicas(settings)
    async with AsyncExitStack() as opened:
        wires = []
        for one in replicas:
            wire = Wire(_brief(one.settings), one.settings.credentials, address=one.address)
            wires.append(await opened.enter_async_context(wire))
        while True:
            problem = await _first_problem_of(replicas, wires, features, briefly)
            if problem is None or not problem.may_pass:
                return None if problem is None else problem.words
            if time.monotonic() >= until:
                return None if problem.reached else problem.words
            await asyncio.sleep(_PAUSE_S)


async def _first_problem_of(
    replicas: Sequence[Replica], wires: Sequence["Wire"], features: Features, briefly: bool
) -> "_Problem | None":
    """Look at all replicas; some may be away, and none may be another server than the others."""
    found: list[dict[str, Any]] = [
        {"base_url": str(one), "model": one.settings.model} for one in replicas
    ]
    problems = await asyncio.gather(*map(_look, wires, found))
    several = len(replicas) > 1
    for one, problem in zip(replicas, problems, strict=True):
        if problem is not None and not problem.may_pass:
            return replace(problem, words=f"{one}: {problem.words}") if several else problem
    model = replicas[0].settings.model
    if other := stranger(model, {one["base_url"]: one.get("served", ()) for one in found}):
        return _Problem(other[1])
    there = next((i for i, problem in enumerate(problems) if problem is None), None)
    if there is None:
        return problems[0]
    if briefly and model in found[there]["served"]:
        return None
    own = features.of_replica(str(replicas[there])) if several else features
    return await _say_hello(wires[there], replicas[there].settings, own, found[there])


async def _check_all(
    settings: EndpointSettings, credentials: Credentials | None, n: int
) -> list[EndpointReport]:
    replicas = await find_replicas(settings)
    reports = await asyncio.gather(*(_check(one, credentials, n) for one in replicas))
    other, words = stranger(settings.model, {one.base_url: one.served for one in reports}) or (
        "",
        "",
    )
    return [
        replace(one, problem=one.problem or words) if one.base_url == other else one
        for one in reports
    ]


async def _check(replica: Replica, credentials: Credentials | None, n: int) -> EndpointReport:
    # The SDK takes a second to import: this module is loaded by commands that ask nothing.
    from autoif_assets.endpoint.wire import Wire

    settings = replica.settings
    sent = settings.credentials if credentials is None else credentials
    found: dict[str, Any] = {"base_url": str(replica), "model": settings.model}
    features = Features()
    async with Wire(_brief(settings), sent, address=replica.address) as wire:
        problem = await _look(wire, found) or await _say_hello(wire, settings, features, found)
        if problem is None:
            found["many"] = await _ask_many(wire, settings, features, n)
            found["schema"] = await _ask_with_schema(wire, settings, features)
            found["signals"] = await _signals(wire)
    found["room"] = features.wanted_room(settings)
    found["notes"] = tuple(features.notes)
    return EndpointReport(problem=None if problem is None else problem.words, **found)


def _brief(settings: EndpointSettings) -> EndpointSettings:
    return settings.model_copy(update={"timeout_s": min(_TIMEOUT_S, settings.timeout_s)})


@dataclass(frozen=True)
class _Problem:
    """Why nothing can be generated.

    Attributes:
        words: The reason, and what to do.
        may_pass: Whether the same may work later.
        reached: Whether there is a server of this kind.
    """

    words: str
    may_pass: bool = False
    reached: bool = True


async def _look(wire: "Wire", found: dict[str, Any]) -> _Problem | None:
    url, model = found["base_url"], found["model"]
    try:
        cards = await wire.cards()
    except Failure as failure:
        if failure.denied:
            return _Problem(f"It refuses the key ({failure.words}).")
        if failure.status is None:
            if failure.cause == "body" and (other := await wire.elsewhere()):
                return _Problem(_moved(url, other))
            return _Problem(
                f"Nothing usable answers at {url} ({failure.words}). Start the server, or correct "
                "the URL, which usually ends in /v1.",
                may_pass=True,
                reached=failure.cause not in ("connection", "body"),
            )
        cards = []  # not every server lists its models
    found["served"] = served = tuple(card["id"] for card in cards)
    if not model:
        known = f"; it serves {', '.join(served)}" if served else ", and the server lists none"
        return _Problem(f"No model is named{known}.")
    own = next((card for card in cards if card["id"] == model), {})
    length = own.get("max_model_len")
    if not isinstance(length, int) and isinstance(meta := own.get("meta"), dict):
        length = meta.get("n_ctx")  # llama.cpp's name for it
    found["context_length"] = count(length)
    return None


def _moved(url: str, other: str) -> str:
    # Here, for it comes with the SDK.
    from autoif_assets.endpoint.wire import answers_under

    return f"Nothing usable answers at {url}; {answers_under(other)}"


async def _say_hello(
    wire: "Wire", settings: EndpointSettings, features: Features, found: dict[str, Any]
) -> _Problem | None:
    began = time.monotonic()
    request = _request(_HELLO, _HELLO_TOKENS)
    try:
        room = features.wanted_room(settings)
        answer = await _ask_in_some_form(wire, settings, features, request)
        if Choice.from_raw(answer.choices[0]).cut and features.wanted_room(settings) > room:
            answer = await _ask_in_some_form(wire, settings, features, request)
    except Failure as failure:
        served = found["served"]
        # Not every server lists all it serves: the list alone is no proof.
        if failure.status in (400, 404) and served and settings.model not in served:
            return _Problem(f"{settings.model!r} is not served; it serves {', '.join(served)}.")
        if (failure.status in (404, 405) or failure.cause == "body") and not served:
            other = await wire.elsewhere()
            if other is not None:
                return _Problem(_moved(found["base_url"], other))
        reached = failure.cause not in ("connection", "body")
        words = f"It completes nothing ({failure.words})."
        return _Problem(words, may_pass=failure.transient, reached=reached)
    found["latency_s"] = time.monotonic() - began
    choice = Choice.from_raw(answer.choices[0])
    found["reasons"] = features.thinks
    found["endless"] = choice.cut
    words = " ".join((choice.text or choice.reasoning or "").split())
    found["answer"] = "".join(letter for letter in words if letter.isprintable())[:60]
    return None


async def _ask_in_some_form(
    wire: "Wire", settings: EndpointSettings, features: Features, request: Request
) -> Answer:
    """Ask once, in simpler forms where the server refuses the first.

    Raises:
        Failure: What the server said to the first form, where none is answered.
    """
    job = Job(Call("", request, {}), list(range(request.n)))
    why: Failure | None = None
    forms, refused = [features.form(request.n, request, settings)], dict[Form, str]()
    while forms:
        form = forms.pop(0)
        try:
            answer = await wire.chat(body(settings, job, form))
        except Failure as failure:
            if failure.stops_the_run or (failure.transient and not refused):
                raise
            forms = features.left(form, request, failure, refused, forms)
            refused[form] = failure.words
            why = why or failure
            continue
        if refused:
            features.learn(refused, form, request, None)
        features.took(form, len(answer.choices), request)
        shown = any(Choice.from_raw(choice).shows_thoughts for choice in answer.choices)
        features.saw(thoughts=shown or answer.thoughts > 0, settings=settings)
        return answer
    assert why is not None
    raise why


async def _ask_many(
    wire: "Wire", settings: EndpointSettings, features: Features, n: int
) -> Ability:
    form = replace(features.form(1, _request(_HELLO, _MANY_TOKENS), settings), n=n, room=0)
    answer, words = await _try(wire, settings, _request(_HELLO, _MANY_TOKENS, n=n), form)
    if answer is None:
        return Ability(False, words)
    if len(answer.choices) < n:
        return Ability(False, f"{len(answer.choices)} completions where n={n} were asked")
    said = {choice["text"] or choice["reasoning"] for choice in answer.choices}
    if len(said) == 1 and said != {""} and said != {None}:
        return Ability(True, f"n={n} gave {n} equal completions: little use for sampling")
    return Ability(True, f"n={n}")


async def _ask_with_schema(wire: "Wire", settings: EndpointSettings, features: Features) -> Ability:
    """Ask for a label of back-translation, whose schema is the smallest one in use."""
    request = replace(
        _request(NLI.render(**_PAIR), _LABEL_TOKENS), role=NLI.role, schema=NLI.schema
    )
    form = features.form(1, request, settings)
    answer, words = await _try(wire, settings, request, form)
    if answer is None:
        return Ability(False, words)
    choice = Choice.from_raw(answer.choices[0])
    if NLI.schema is not None and _follows(choice.text, NLI.schema):
        return Ability(True, "json_schema")
    if choice.cut:
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


async def _try(
    wire: "Wire", settings: EndpointSettings, request: Request, form: Form
) -> tuple[Answer | None, str]:
    """Return the answer, or what the server said instead."""
    job = Job(Call("", request, {}), list(range(request.n)))
    try:
        return await wire.chat(body(settings, job, form)), ""
    except Failure as failure:
        return None, failure.words


def _request(prompt: str, max_tokens: int, n: int = 1) -> Request:
    return Request(prompt, "check", n, 1.0, max_tokens, 1)
