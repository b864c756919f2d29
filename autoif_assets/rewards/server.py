"""A scorer over HTTP: `autoif rewards serve`.

On aiohttp, which the endpoint client and the simulator have brought already: FastAPI with uvicorn
would be two more dependencies for validation that the scorer does anyway, and a slower loop.
Requests need no batching of their own: the scorer's engine runs together what comes while the
sandbox is busy.
"""

import asyncio
import hmac
import json
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from autoif_assets.rewards.decisions import Mode, NoVerdict, OnNoVerdict, Reward
from autoif_assets.rewards.errors import RewardDataError, ServeError
from autoif_assets.rewards.protocols import (
    aggregate,
    nemo_gym_item,
    nemo_gym_response,
    openrlhf_items,
    openrlhf_rewards,
)
from autoif_assets.rewards.scorer import Scorer

BACKLOG = 4096
MAX_BODY = 64 << 20
MAX_ITEMS = 32_768
_BODY_S = 60.0  # for a client to send its body
_LATENCIES = 4096  # the last, of which the quantiles are
_QUANTILES = (0.5, 0.99)
_SIZES = (1, 4, 16, 64, 256, 1024)
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RewardServer:
    """The application.

    Args:
        scorer: What scores.
        token: What callers must send as a bearer token; empty: nothing.
        max_items: Completions that are held at a time; more are refused with 429.
        max_body: Bytes of a request; more are refused with 413.

    Attributes:
        app: The aiohttp application.
    """

    def __init__(
        self,
        scorer: Scorer,
        token: str = "",
        *,
        max_items: int = MAX_ITEMS,
        max_body: int = MAX_BODY,
    ) -> None:
        self._scorer = scorer
        self._token = token
        self._max_items = max_items
        self._held = 0
        self._requests: Counter[tuple[str, int]] = Counter()
        self._completions = 0
        self._undecided = 0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.app = web.Application(client_max_size=max_body, middlewares=[self._guard])
        self.app.add_routes(
            [
                web.post("/score", self._score),
                web.post("/get_reward", self._get_reward),
                web.post("/verify", self._verify),
                web.post("/seed_session", self._seed_session),
                web.post("/close_session", self._seed_session),
                web.post("/aggregate_metrics", self._aggregate),
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
            ]
        )

    # --- routes --------------------------------------------------------------------------

    async def _score(self, request: web.Request) -> web.Response:
        body = await _body(request)
        items = body.get("items")
        if not isinstance(items, list):
            raise RewardDataError(
                'The body of /score is {"items": [...], "mode", "on_no_verdict"}.'
            )
        mode, on_no_verdict = body.get("mode", "all"), body.get("on_no_verdict", "none")
        return _json({"rewards": await self._scored(items, mode, on_no_verdict)})

    async def _get_reward(self, request: web.Request) -> web.Response:
        body = await _body(request)
        labels = body.get("labels")
        items = openrlhf_items(body.get("query"), body.get("prompts"), labels)
        return _json(openrlhf_rewards(await self._scored(items), labels or []))

    async def _verify(self, request: web.Request) -> web.Response:
        body = await _body(request)
        (made,) = await self._scored([nemo_gym_item(body)])
        return _json(nemo_gym_response(body, made))

    async def _seed_session(self, request: web.Request) -> web.Response:
        """Confirm a session: none has a state here."""
        body = await _body(request)
        id = body.get("resources_session_id")
        return _json({} if id is None else {"resources_session_id": id})

    async def _aggregate(self, request: web.Request) -> web.Response:
        verified = (await _body(request)).get("verify_responses")
        if not isinstance(verified, list) or not all(isinstance(one, dict) for one in verified):
            raise RewardDataError('The body of /aggregate_metrics is {"verify_responses": [...]}.')
        return _json(aggregate(verified))

    async def _health(self, request: web.Request) -> web.Response:
        engine, bank = self._scorer.engine, self._scorer.bank
        return _json(
            {
                "status": "ok",
                "instructions": len(bank),
                "verifiers_sha256": bank.sha256,
                "confinement": engine.confinement,
                "held": self._held,
            }
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _scored(
        self, items: Sequence[Mapping[str, Any]], mode: Mode = "all", on: OnNoVerdict = "none"
    ) -> list[Reward]:
        """Score items, unless too many are held already."""
        if self._held and self._held + len(items) > self._max_items:
            raise _Busy
        began = time.monotonic()
        self._held += len(items)
        try:
            made = await self._scorer.ascore(items, mode, on)
        finally:
            self._held -= len(items)
        self._latencies.append(time.monotonic() - began)
        self._completions += len(made)
        self._undecided += sum(one["reward"] is None for one in made)
        return made

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Let callers in, and tell what is wrong with a request as JSON."""
        response = await self._answer(request, handler)
        route = request.match_info.route.resource
        self._requests[route.canonical if route else "", response.status] += 1
        return response

    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        # As servers of models do: whether it is well may be asked without a token.
        if self._token and request.path != "/health":
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return _refusal(401, "The token is missing or wrong.")
        try:
            return await handler(request)
        except _Busy:
            # What is held now is done after about one batch.
            return _refusal(429, "Too many completions are held.", **{"Retry-After": "1"})
        except ValueError as error:
            return _refusal(400, str(error))
        except NoVerdict as error:
            return _refusal(422, str(error))
        except web.HTTPException as error:
            return _refusal(error.status, error.reason)
        except TimeoutError:
            return _refusal(408, f"The body did not come within {_BODY_S:.0f} s.")
        except Exception as error:
            # The sandbox broke, or is closed: no property of what was to be scored.
            return _refusal(503, f"{type(error).__name__}: {error}", **{"Retry-After": "5"})

    # --- metrics -------------------------------------------------------------------------

    def collect(self) -> Iterable[Metric]:
        """Yield what Prometheus is told."""
        engine = self._scorer.engine
        counts = engine.counts
        name = "autoif_rewards"
        requests = CounterMetricFamily(f"{name}_requests", "Requests.", labels=["route", "status"])
        for (route, status), count in sorted(self._requests.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        yield CounterMetricFamily(f"{name}_completions", "Completions scored.", self._completions)
        yield CounterMetricFamily(
            f"{name}_undecided", "Completions without a reward.", self._undecided
        )
        yield GaugeMetricFamily(f"{name}_held", "Completions held now.", self._held)
        yield GaugeMetricFamily(
            f"{name}_queue_depth", "Questions to verifiers that wait for a batch.", engine.waiting
        )
        outcomes = CounterMetricFamily(
            f"{name}_outcomes", "Answers of verifiers that were run.", labels=["outcome"]
        )
        for outcome, count in sorted(counts.outcomes.copy().items()):
            outcomes.add_metric([outcome], count)
        yield outcomes
        yield CounterMetricFamily(
            f"{name}_cached", "Questions answered from the cache.", counts.cached
        )
        yield _histogram(f"{name}_batch_size", "Questions of the last batches.", counts.batches)
        yield GaugeMetricFamily(
            f"{name}_slow_verifiers",
            "Verifiers that took long or had no time.",
            len(self._scorer.slow_verifiers()),
        )
        latency = GaugeMetricFamily(
            f"{name}_latency_seconds", "Of the last requests.", labels=["quantile"]
        )
        for quantile, seconds in _quantiles(self._latencies):
            latency.add_metric([str(quantile)], seconds)
        yield latency


class _Busy(Exception):
    """More is held than may be."""


async def _body(request: web.Request) -> dict[str, Any]:
    data = await asyncio.wait_for(request.read(), _BODY_S)
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RewardDataError(f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise RewardDataError("The body is JSON, but no object.")
    return body


def _json(body: Mapping[str, Any], status: int = 200, **headers: str) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def _refusal(status: int, message: str, **headers: str) -> web.Response:
    return _json({"error": message}, status, **headers)


def _histogram(name: str, text: str, values: Iterable[int]) -> HistogramMetricFamily:
    seen = list(values)
    buckets = [(str(size), sum(one <= size for one in seen)) for size in _SIZES]
    return HistogramMetricFamily(name, text, [*buckets, ("+Inf", len(seen))], sum(seen))


def _quantiles(values: Iterable[float]) -> list[tuple[float, float]]:
    ordered = sorted(values)
    if not ordered:
        return []
    return [(q, ordered[min(int(q * len(ordered)), len(ordered) - 1)]) for q in _QUANTILES]


def check_address(host: str, token: str) -> None:
    """Refuse to listen for other machines without a token.

    Raises:
        ServeError: It would.
    """
    if host not in LOOPBACK and not token:
        raise ServeError(
            f"{host} is reached from other machines, and whoever reaches it could have texts "
            "scored: name the variable that holds a token (--token-variable)."
        )


async def serve(
    server: RewardServer,
    host: str,
    port: int,
    ready: Callable[[str], None],
    stop: asyncio.Event,
    grace_s: float,
) -> None:
    """Serve until told to stop, then answer what is held.

    Args:
        server: What to serve.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        ready: Told the URL once it listens.
        stop: Set to stop.
        grace_s: Seconds that answers may take after that.

    Raises:
        ServeError: The address cannot be listened on.
    """
    runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=grace_s)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ServeError(
                f"{host}:{port} cannot be listened on: {reason.lower()}. Name another --port."
            ) from None
        ready(f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}")
        await stop.wait()
    finally:
        await runner.cleanup()


def run(
    scorer: Scorer,
    host: str,
    port: int,
    token: str,
    ready: Callable[[str], None],
    *,
    max_items: int = MAX_ITEMS,
    max_body: int = MAX_BODY,
    grace_s: float = 30.0,
) -> None:
    """Serve a scorer until interrupted or told to end; it is closed then.

    Raises:
        ServeError: It cannot be served so.
    """
    check_address(host, token)
    server = RewardServer(scorer, token, max_items=max_items, max_body=max_body)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError):  # not of the main thread
                loop.add_signal_handler(number, stop.set)
        await serve(server, host, port, ready, stop, grace_s)

    try:
        asyncio.run(main())
    finally:
        scorer.close()
