"""One HTTP request to an OpenAI-compatible server by the openai SDK, and what its failure means.

Importing the SDK takes a second of CPU: what the definitions load imports this module only where
a model is asked.
"""

import asyncio
import functools
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies

import aiohttp
import httpx2
import openai
from openai import Omit

from autoif_assets.endpoint.bodies import BodyTooLarge, bound
from autoif_assets.endpoint.errors import AccessDenied, EndpointError, Failure, NotServed
from autoif_assets.endpoint.responses import (
    Answer,
    NoChoices,
    Unsupported,
    read_answer,
    read_json,
    read_likelihood,
    refused_content,
    retry_after_s,
    server_words,
)
from autoif_assets.endpoint.settings import (
    SHORTEST_SECRET,
    Credentials,
    EndpointSettings,
    public,
    sdk_key_variable,
)
from autoif_assets.method.readable import shown_text

_CONNECT_TIMEOUT_S = 10.0
# Servers drop idle connections after 5 s (uvicorn's default, so vLLM's); using one at that very
# moment would fail, so ours go first.
_KEEPALIVE_S = 4.0
_WORDS = 600  # characters of a server's error text that are kept
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
# Paths under which Azure, too, speaks OpenAI's own protocol, without deployments in the path.
_NOT_AZURES = ("/v1", "/models")
_API_VERSION = "api-version"
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # variables that name those to trust
# At its level INFO the transport writes a line a request, with whatever the URL's query holds.
_LOGGER = logging.getLogger("httpx2")
if _LOGGER.level == logging.NOTSET:
    _LOGGER.setLevel(logging.WARNING)


class _OpenAI(openai.AsyncOpenAI):
    """The SDK's client with headers that are chosen once.

    The SDK's own tell every server the operating system and Python's version, and what
    OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS hold, and are put together anew for
    each request.
    """

    chosen: dict[str, str | Omit] | None = None

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        return super().default_headers if self.chosen is None else self.chosen


class _Azure(openai.AsyncAzureOpenAI):
    """The same of the SDK's client for Azure: deployments in the path, the key as ``api-key``."""

    chosen: dict[str, str | Omit] | None = None

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        return super().default_headers if self.chosen is None else self.chosen


class Wire:
    """Connections to one server, within one event loop."""

    def __init__(
        self,
        settings: EndpointSettings,
        credentials: Credentials,
        connections: int = 1,
        address: str = "",
    ) -> None:
        """Say whom to ask; nothing is sent yet.

        Args:
            settings: Whom and how to ask, of one URL.
            credentials: The key and further headers.
            connections: Most requests at a time.
            address: Where the server is, where its name alone does not tell.
        """
        self._settings = settings
        self._url = settings.public_url
        self._address = address
        self._credentials = credentials
        self._connections = connections
        self._azure = is_azure(settings)
        self._hidden = _hidden(settings, credentials)
        self._options = _options(credentials)

    async def __aenter__(self) -> Self:
        try:
            self._sdk = _connect(
                self._settings, self._credentials, self._connections, self._address
            )
        except (openai.OpenAIError, httpx2.InvalidURL, OSError, ValueError) as error:
            words = self._clean(str(error))
        else:
            return self
        raise EndpointError(f"No connection to {self._url} can be set up: {words}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._sdk.close()

    async def chat(self, body: Mapping[str, Any]) -> Answer:
        """Post ``body`` to ``/chat/completions``.

        Raises:
            Failure: No completion came.
        """
        raw = await self._post("/chat/completions", body)
        cause = "body"
        try:
            return read_answer(raw, logprobs=bool(body.get("logprobs")))
        except NoChoices as error:
            cause, words = "empty", self._clean(str(error))
        except ValueError as error:
            words = self._clean(str(error))
        raise Failure(cause, words)

    async def likelihood(self, body: Mapping[str, Any]) -> Answer:
        """Post ``body``, which asks for ``prompt_logprobs``: a chat, or a plain text.

        Raises:
            Failure: No log-probabilities came.
        """
        path = "/chat/completions" if "messages" in body else "/completions"
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
            missing = failure.status in (404, 405) and path == "/completions"
            if failure.status == 501 or missing or (failure.status in (400, 422) and named):
                raise Failure("unsupported", failure.words, failure.status) from None
            raise
        raise Failure(cause, words)

    async def models(self) -> list[str]:
        """Return the names of the served models; none of Azure.

        Raises:
            Failure: The server does not list them.
        """
        return [card["id"] for card in await self.cards()]

    async def cards(self) -> list[dict[str, Any]]:
        """Return what the server says of its models: ``id``, in vLLM also ``max_model_len``.

        Azure's list is of models that could be deployed, not of deployments: it counts as none.

        Raises:
            Failure: The server does not list them.
        """
        if self._azure:
            return []
        raw = await self._send("/models", 2 * _CONNECT_TIMEOUT_S)
        try:
            return [{**card, "id": shown_text(str(card["id"]))} for card in read_json(raw)["data"]]
        except (TypeError, KeyError, ValueError, AttributeError):
            words = self._clean(raw.decode("utf-8", "replace"))
        raise Failure("body", f"not a list of models: {words}")

    async def elsewhere(self) -> str | None:
        """Return the URL at which the server answers, where the one given is nearly that."""
        if self._azure:
            return None
        for end in ("/chat/completions", "/completions", "/models"):
            if self._url.endswith(end):
                return self._url.removesuffix(end)
        if self._url.endswith("/v1"):
            return None
        url = f"{self._url}/v1"
        asked = at_address(f"{url}/models", self._address)
        try:
            models = read_json(await self._send(asked, _CONNECT_TIMEOUT_S))
            return url if isinstance(models["data"], list) else None
        except Failure as failure:
            return url if failure.denied else None
        except (TypeError, KeyError, ValueError):
            return None

    async def metrics(self) -> str:
        """Return the server's Prometheus metrics, which vLLM keeps beside ``/v1``.

        Raises:
            Failure: There are none.
        """
        url = at_address(self._url, self._address).removesuffix("/v1") + "/metrics"
        return (await self._send(url, 2 * _CONNECT_TIMEOUT_S)).decode("utf-8", "replace")

    async def explain(self, failure: Failure) -> EndpointError:
        """Return the error of a run that a failure stops, with what is served there."""
        url, model = self._url, self._settings.model
        if failure.cause == "unsupported":
            return NotServed(
                f"{url} does not tell the log-probabilities of given texts ({failure.words}). IFD "
                "and the ranking by likelihood need a server with prompt_logprobs, such as vLLM; "
                "else set likelihood_of to none."
            )
        if failure.redirected:
            return NotServed(
                f"{url} does not answer itself ({failure.words}). Redirects are not followed: "
                "prompts and the key would go to a server that nobody named. Set AUTOIF_BASE_URL "
                "to the server that is meant."
            )
        if not failure.denied and (found := await self.elsewhere()):
            return NotServed(
                f"{url} has no chat completions ({failure.words}); {answers_under(found)}"
            )
        try:
            names = await self.models()
            served = f"It serves: {', '.join(names)}." if names else ""
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
        return await self._send(path, self._settings.timeout_s, body)

    async def _send(
        self, path: str, timeout_s: float, body: Mapping[str, Any] | None = None
    ) -> bytes:
        sdk, options = self._sdk, self._options
        try:
            # The transport's own limits are between two packets; a server may trickle for ever.
            async with asyncio.timeout(timeout_s):
                # This type leaves the body as it came: the SDK's reading of it costs as much as
                # all the rest, and fails on answers that are usable.
                if body is None:
                    response = await sdk.get(path, cast_to=httpx2.Response, options=options)
                else:
                    response = await sdk.post(
                        path, cast_to=httpx2.Response, body=body, options=options
                    )
            return response.content
        except openai.APIStatusError as error:
            failure = self._refusal(error.response)
        except TimeoutError:
            failure = Failure("timeout", f"no answer within {timeout_s:g} s")
        # Nothing that a server or a proxy sends may end the run with an error of a library.
        except Exception as error:
            failure = self._broken(error)
        # Raised out here, the failure drags along no library error, which could quote the key.
        raise failure

    def _refusal(self, response: httpx2.Response) -> Failure:
        status = response.status_code
        content = None
        if 300 <= status < 400:
            words = f"it redirects to {_target(response) or 'no URL'}"
        else:
            text = response.content.decode("utf-8", "replace")
            words, content = server_words(text), refused_content(status, text)
        return Failure(
            f"http {status}",
            self._clean(f"{status}: {words or response.reason_phrase}"),
            status,
            retry_after_s(response.headers),
            content,
        )

    def _broken(self, error: Exception) -> Failure:
        """Tell a connection that could not be made from one that ended early.

        The SDK has one error for both, and its transport takes a dropped connection for a timeout
        of connecting. What aiohttp said is among the causes.
        """
        causes = list(_causes(error))
        if large := next((cause for cause in causes if isinstance(cause, BodyTooLarge)), None):
            return Failure("body", str(large))
        first = next((cause for cause in causes if isinstance(cause, aiohttp.ClientError)), None)
        cause = first or causes[-1]
        unmade = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        # An error of no network will not pass: as with a wrong URL, the wait is short.
        network = isinstance(cause, aiohttp.ClientError | httpx2.HTTPError | OSError)
        return Failure(
            "connection" if unmade or not network else "dropped",
            self._clean(str(cause) or type(cause).__name__),
        )

    def _clean(self, words: str) -> str:
        for text in self._hidden:
            words = words.replace(text, "***")
        return " ".join(shown_text(words).split())[:_WORDS]


def answers_under(url: str) -> str:
    """Say at which URL a server answers, and what to set."""
    return f"the server answers under {url}: set AUTOIF_BASE_URL={url}."


def is_azure(settings: EndpointSettings) -> bool:
    """Whether a server has deployments in its paths, as Azure's has beside ``/openai/v1``."""
    parts = urlsplit(settings.base_url)
    if parts.path.rstrip("/").endswith(_NOT_AZURES):
        return False
    return _API_VERSION in settings.query or (parts.hostname or "").endswith(_AZURE)


def at_address(url: str, address: str) -> str:
    """Return a URL with an address in the place of its host's name; as it is for no address."""
    if not address:
        return url
    parts = urlsplit(url)
    host = f"[{address}]" if ":" in address else address
    port = "" if parts.port is None else f":{parts.port}"
    return parts._replace(netloc=f"{host}{port}").geturl()


def _under_name(name: str) -> Callable[[httpx2.Request], Awaitable[None]]:
    """Return what has an address answer, and prove itself, as the server of that name."""

    async def say(request: httpx2.Request) -> None:
        request.extensions["sni_hostname"] = name

    return say


@functools.lru_cache(maxsize=1)
def _trusted(*certificates: str | None) -> ssl.SSLContext:
    """Return what certificates are checked by, which takes longer to read than a request.

    Args:
        certificates: What the environment says of where they are.
    """
    return httpx2.create_ssl_context()


def _connect(
    settings: EndpointSettings, credentials: Credentials, connections: int, address: str
) -> _OpenAI | _Azure:
    """Make the SDK's client.

    What is empty here and not absent would else be read from the SDK's own environment variables,
    which hold a person's keys for other servers.
    """
    named: dict[str, Any] = {"verify": _trusted(*map(os.environ.get, _CERTIFICATES))}
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [bound]}
    parts = urlsplit(settings.public_url)
    if address:
        # Its name was looked up because no proxy is asked for it, whatever is said of addresses.
        named["trust_env"] = False
        if parts.scheme == "https":
            hooks["request"] = [_under_name(parts.hostname or "")]
    http_client = openai.DefaultAioHttpClient(
        # With room for the metrics and the list of models.
        limits=httpx2.Limits(max_connections=connections + 2, keepalive_expiry=_KEEPALIVE_S),
        timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),
        follow_redirects=False,
        event_hooks=hooks,
        **named,
    )
    url, query = at_address(settings.public_url, address), settings.query
    client: _OpenAI | _Azure
    if is_azure(settings):
        client = _Azure(
            base_url=url if urlsplit(url).path else f"{url}/openai",
            api_version=query.pop(_API_VERSION, None),
            api_key=credentials.api_key,
            admin_api_key="",
            default_query=query,
            max_retries=0,
            http_client=http_client,
        )
    else:
        client = _OpenAI(
            base_url=url,
            api_key=credentials.api_key,
            admin_api_key="",
            default_query=query,
            max_retries=0,
            http_client=http_client,
        )
    client.chosen = {**_headers(settings, client.default_headers), **credentials.headers}
    if address:
        client.chosen["Host"] = parts.netloc
    return client


def _headers(settings: EndpointSettings, sdks: Mapping[str, str | Omit]) -> dict[str, str | Omit]:
    """Choose among the SDK's headers: those of its environment only for the server meant."""
    headers: dict[str, str | Omit] = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": f"AsyncOpenAI/Python {openai.__version__}",
    }
    if sdk_key_variable(settings.base_url):
        for name, value in sdks.items():
            if not name.lower().startswith(("x-stainless", "authorization", "user-agent")):
                headers[name] = value
    return headers


def _options(credentials: Credentials) -> Any:
    """Return the SDK's options of every request."""
    headers: dict[str, str | Omit] = {
        "X-Stainless-Retry-Count": Omit(),
        "X-Stainless-Read-Timeout": Omit(),
    }
    # Without a key the SDK refuses to ask unless it is told in so many words to send none.
    if not (credentials.api_key or "authorization" in map(str.lower, credentials.headers)):
        headers["Authorization"] = Omit()
    # Never sent to OpenAI's servers or Azure's; a given one saves making one up for each request.
    return {"headers": headers, "idempotency_key": "none"}


def _hidden(settings: EndpointSettings, credentials: Credentials) -> list[str]:
    """Return the texts that must not be shown, long ones first: they may hold short ones."""
    texts = credentials.texts()
    texts |= {
        value
        for name, value in settings.query.items()
        if name != _API_VERSION and len(value) >= SHORTEST_SECRET
    }
    for proxy in getproxies().values():
        password = urlsplit(proxy).password or ""
        texts |= {password, unquote(password)}
    return sorted(filter(str.strip, texts), key=len, reverse=True)


def _target(response: httpx2.Response) -> str:
    try:
        where = urljoin(str(response.request.url), response.headers.get("location", ""))
    except ValueError:
        return ""
    return public(where)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
