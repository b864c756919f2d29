"""One HTTP request to an OpenAI-compatible server, and what its failure means."""

import asyncio
import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import openai

from autoif_assets.endpoint.errors import EndpointError

_CONNECT_TIMEOUT_S = 10.0
# Servers drop idle connections after 5 s (uvicorn's default, so vLLM's); using one at that very
# moment would fail, so ours go first.
_KEEPALIVE_S = 4.0
_WORDS = 600  # characters of a server's error text that are kept


@dataclass(frozen=True)
class Usage:
    """Tokens of one HTTP request, as far as the server reports them."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Answer:
    """Completions in a server's words: ``text``, ``reasoning``, ``finish_reason`` each."""

    choices: tuple[dict[str, str | None], ...]
    usage: Usage


class Failure(Exception):
    """An HTTP request that brought no completion.

    Attributes:
        cause: Short label for counting: ``connection`` (none could be made), ``dropped`` (it
            ended early), ``timeout``, ``body`` (not a whole completion) or such as ``http 503``.
        words: What the server or the network said, free of secrets.
        status: HTTP status, or None where none came.
        retry_after_s: How long the server asks to wait.
    """

    def __init__(
        self, cause: str, words: str, status: int | None = None, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(words)
        self.cause = cause
        self.words = words
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status is None or self.status in (408, 409, 425, 429) or self.status >= 500

    @property
    def overload(self) -> bool:
        """Whether the server was asked for more than it can take."""
        return self.cause == "timeout" or self.status in (408, 429, 503)


class Wire:
    """Connections to one server, within one event loop."""

    def __init__(
        self, base_url: str, api_key: str, timeout_s: float, max_concurrency: int = 1
    ) -> None:
        self._secrets = secrets(api_key)
        self._timeout_s = timeout_s
        # The limits' class belongs to the HTTP library that this release of openai is built on.
        # Unlimited (None) would mean aiohttp's default of 100, so the number is given, with room
        # for the metrics and the list of models.
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=max_concurrency + 2, keepalive_expiry=_KEEPALIVE_S
        )
        self._openai = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            max_retries=0,
            timeout=openai.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            http_client=openai.DefaultAioHttpClient(limits=limits),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._openai.close()

    async def chat(self, body: Mapping[str, Any]) -> Answer:
        """Post ``body`` to ``/chat/completions``.

        Raises:
            Failure: No completion came.
        """
        # Posting to the path gives the JSON as it is: making the library's typed objects of it
        # would cost more CPU than sending the request.
        return _answer(await self._send("post", "/chat/completions", self._timeout_s, body))

    async def models(self) -> list[str]:
        """Return the names of the served models.

        Raises:
            Failure: The server does not list them.
        """
        data = await self._send("get", "/models", 2 * _CONNECT_TIMEOUT_S)
        try:
            return [str(model["id"]) for model in data["data"]]
        except (TypeError, KeyError):
            raise Failure("body", f"not a list of models: {json.dumps(data)[:_WORDS]}") from None

    async def metrics(self) -> str:
        """Return the server's Prometheus metrics, which vLLM keeps beside ``/v1``.

        Raises:
            Failure: There are none.
        """
        url = str(self._openai.base_url).rstrip("/").removesuffix("/v1") + "/metrics"
        text = await self._send("get", url, _CONNECT_TIMEOUT_S)
        if not isinstance(text, str):
            raise Failure("body", "the metrics are not Prometheus text")
        return text

    async def _send(
        self, method: str, path: str, timeout_s: float, body: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                if method == "get":
                    return await self._openai.get(path, cast_to=object)
                return await self._openai.post(path, cast_to=object, body=dict(body or {}))
        except TimeoutError:
            failure = Failure("timeout", f"no answer within {timeout_s:g} s")
        except openai.APIStatusError as error:
            failure = self._refusal(error)
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            failure = self._broken(error)
        except (json.JSONDecodeError, UnicodeDecodeError):
            failure = Failure("body", "the answer ended before it was whole")
        # Raised out here, the failure drags along no library error, which could quote the key.
        raise failure

    def _refusal(self, error: openai.APIStatusError) -> Failure:
        status = error.status_code
        words = _server_words(error.body) or error.response.reason_phrase
        return Failure(
            f"http {status}",
            self._clean(f"{status}: {words}"),
            status,
            _retry_after(error.response.headers),
        )

    def _broken(self, error: BaseException) -> Failure:
        """Tell a connection that could not be made from one that ended early."""
        cause = "dropped"
        while (inner := error.__cause__ or error.__context__) is not None:
            error = inner
            if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                cause = "connection"
        # The innermost error is the one that says what the network did.
        return Failure(cause, self._clean(str(error) or type(error).__name__))

    def _clean(self, words: str) -> str:
        for secret in self._secrets:
            words = words.replace(secret, "***")
        return " ".join(words.split())[:_WORDS]


def shown(base_url: str) -> str:
    """Return ``base_url`` without what may be secret: user, password, query.

    Raises:
        EndpointError: It is not an http(s) URL.
    """
    parts = urlsplit(base_url)
    host = parts.netloc.rpartition("@")[2]
    clean = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if parts.scheme not in ("http", "https") or not host:
        raise EndpointError(
            f"{clean!r} is not the URL of an endpoint; write it like http://localhost:8000/v1 "
            "(AUTOIF_BASE_URL)."
        )
    if host != parts.netloc:
        raise EndpointError(
            f"The URL of {clean} holds a user or password. Leave it out and put the key into "
            "AUTOIF_API_KEY: URLs end up in tables and logs."
        )
    return clean


def secrets(api_key: str) -> tuple[str, ...]:
    """Return the texts that must not be shown."""
    return (api_key,) if api_key.strip() else ()


def _answer(data: Any) -> Answer:
    try:
        choices = tuple(_choice(choice) for choice in data["choices"])
    except (TypeError, KeyError, AttributeError):
        words = data if isinstance(data, str) else json.dumps(data)
        raise Failure("body", f"not a chat completion: {words[:200]!r}") from None
    if not choices:
        raise Failure("body", "an answer without completions")
    usage = data.get("usage")
    return Answer(choices, _usage(usage) if isinstance(usage, dict) else Usage())


def _choice(choice: Mapping[str, Any]) -> dict[str, str | None]:
    message = choice["message"]
    # vLLM names it reasoning since 0.12, reasoning_content before, as others do.
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    finish_reason = choice.get("finish_reason")
    return {
        "text": _text(message.get("content")),
        "reasoning": _text(reasoning) or None,
        "finish_reason": None if finish_reason is None else str(finish_reason),
    }


def _text(content: Any) -> str:
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content)
    text = content if isinstance(content, str) else ""
    # A lone surrogate (half an emoji, escaped) is valid in JSON and in nothing after it.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        _count(usage.get("prompt_tokens")), _count(cached), _count(usage.get("completion_tokens"))
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _server_words(body: object) -> str:
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or json.dumps(body)
    return body if isinstance(body, str) else json.dumps(body) if body else ""


def _retry_after(headers: Mapping[str, str]) -> float:
    """Read Retry-After: seconds, or a date."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
