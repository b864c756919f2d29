"""Where a server is, how to get there, and the key: what may be shown and what may not."""

import ssl
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import certifi
from yarl import URL

from autoif_assets.endpoint.errors import EndpointError


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


def sendable(api_key: str) -> str:
    """Return the key without blanks around it, as files and shells leave them.

    Raises:
        EndpointError: No HTTP header can carry it.
    """
    api_key = api_key.strip()
    if not (api_key.isascii() and api_key.isprintable()):
        raise EndpointError(
            "The API key holds characters that cannot be sent, such as a line break. Check "
            "AUTOIF_API_KEY."
        )
    return api_key


def secrets(api_key: str, proxy_url: URL | None) -> tuple[str, ...]:
    """Return the texts that must not be shown."""
    password = proxy_url.password if proxy_url is not None else None
    return tuple(text for text in (api_key, password) if text and text.strip())


def trusted() -> ssl.SSLContext:
    """Trust what the system trusts, and the usual authorities where the system has no list."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def proxy(base_url: str) -> URL | None:
    """Read the proxy from the environment once: aiohttp would do so in a thread per request."""
    parts = urlsplit(base_url)
    found = getproxies().get(parts.scheme) or getproxies().get("all")
    return URL(found) if found and not proxy_bypass(parts.netloc) else None
