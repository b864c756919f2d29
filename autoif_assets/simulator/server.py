"""The HTTP server: OpenAI's routes, vLLM's health and metrics, the debug routes, and faults."""

import hmac
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from hashlib import blake2b
from random import Random
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from autoif_assets.method.ids import derived_seed
from autoif_assets.simulator.engine import Engine, warm_up
from autoif_assets.simulator.requests import RequestError, parse_request
from autoif_assets.simulator.settings import SimulatorSettings
from autoif_assets.simulator.truth import truth

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MAX_BODY = 64 * 1024**2
_CHUNK = 64  # characters of an event of a stream


def _json(body: Mapping[str, Any], status: int = 200, **headers: str) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def _cut(request: web.Request) -> web.Response:
    """End a connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _garbled(body: bytes) -> web.Response:
    """Answer with a body whose middle is lost, as of a proxy that mixes up its buffers."""
    third = len(body) // 3
    # Without the zero, which no JSON holds, what is left might be JSON.
    return web.Response(body=body[:third] + b"\0" + body[-third:], content_type="application/json")


def events(body: Mapping[str, Any], with_usage: bool) -> Iterator[bytes]:
    """Yield an answer as the events of a stream, which ends with ``[DONE]``.

    Args:
        body: The answer as a whole.
        with_usage: Whether the last but one tells the tokens.
    """
    head = {name: body[name] for name in ("id", "created", "model")}

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    for choice in body["choices"]:
        message, index = choice["message"], choice["index"]
        yield event([_delta(index, {"role": "assistant", "content": ""})])
        for name in ("reasoning", "reasoning_content", "content"):
            text = message.get(name) or ""
            for start in range(0, len(text), _CHUNK):
                yield event([_delta(index, {name: text[start : start + _CHUNK]})])
        yield event([_delta(index, {}, choice["finish_reason"])])
    if with_usage:
        yield event([], usage=body["usage"])
    yield b"data: [DONE]\n\n"


def _delta(index: int, delta: Mapping[str, Any], end: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": dict(delta), "logprobs": None, "finish_reason": end}


class Faults:
    """Decides the faults of each completion request, and when the whole server is dead.

    Faults are seeded by a request's content, so the order in which requests arrive does not
    matter.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._rates = [(kind, rate) for kind, rate in settings.fault_rates.items() if rate > 0]
        self._attempts: Counter[bytes] = Counter()
        self._seen = 0
        self._dead: list[tuple[float, float]] = []
        if settings.outage_seconds > 0:
            self.die(settings.outage_seconds, settings.outage_after)

    def die(self, seconds: float, after: float = 0.0) -> None:
        """Cut every connection for some seconds, from ``after`` seconds on."""
        start = time.monotonic() + after
        self._dead.append((start, start + seconds))

    @property
    def dead(self) -> bool:
        """Whether the server is in an outage."""
        if not self._dead:
            return False
        now = time.monotonic()
        return any(start <= now < end for start, end in self._dead)

    def draw(self, body: bytes) -> tuple[str, ...]:
        """Return the kinds of fault a request meets: at most one that fails it, perhaps slow.

        Each kind is drawn at its own rate, so the rates may add up to more than 1; of several
        that would fail the request one is chosen. The n-th request with the same body meets the
        same faults in every run.
        """
        self._seen += 1
        # The only fault that depends on the order of arrival, for a server that is still starting.
        if self._seen <= self._settings.fail_first:
            return ("503",)
        if not self._rates:
            return ()
        key = blake2b(body, digest_size=8).digest()
        attempt = self._attempts[key]
        self._attempts[key] += 1
        luck = Random(
            derived_seed("fault", str(self._settings.fault_seed), key.hex(), str(attempt))
        )
        # Every rate is drawn, so that one kind's rate leaves the other kinds' requests as they are.
        drawn = [kind for kind, rate in self._rates if luck.random() < rate]
        failing = [kind for kind in drawn if kind != "slow"]
        slow = ("slow",) if "slow" in drawn else ()
        return (luck.choice(failing), *slow) if failing else slow


class Server:
    """The application and its state.

    Attributes:
        app: The aiohttp application.
        faults: What is injected; ``faults.die(seconds)`` starts an outage.
        connections: Counts the open connections; set by what starts the server.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        warm_up()
        self._engine = Engine(settings)
        self.faults = Faults(settings)
        self.connections: Callable[[], int] = lambda: 0
        self._received = 0
        self._injected = Counter[str]()
        self._refused = Counter[str]()
        self.app = web.Application(client_max_size=_MAX_BODY, middlewares=[self._guard])
        self.app.add_routes(
            [
                web.post("/v1/chat/completions", self._chat),
                *([web.post("/v1/completions", self._chat)] if settings.prompt_logprobs else []),
                web.get("/v1/models", self._models),
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/debug/stats", self._stats),
                web.post("/debug/truth", self._truth),
                web.post("/debug/outage", self._outage),
            ]
        )

    def stats(self) -> dict[str, Any]:
        """Return the counts of this server since its start.

        ``received`` counts completion requests, ``served`` those whose response went out whole,
        ``completions`` their choices and ``distinct_completions`` the choices that were not
        served before for the same prompt and seed. ``connections`` are open now.
        """
        engine = self._engine
        return {
            "received": self._received,
            "served": engine.served.total(),
            "completions": engine.completions.total(),
            "distinct_completions": engine.distinct,
            "by_role": {
                role: {"served": engine.served[role], "completions": engine.completions[role]}
                for role in sorted(engine.served)
            },
            "faults": dict(self._injected),
            "refused": dict(self._refused),
            "connections": self.connections(),
            "running": engine.slots.running,
            "waiting": engine.slots.waiting,
        }

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        # The debug routes belong to the tests: they answer without a key and in an outage.
        if request.path.startswith("/debug/"):
            return await handler(request)
        if self.faults.dead:
            self._injected["outage"] += 1
            return _cut(request)
        key = self._settings.api_key
        # Health and metrics need no key, as in vLLM.
        if key is not None and request.path.startswith("/v1/"):
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), key.encode()):
                return self._refuse(
                    RequestError(401, "The API key is missing or wrong.", "AuthenticationError")
                )
        try:
            return await handler(request)
        except RequestError as error:
            return self._refuse(error)

    def _refuse(self, error: RequestError) -> web.Response:
        self._refused[str(error.status)] += 1
        return _json(error.body, error.status)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._received += 1
        raw = await request.read()
        faults = self.faults.draw(raw)
        self._injected.update(faults)
        for status in ("429", "500", "503"):
            if status in faults:
                return self._fail(status)
        try:
            parsed = self._engine.seeded(parse_request(json.loads(raw), self._settings))
        except ValueError as error:
            raise RequestError(400, f"the body is not JSON: {error}", "BadRequestError") from None
        extra = self._settings.slow_seconds if "slow" in faults else 0.0
        body = await self._engine.serve(parsed, extra)
        # What is cut or garbled is not counted: no client has seen these completions.
        if "drop" in faults:
            return _cut(request)
        if parsed.stream:
            sent, kind = b"".join(events(body, parsed.stream_usage)), "text/event-stream"
        else:
            sent, kind = json.dumps(body).encode(), "application/json"
        if "half" in faults:
            return await self._half(request, sent, kind)
        if "garbled" in faults:
            return _garbled(sent)
        self._engine.count(parsed, body)
        return web.Response(body=sent, content_type=kind)

    def _fail(self, fault: str) -> web.Response:
        messages = {
            "429": ("Too many requests.", "RateLimitError"),
            "500": ("The engine failed on this request.", "InternalServerError"),
            "503": ("The server is overloaded, try again later.", "ServiceUnavailable"),
        }
        message, kind = messages[fault]
        error = RequestError(int(fault), message, kind)
        if fault == "429":
            return _json(error.body, 429, **{"Retry-After": f"{self._settings.retry_after:g}"})
        return _json(error.body, error.status)

    async def _half(self, request: web.Request, body: bytes, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": kind, "Content-Length": str(len(body))}
        )
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        # The written half must leave before the connection is closed under it.
        if request.transport is not None:
            request.transport.close()
        return response

    async def _models(self, request: web.Request) -> web.Response:
        cards = [
            {
                "id": name,
                "object": "model",
                "created": 1_700_000_000,
                "owned_by": "autoif",
                "max_model_len": self._settings.context_length,
            }
            for name in self._settings.models
        ]
        return _json({"object": "list", "data": cards})

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _metrics(self, request: web.Request) -> web.Response:
        if not self._settings.metrics:
            raise web.HTTPNotFound()
        self._engine.observe()
        return web.Response(
            body=self._engine.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _stats(self, request: web.Request) -> web.Response:
        return _json(self.stats())

    async def _truth(self, request: web.Request) -> web.Response:
        try:
            fields = json.loads(await request.read())
            if not isinstance(fields, dict):
                raise ValueError("send a JSON object with kind and the fields of that kind")
            return _json(truth(str(fields.pop("kind", None)), **fields))
        except ValueError as error:
            return _json({"error": {"message": str(error)}}, 400)

    async def _outage(self, request: web.Request) -> web.Response:
        try:
            seconds = float(json.loads(await request.read())["seconds"])
        except (ValueError, KeyError, TypeError):
            return _json({"error": {"message": 'send {"seconds": number}'}}, 400)
        self.faults.die(seconds)
        return _json({"dead_for_seconds": seconds})
