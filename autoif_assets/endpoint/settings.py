"""How a model is asked: every setting of an endpoint, declared once, and what of it is secret."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from autoif_assets.endpoint.budget import Prices
from autoif_assets.endpoint.errors import EndpointError

# Numbers of a single run: a variable would set them for all that anybody runs, and
# AUTOIF_MAX_TOKENS is the cap of a run's budget.
_WITHOUT_VARIABLE = ("temperature", "max_tokens", "timeout_s", "refresh", "ask_refused")
# What the client fills in itself, because it reads the answers by it.
_CLIENTS_OWN = (
    *("model", "messages", "prompt", "n", "seed", "temperature", "max_tokens", "stream"),
    *("max_completion_tokens", "response_format", "prompt_logprobs"),
)
# The SDK's variables of keys, those of the URLs they are meant for, and the URL without one.
_SDK_KEYS = (
    ("OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1"),
    ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", ""),
)
# Between two URLs; a query may hold commas of its own.
_BETWEEN = re.compile(r"[\s,]*,[\s,]*(?=https?://)", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
SHORTEST_SECRET = 4  # hiding shorter texts would make messages unreadable and protect nothing


@dataclass(frozen=True)
class Credentials:
    """What is sent with every request and never shown or stored.

    Attributes:
        api_key: The key; empty for servers without keys.
        headers: Further headers by name.
    """

    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Files and shells leave blanks around a key.
        key = self.api_key.strip()
        if not (key.isascii() and key.isprintable()):
            raise EndpointError(
                "The API key holds characters that cannot be sent, such as a line break. Check "
                "AUTOIF_API_KEY."
            )
        object.__setattr__(self, "api_key", key)

    def texts(self) -> set[str]:
        """Return the texts that must not be shown."""
        values = list(self.headers.values())
        # A server may repeat a key without the "Bearer" that a header puts before it.
        values += [part for value in values for part in value.split()[1:]]
        return {self.api_key, *(text for text in values if len(text) >= SHORTEST_SECRET)}


def _joined(value: Any) -> Any:
    """Join a list of URLs, as a file may hold it, to the one text that a variable holds."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


class EndpointSettings(BaseModel):
    """Whom and how to ask, with every default filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: Annotated[str, BeforeValidator(_joined)] = Field(
        "http://127.0.0.1:8000/v1",
        description="URL up to and including /v1, or Azure's; a query is sent along. Several, "
        "separated by commas, are replicas of one model.",
    )
    model: str = Field("", description="Name of the served model.")
    api_key_variable: str = Field(
        "AUTOIF_API_KEY",
        description="Environment variable that holds the key; the key itself is no setting.",
    )
    extra_headers_variable: str = Field(
        "AUTOIF_EXTRA_HEADERS",
        description="Environment variable that holds further headers, a JSON object of texts; "
        "they are no setting, since they may be keys.",
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict,
        description="Further fields of every request, such as chat_template_kwargs.",
    )
    system_prompt: str = Field("", description="System message before every prompt.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="Sampling temperature; the recipe's for each role."
    )
    max_tokens: int | None = Field(
        None, ge=1, description="Tokens of an answer; the recipe's for each role."
    )
    thinking_tokens: int | None = Field(
        None,
        ge=0,
        description="Tokens for thoughts beside those of the answer; left out: none, and 8192 "
        "once the model is seen to think.",
    )
    max_concurrency: int = Field(
        512, ge=1, description="Most requests in flight, at each replica where there are several."
    )
    timeout_s: float = Field(600.0, gt=0, description="Seconds one request may take.")
    max_outage_s: int = Field(
        600, ge=0, description="Seconds a server that has answered may stay away."
    )
    price_prompt: float = Field(
        0.0, ge=0, description="Price of a million prompt tokens; 0 for a local server."
    )
    price_cached: float | None = Field(
        None,
        ge=0,
        description="Price of a million of those that the server had cached; as the others.",
    )
    price_completion: float = Field(0.0, ge=0, description="Price of a million completion tokens.")
    max_failed_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of a stage's completions that may fail technically, be cut off, not be "
        "whole or be unreadable; with more, the stage fails.",
    )
    refresh: bool = Field(False, description="Ask anew for what the journals already hold.")
    ask_refused: bool = Field(
        False,
        description="Ask again what the server refused for its content (length, content filter).",
    )

    @classmethod
    def variable(cls, name: str, prefix: str = "AUTOIF") -> str | None:
        """Return the environment variable of a setting, or None where it has none.

        Args:
            name: Name of a field of this class.
            prefix: What the variables of a role begin with.
        """
        if name in _WITHOUT_VARIABLE:
            return None
        return f"{prefix}_{name.removesuffix('_variable').removesuffix('_s').upper()}"

    @property
    def key_variable(self) -> str:
        """The variable the key is read from: the one of the settings, else the SDK's own.

        The SDK's counts only at the server it is meant for, which is OpenAI's unless
        OPENAI_BASE_URL says otherwise, or that of AZURE_OPENAI_ENDPOINT.
        """
        if os.environ.get(self.api_key_variable):
            return self.api_key_variable
        sdk = sdk_key_variable(self.urls[0])
        return sdk if os.environ.get(sdk) else self.api_key_variable

    @property
    def credentials(self) -> Credentials:
        """The key and the headers themselves.

        Raises:
            EndpointError: They cannot be sent.
        """
        return Credentials(
            os.environ.get(self.key_variable, ""), read_headers(self.extra_headers_variable)
        )

    @property
    def prices(self) -> Prices:
        """What the tokens cost."""
        return Prices(self.price_prompt, self.price_cached, self.price_completion)

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs of all replicas, each once; one at least."""
        return tuple({url.rstrip("/"): url for url in _split(self.base_url)}.values())

    @property
    def replicas(self) -> tuple["EndpointSettings", ...]:
        """The same settings for each replica, with its URL alone."""
        urls = self.urls
        if urls == (self.base_url,):
            return (self,)
        return tuple(self.model_copy(update={"base_url": url}) for url in urls)

    @property
    def public_url(self) -> str:
        """The URL, or URLs, without what may be secret; for messages, tables and logs.

        Raises:
            EndpointError: `base_url` holds what is not an http(s) URL, or a user or password.
        """
        return ",".join(map(_checked, self.urls))

    @property
    def query(self) -> dict[str, str]:
        """What the URL of a replica says after its question mark."""
        return dict(parse_qsl(urlsplit(self.base_url).query, keep_blank_values=True))

    def check_extra_body(self) -> None:
        """Make sure that `extra_body` can be sent and leaves alone what the client fills in.

        Raises:
            EndpointError: It cannot or does not.
        """
        if taken := sorted(self.extra_body.keys() & set(_CLIENTS_OWN)):
            raise EndpointError(
                f"extra_body holds {', '.join(taken)}, which the client sets itself. Take it out "
                "(AUTOIF_EXTRA_BODY); temperature and max_tokens are settings of their own."
            )
        try:
            json.dumps(self.extra_body, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            raise EndpointError(f"extra_body is no JSON ({error}); AUTOIF_EXTRA_BODY.") from None

    def call_parameters(self) -> dict[str, Any]:
        """Return what of the settings changes the answers; nothing of what is not set.

        The ids of calls without them stay what they were before there were such settings.
        """
        given = {"extra_body": self.extra_body, "system_prompt": self.system_prompt}
        return {name: value for name, value in given.items() if value}


def read_headers(variable: str) -> dict[str, str]:
    """Read further headers from an environment variable; none where it is not set.

    Raises:
        EndpointError: It is no JSON object of texts that can be sent. Its value is not told.
    """
    text = os.environ.get(variable)
    if not text:
        return {}
    try:
        headers = json.loads(text)
    except ValueError:
        headers = None
    if not isinstance(headers, dict) or not all(
        _HEADER_NAME.fullmatch(name)
        and isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        for name, value in headers.items()
    ):
        raise EndpointError(
            f"{variable} is not a JSON object of headers that can be sent; write it like "
            '{"X-Team": "data"}. What it holds is not shown, since it may be a key.'
        )
    return {name: value.strip() for name, value in headers.items()}


def sdk_key_variable(base_url: str) -> str:
    """Return the name of the SDK's own variable whose key is meant for a server, or nothing."""
    for key, url, default in _SDK_KEYS:
        meant = os.environ.get(url) or default
        if meant and _origin(meant) == _origin(base_url):
            return key
    return ""


def public(url: str) -> str:
    """Return a URL, or several, without user, password, query and fragment; empty for none."""
    return ",".join(filter(None, map(_public, _split(url))))


def _split(urls: str) -> list[str]:
    return [url.strip(" ,\n") for url in _BETWEEN.split(urls)]


def _public(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _checked(url: str) -> str:
    clean = _public(url)
    if re.match(r"https?://[^/]", clean) is None or "," in clean:
        raise EndpointError(
            f"{clean!r} is not the URL of an endpoint; write it like http://localhost:8000/v1 "
            "(AUTOIF_BASE_URL), and several with a comma between them."
        )
    if "@" in urlsplit(url).netloc:
        raise EndpointError(
            f"The URL of {clean} holds a user or password. Leave it out and put the key into "
            "AUTOIF_API_KEY: URLs end up in tables and logs."
        )
    return clean


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)
