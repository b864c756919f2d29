"""What an engine such as vLLM's does with requests: slots, a queue, caches, metrics."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from random import Random
from typing import Any

import prometheus_client as prometheus

from autoif_assets.method.ids import content_id, derived_seed
from autoif_assets.simulator.answers import complete
from autoif_assets.simulator.instructions import read_instruction
from autoif_assets.simulator.likelihoods import prompt_logprobs, told_logprobs
from autoif_assets.simulator.requests import (
    ChatRequest,
    RecognisedPrompt,
    RequestError,
    recognise,
    token_count,
)
from autoif_assets.simulator.settings import SimulatorSettings
from autoif_assets.simulator.verifiers import read_verifier
from autoif_assets.simulator.verifying import certainty

_BLOCK_CHARS = 64
_MAX_BLOCKS = 200_000
_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_LABELS = ("engine", "model_name")


class Engine:
    """The model with its slots, caches, metrics and counts; one per server."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.metrics = Metrics(settings.models[0])
        self.slots = Slots(settings.slots)
        self.served = Counter[str]()
        self.completions = Counter[str]()
        self._distinct: set[bytes] = set()
        self._prefixes = PrefixCache()
        self._tokens_running = 0
        # One source each: a request without a seed must not change the latencies of the others.
        self._unseeded = Random(settings.seed)
        self._latencies = Random(settings.seed)

    @property
    def distinct(self) -> int:
        """Completions served, not counting those with a prompt and seed served before."""
        return len(self._distinct)

    def seeded(self, request: ChatRequest) -> ChatRequest:
        """Return the request with a seed of its own where it came without one."""
        if request.seed is not None:
            return request
        return replace(request, seed=self._unseeded.randrange(2**31))

    def observe(self) -> None:
        """Bring the gauges up to date."""
        self.metrics.running.set(self.slots.running)
        self.metrics.waiting.set(self.slots.waiting)
        self.metrics.kv_cache.set(min(self._tokens_running / self.settings.kv_cache_tokens, 1.0))

    async def serve(self, request: ChatRequest, extra_seconds: float = 0.0) -> dict[str, Any]:
        """Queue a request, hold its slot for its latency and return the response body.

        Raises:
            RequestError: 503, where the queue is full.
        """
        settings = self.settings
        if settings.max_queue is not None and self.slots.waiting >= settings.max_queue:
            raise RequestError(
                503, "The server's request queue is full, try again later.", "ServiceUnavailable"
            )
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        start = await self.slots.acquire()
        end = start
        reserved = 0
        try:
            # The answer is worked out first, since its length decides how much cache it holds.
            body, reserved = self.answer(request)
            self._tokens_running += reserved
            latency = settings.latency * (
                1 + settings.latency_spread * self._latencies.uniform(-1, 1)
            )
            if self._tokens_running > settings.kv_cache_tokens:
                # vLLM computes a preempted request again from its beginning.
                self.metrics.preemptions.inc()
                latency *= 2
            end = start + latency + extra_seconds
            await asyncio.sleep(max(end - loop.time(), 0))
        except asyncio.CancelledError:
            # The client has gone: the slot is free now, not when the answer was due.
            end = loop.time()
            raise
        finally:
            self._tokens_running -= reserved
            self.slots.release(end)
        self.metrics.queue_time.observe(max(start - arrived, 0))
        self.metrics.latency.observe(max(end - arrived, 0))
        return body

    def count(self, request: ChatRequest, body: Mapping[str, Any]) -> None:
        """Count a request whose response goes out whole."""
        prompt = recognise(request.prompt, self.settings.prompts)
        role = "likelihood" if request.scored is not None else prompt.role
        self.served[role] += 1
        self.completions[role] += request.n
        usage = body["usage"]
        self.metrics.prompt_tokens.inc(usage["prompt_tokens"])
        self.metrics.generation_tokens.inc(usage["completion_tokens"])
        for seed in self._seeds(request):
            self._distinct.add(
                blake2b(
                    f"{seed}:{request.read}{request.scored or ''}".encode("utf-8", "replace"),
                    digest_size=8,
                ).digest()
            )
        for choice in body["choices"]:
            self.metrics.finished(choice["finish_reason"])

    def _seeds(self, request: ChatRequest) -> list[int]:
        # Greedy samples are all alike; others have consecutive seeds, so that n samples are those
        # of n requests.
        if request.temperature == 0:
            return [0] * request.n
        return [(request.seed or 0) + index for index in range(request.n)]

    def answer(self, request: ChatRequest) -> tuple[dict[str, Any], int]:
        """Return the response body at once, and the tokens that prompt and answer hold."""
        if request.scored is not None:
            return prompt_logprobs(request), request.prompt_tokens
        cached = self._prefixes.lookup(request.read)
        self.metrics.prefix_queries.inc(request.prompt_tokens)
        self.metrics.prefix_hits.inc(cached)
        prompt = recognise(request.prompt, self.settings.prompts, request.before)
        blocked = bool(self.settings.blocks) and self.settings.blocks in request.read
        seeds = self._seeds(request)
        choices = [
            self._choice(request, prompt, index, seed)
            for index, seed in enumerate(seeds)
            if not blocked
        ]
        generated = sum(token_count(choice["message"]["content"] or "") for choice in choices)
        generated += len(choices) * min(self.settings.thinking_tokens, request.max_tokens)
        body = {
            "id": "chatcmpl-" + content_id("completion", request.read, *map(str, seeds)),
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": request.model,
            "choices": choices,
            "usage": {
                "prompt_tokens": request.prompt_tokens,
                "completion_tokens": generated,
                "total_tokens": request.prompt_tokens + generated,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }
        return body, request.prompt_tokens + generated

    def _choice(
        self, request: ChatRequest, prompt: RecognisedPrompt, index: int, seed: int
    ) -> dict[str, Any]:
        settings = self.settings
        text = complete(prompt, seed, settings, request.schema, request.choices)
        luck = derived_seed("cut", str(settings.seed), request.read, str(seed)) / 2**31
        left = replace(request, max_tokens=max(request.max_tokens - settings.thinking_tokens, 0))
        content, finish_reason, stop_reason = _finish(
            text, left, cut=luck < settings.truncation_rate and request.choices is None
        )
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if settings.reasoning != "none":
            thought = f"The task is of the kind {prompt.role}. I answer it directly."
            if settings.reasoning == "tags":
                message["content"] = f"<think>\n{thought}\n</think>\n\n{content}"
            else:
                message["reasoning_content"] = message["reasoning"] = thought
        told = None
        if request.top_logprobs is not None:
            audits = prompt.role == "audit"
            sure = certainty(prompt.variables, content, settings) if audits else None
            told = told_logprobs(message["content"], request.top_logprobs, sure)
        return {
            "index": index,
            "message": message,
            "logprobs": told,
            "finish_reason": finish_reason,
            "stop_reason": stop_reason,
        }


def _finish(text: str, request: ChatRequest, cut: bool) -> tuple[str, str, str | None]:
    """Apply stop strings and max_tokens; return the text, finish_reason and stop_reason."""
    found = [(text.find(stop), stop) for stop in request.stop if stop and stop in text]
    stop_reason = None
    if found:
        place, stop_reason = min(found)
        text = text[:place]
    limit = 4 * request.max_tokens
    if len(text) > limit:
        return text[:limit], "length", None
    if cut:
        return text[: len(text) * 2 // 3], "length", None
    return text, "stop", stop_reason


def warm_up() -> None:
    """Compile what the first requests would otherwise wait for."""
    recognise("")
    read_instruction("")
    read_verifier("")


class Slots:
    """First come, first served slots whose times do not drift.

    A request that waited starts at the moment its predecessor was due to finish, not when the
    event loop came round to it, so N requests of latency L on C slots take N * L / C.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: deque[asyncio.Future[float]] = deque()
        self.running = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(not future.done() for future in self._queue)

    async def acquire(self) -> float:
        """Wait for a slot and return the loop time at which it became this request's."""
        loop = asyncio.get_running_loop()
        if self._free:
            self._free -= 1
            self.running += 1
            return loop.time()
        future: asyncio.Future[float] = loop.create_future()
        self._queue.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            # The slot may have been handed over in the very moment of the cancellation.
            if future.done() and not future.cancelled():
                self.release(future.result())
            elif future in self._queue:  # else it was passed over, being cancelled
                self._queue.remove(future)
            raise

    def release(self, at: float) -> None:
        """Give a slot back that was free from loop time ``at`` on."""
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.set_result(at)
                return
        self.running -= 1
        self._free += 1


class PrefixCache:
    """Counts how much of a prompt's beginning was seen before, in blocks as vLLM does."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def lookup(self, prompt: str) -> int:
        """Return the cached tokens of a prompt and remember its blocks."""
        hits, chained, missed = 0, 0, False
        for start in range(0, len(prompt) - _BLOCK_CHARS + 1, _BLOCK_CHARS):
            # A block is known by all text up to its end: only whole beginnings are shared.
            chained = hash((chained, prompt[start : start + _BLOCK_CHARS]))
            if chained in self._blocks:
                self._blocks.move_to_end(chained)
                hits += not missed
            else:
                missed = True
                self._blocks[chained] = None
        while len(self._blocks) > _MAX_BLOCKS:
            self._blocks.popitem(last=False)
        return hits * _BLOCK_CHARS // 4


class Metrics:
    """Prometheus metrics under vLLM's names, in a registry of their own."""

    def __init__(self, model: str) -> None:
        self._registry = prometheus.CollectorRegistry()
        self._model = model

        def gauge(name: str, text: str) -> prometheus.Gauge:
            made = prometheus.Gauge(f"vllm:{name}", text, _LABELS, registry=self._registry)
            return made.labels("0", model)

        def counter(name: str, text: str) -> prometheus.Counter:
            made = prometheus.Counter(f"vllm:{name}", text, _LABELS, registry=self._registry)
            return made.labels("0", model)

        def histogram(name: str, text: str) -> prometheus.Histogram:
            made = prometheus.Histogram(
                f"vllm:{name}", text, _LABELS, buckets=_BUCKETS, registry=self._registry
            )
            return made.labels("0", model)

        self.running = gauge("num_requests_running", "Requests in execution.")
        self.waiting = gauge("num_requests_waiting", "Requests waiting to be processed.")
        self.kv_cache = gauge("kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.")
        self.preemptions = counter("num_preemptions", "Preemptions by the engine.")
        self.prefix_queries = counter("prefix_cache_queries", "Prefix cache queries, in tokens.")
        self.prefix_hits = counter("prefix_cache_hits", "Prefix cache hits, in tokens.")
        self.prompt_tokens = counter("prompt_tokens", "Prefill tokens processed.")
        self.generation_tokens = counter("generation_tokens", "Generation tokens processed.")
        self.latency = histogram("e2e_request_latency_seconds", "End to end request latency.")
        self.queue_time = histogram("request_queue_time_seconds", "Time spent waiting.")
        self._finished = prometheus.Counter(
            "vllm:request_success",
            "Finished completions by reason.",
            (*_LABELS, "finished_reason"),
            registry=self._registry,
        )

    def finished(self, reason: str) -> None:
        """Count a completion that ended for ``reason``."""
        self._finished.labels("0", self._model, reason).inc()

    def text(self) -> bytes:
        """Return the exposition."""
        return prometheus.generate_latest(self._registry)
