"""What happens to one chat completion request, apart from HTTP."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from random import Random
from typing import Any

from autoif_assets.method.ids import content_id, derived_seed
from autoif_assets.simulator.answers import complete
from autoif_assets.simulator.likelihoods import reading as likelihood_reading
from autoif_assets.simulator.metrics import Metrics
from autoif_assets.simulator.reading import read_instruction
from autoif_assets.simulator.requests import ChatRequest, RequestError, token_count
from autoif_assets.simulator.roles import Reading, recognise
from autoif_assets.simulator.settings import SimulatorSettings
from autoif_assets.simulator.slots import PrefixCache, Slots
from autoif_assets.simulator.verifiers import read_verifier


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
            body, reserved = self._answer(request)
            self._tokens_running += reserved
            latency = settings.latency * (
                1 + settings.latency_spread * self._latencies.uniform(-1, 1)
            )
            if self._tokens_running > settings.kv_cache_tokens:
                self.metrics.preemptions.inc()
                latency *= 2
            end = start + latency + extra_seconds
            await asyncio.sleep(max(end - loop.time(), 0))
        except asyncio.CancelledError:
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
        role = "likelihood" if request.scored is not None else recognise(request.prompt).role
        self.served[role] += 1
        self.completions[role] += request.n
        usage = body["usage"]
        self.metrics.prompt_tokens.inc(usage["prompt_tokens"])
        self.metrics.generation_tokens.inc(usage["completion_tokens"])
        for seed in self._seeds(request):
            self._distinct.add(
                blake2b(
                    f"{seed}:{request.prompt}{request.scored or ''}".encode("utf-8", "replace"),
                    digest_size=8,
                ).digest()
            )
        for choice in body["choices"]:
            self.metrics.finished(choice["finish_reason"])

    def _seeds(self, request: ChatRequest) -> list[int]:
        if request.temperature == 0:
            return [0] * request.n
        return [(request.seed or 0) + index for index in range(request.n)]

    def _answer(self, request: ChatRequest) -> tuple[dict[str, Any], int]:
        if request.scored is not None:
            return likelihood_reading(request), request.prompt_tokens
        cached = self._prefixes.lookup(request.prompt)
        self.metrics.prefix_queries.inc(request.prompt_tokens)
        self.metrics.prefix_hits.inc(cached)
        reading = recognise(request.prompt)
        seeds = self._seeds(request)
        choices = [self._choice(request, reading, index, seed) for index, seed in enumerate(seeds)]
        generated = sum(token_count(choice["message"]["content"] or "") for choice in choices)
        body = {
            "id": "chatcmpl-" + content_id("completion", request.prompt, *map(str, seeds)),
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
        self, request: ChatRequest, reading: Reading, index: int, seed: int
    ) -> dict[str, Any]:
        settings = self.settings
        text = complete(reading, seed, settings, request.schema, request.choices)
        luck = derived_seed("cut", str(settings.seed), request.prompt, str(seed)) / 2**31
        content, finish_reason, stop_reason = _finish(
            text, request, cut=luck < settings.truncation_rate and request.choices is None
        )
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if settings.reasoning != "none":
            thought = f"The task is of the kind {reading.role}. I answer it directly."
            if settings.reasoning == "tags":
                message["content"] = f"<think>\n{thought}\n</think>\n\n{content}"
            else:
                message["reasoning_content"] = message["reasoning"] = thought
        return {
            "index": index,
            "message": message,
            "logprobs": None,
            "finish_reason": finish_reason,
            "stop_reason": stop_reason,
        }
