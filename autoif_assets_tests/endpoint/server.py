"""A scriptable OpenAI-compatible server in a thread, that counts what it was asked."""

import asyncio
import hashlib
import json
import random
import threading
from collections import Counter

from aiohttp import web


def completion(prompt, seed):
    return f"answer {hashlib.sha256(f'{prompt}|{seed}'.encode()).hexdigest()[:12]} ü"


def answer(body, **extra):
    """What a well-behaved server says; sample i is what seed + i alone would give."""
    prompt = body["messages"][-1]["content"]
    n = body.get("n", 1)
    return {
        "choices": [
            {
                "index": i,
                "message": {
                    "role": "assistant",
                    "content": completion(prompt, body.get("seed", 0) + i),
                },
                "finish_reason": "stop",
            }
            for i in range(n)
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 3 * n,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    } | extra


class Server:
    """Serves on a free port while it is entered.

    ``behave(body, count)`` may return None (answer well), a dict (a body), an int status, an
    ``(status, body)`` or ``(status, body, headers)`` tuple, "drop", "half", "short" or "hang".
    """

    def __init__(
        self,
        behave=None,
        latency_s=0.0,
        port=0,
        metrics=None,
        secure=None,
        host="127.0.0.1",
        models=("tiny", "other"),
    ):
        self.behave = behave or (lambda body, count: None)
        self.latency_s = latency_s
        self.host, self.port = host, port
        self.models = models
        self.metrics = metrics
        self.secure = secure  # a context of TLS
        self.bodies = []
        self.headers = []
        self.listed = []  # headers of the requests for the list of models
        self.urls = []  # of both
        self.completed = Counter()
        self.open = 0
        self.most_open = 0
        self._loop = asyncio.new_event_loop()

    @property
    def url(self):
        return f"http{'s' if self.secure else ''}://{self.host}:{self.port}/v1"

    def __enter__(self):
        ready = threading.Event()

        def serve():
            asyncio.set_event_loop(self._loop)
            app = web.Application(client_max_size=2**26)
            app.router.add_post("/{base:.*}/completions", self._chat)
            app.router.add_get("/{base:.*}/models", self._models)
            app.router.add_get("/metrics", self._metrics)
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            self._loop.run_until_complete(self._runner.setup())
            site = web.TCPSite(
                self._runner, self.host, self.port, reuse_address=True, ssl_context=self.secure
            )
            self._loop.run_until_complete(site.start())
            self.port = self._runner.addresses[0][1]
            ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(self._runner.cleanup())
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert ready.wait(20)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    async def _models(self, request):
        self.listed.append(request.headers.copy())
        self.urls.append(str(request.rel_url))
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _metrics(self, request):
        if self.metrics is None:
            raise web.HTTPNotFound
        return web.Response(text=self.metrics())

    async def _chat(self, request):
        body = await request.json()
        self.bodies.append(body)
        count = len(self.bodies)
        self.headers.append(request.headers.copy())
        self.urls.append(str(request.rel_url))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(self.latency_s)
            said = self.behave(body, count)
            if said == "hang":
                await asyncio.sleep(60)
        finally:
            self.open -= 1
        if said == "drop":
            request.transport.close()
            return web.Response()
        if said == "half":
            text = json.dumps(answer(body))
            return web.Response(text=text[: len(text) // 2], content_type="application/json")
        if said == "short":
            # The length it announces never comes.
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"choices": [')
            request.transport.close()
            return response
        if said is None:
            said = answer(body)
            for i in range(body.get("n", 1)):
                self.completed[body["messages"][-1]["content"], body.get("seed", 0) + i] += 1
        if isinstance(said, int):
            said = (said, {"error": {"message": f"status {said} on purpose"}})
        if isinstance(said, dict):
            said = (200, said)
        status, content, *headers = said
        return web.json_response(content, status=status, headers=headers[0] if headers else None)


def faults(rate, seed=0, hang=False):
    """A ``behave`` that fails at ``rate`` in every way that may pass."""
    chance = random.Random(seed)
    kinds = [429, 500, 502, 503, 408, 409, "drop", "half", (429, {}, {"Retry-After": "0.1"})]
    if hang:
        kinds.append("hang")
    return lambda body, count: chance.choice(kinds) if chance.random() < rate else None
