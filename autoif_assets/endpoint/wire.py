"""One HTTP request to an OpenAI-compatible server, and what its failure means."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from autoif_assets.endpoint.address import proxy, secrets, trusted
from autoif_assets.endpoint.errors import AccessDenied, EndpointError, Failure, NotServed
from autoif_assets.endpoint.responses import (
    Answer,
    Unsupported,
    read_answer,
    read_json,
    read_likelihood,
    retry_after_s,
    server_words,
)

_CONNECT_TIMEOUT_S = 10.0
# Servers drop idle connections after 5 s (uvicorn's default, so vLLM's); using one at that very
# moment would fail, so ours go first.
_KEEPALIVE_S = 4.0
_WORDS = 600  # characters of a server's error text that are kept


class Wire:
    """Connections to one server, within one event loop.

    Plain aiohttp: the openai client on the same transport costs three to four times the CPU,
    which at hundreds of requests a second leaves the server's slots idle.
    """

    def __init__(
        self, base_url: str, api_key: str, timeout_s: float, max_concurrency: int = 1
    ) -> None:
        self._base_url = base_url
        self._proxy = proxy(base_url)
        self._secrets = secrets(api_key, self._proxy)
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._max_concurrency = max_concurrency

    async def __aenter__(self) -> Self:
        secure = self._base_url.startswith("https:")
        # With room for the metrics and the list of models.
        connector = aiohttp.TCPConnector(
            limit=self._max_concurrency + 2,
            keepalive_timeout=_KEEPALIVE_S,
            ssl=trusted() if secure else True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def chat(self, body: Mapping[str, Any]) -> Answer:
        """Post ``body`` to ``/chat/completions``.

        Raises:
            Failure: No completion came.
        """
        raw = await self._post("chat/completions", body)
        try:
            return read_answer(raw)
        except ValueError as error:
            words = self._clean(str(error))
        raise Failure("body", words)

    async def likelihood(self, body: Mapping[str, Any]) -> Answer:
        """Post ``body``, which asks for ``prompt_logprobs``: a chat, or a plain text.

        Raises:
            Failure: No log-probabilities came.
        """
        path = "chat/completions" if "messages" in body else "completions"
        cause = "body"
        try:
            raw = await self._post(path, body)
            return read_likelihood(raw)
        except Unsupported as error:
            cause, words = "unsupported", self._clean(str(error))
        except ValueError as error:
            words = self._clean(str(error))
        except Failure as failure:
            # A refusal of the feature, not of the row.
            named = any(name in failure.words for name in ("prompt_logprobs", "final_message"))
            missing = failure.status in (404, 405) and path == "completions"
            if failure.status == 501 or missing or (failure.status in (400, 422) and named):
                raise Failure("unsupported", failure.words, failure.status) from None
            raise
        raise Failure(cause, words)

    async def models(self) -> list[str]:
        """Return the names of the served models.

        Raises:
            Failure: The server does not list them.
        """
        return [card["id"] for card in await self.cards()]

    async def cards(self) -> list[dict[str, Any]]:
        """Return what the server says of its models: ``id``, in vLLM also ``max_model_len``.

        Raises:
            Failure: The server does not list them.
        """
        raw = await self._send("GET", f"{self._base_url}/models", 2 * _CONNECT_TIMEOUT_S)
        try:
            return [{**card, "id": str(card["id"])} for card in read_json(raw)["data"]]
        except (TypeError, KeyError, ValueError):
            words = self._clean(raw.decode("utf-8", "replace"))
        raise Failure("body", f"not a list of models: {words}")

    async def metrics(self) -> str:
        """Return the server's Prometheus metrics, which vLLM keeps beside ``/v1``.

        Raises:
            Failure: There are none.
        """
        url = self._base_url.removesuffix("/v1") + "/metrics"
        return (await self._send("GET", url, _CONNECT_TIMEOUT_S)).decode("utf-8", "replace")

    async def explain(self, failure: Failure, model: str) -> EndpointError:
        """Return the error for the user, with the URL, the model and what is served there."""
        url = self._base_url
        if failure.cause == "unsupported":
            return NotServed(
                f"{url} does not tell the log-probabilities of given texts ({failure.words}). IFD "
                "and the ranking by likelihood need a server with prompt_logprobs, such as vLLM; "
                "else set likelihood_of to none."
            )
        try:
            served = "It serves: " + ", ".join(await self.models()) + "."
        except Failure as other:
            served = f"Asked for its models it says: {other.words}."
        if failure.denied:
            return AccessDenied(
                f"{url} refused the request for model {model!r} ({failure.words}). {served} "
                "Check the key in AUTOIF_API_KEY and that it may use this model."
            )
        return NotServed(
            f"{url} has no chat completions for model {model!r} ({failure.words}). {served} "
            "Set AUTOIF_MODEL to a served name; the URL usually ends in /v1 (AUTOIF_BASE_URL)."
        )

    async def _post(self, path: str, body: Mapping[str, Any]) -> bytes:
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        return await self._send("POST", f"{self._base_url}/{path}", self._timeout_s, data)

    async def _send(
        self, method: str, url: str, timeout_s: float, data: bytes | None = None
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(timeout_s, sock_connect=_CONNECT_TIMEOUT_S)
        try:
            async with self._session.request(method, url, data=data, timeout=timeout) as response:
                raw = await response.read()
        except aiohttp.ClientError as error:
            failure = self._broken(error)
        except TimeoutError:
            failure = Failure("timeout", f"no answer within {timeout_s:g} s")
        except OSError as error:
            failure = self._broken(error)
        else:
            if response.status < 300:
                return raw
            failure = self._refusal(response, raw)
        # Raised out here, the failure drags along no library error, which could quote the key.
        raise failure

    def _refusal(self, response: aiohttp.ClientResponse, raw: bytes) -> Failure:
        status = response.status
        words = server_words(raw.decode("utf-8", "replace")) or response.reason or ""
        return Failure(
            f"http {status}",
            self._clean(f"{status}: {words}"),
            status,
            retry_after_s(response.headers),
        )

    def _broken(self, error: BaseException) -> Failure:
        """Tell a connection that could not be made from one that ended early."""
        unmade = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        return Failure(
            "connection" if unmade else "dropped", self._clean(str(error) or type(error).__name__)
        )

    def _clean(self, words: str) -> str:
        for secret in self._secrets:
            words = words.replace(secret, "***")
        return " ".join(words.split())[:_WORDS]
