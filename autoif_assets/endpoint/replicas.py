"""Which servers are the replicas of one model: the URLs that are given, and what DNS says of them.

A name that has several addresses is as many replicas, each asked at its own address under the
name's own Host header and certificate. A public name with https is one server: whoever runs it
spreads the load, and each of its addresses leads to all of it.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from autoif_assets.endpoint.settings import EndpointSettings

_LOOK_UP_S = 10.0


@dataclass(frozen=True)
class Replica:
    """One server among those that serve the same.

    Attributes:
        settings: The endpoint's, with this server's URL alone.
        address: Where it is asked, where its name has several addresses; empty where the URL says
            all.
    """

    settings: EndpointSettings
    address: str = ""

    def __str__(self) -> str:
        url = self.settings.public_url
        return f"{url} ({self.address})" if self.address else url


async def find_replicas(settings: EndpointSettings) -> list[Replica]:
    """Return the servers that an endpoint's URLs stand for, at least one for each URL."""
    each = settings.replicas
    found = await asyncio.gather(*(_addresses(one.base_url) for one in each))
    return [
        Replica(one, address)
        for one, addresses in zip(each, found, strict=True)
        for address in (addresses if len(addresses) > 1 else [""])
    ]


def stranger(model: str, served: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Find one of several servers that is no replica of the others; None where all may be.

    Args:
        model: The name that is asked for.
        served: What each server lists; those that list nothing may serve anything.

    Returns:
        The server, and a sentence that says why.
    """
    lists = {server: names for server, names in served.items() if names}
    by_name = [server for server, names in lists.items() if model in names]
    # Some servers answer to any name: they are to have one that they share.
    first = next(iter(by_name or lists), None)
    for server, names in lists.items():
        if model in names or (not by_name and set(names) & set(lists[first or server])):
            continue
        if by_name:
            ours = f"and not {model!r} as {first} does"
        else:
            ours = f"and {first} serves {', '.join(lists[first or server])}"
        return server, (
            f"{server} serves {', '.join(names)} {ours}: the URLs of AUTOIF_BASE_URL must be "
            "replicas of one model."
        )
    return None


async def _addresses(url: str) -> list[str]:
    """Return the addresses of a URL's host that are replicas; none where it is one server.

    Of one family only, for a machine often has an address in each.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or _is_address(host) or _has_proxy(parts.scheme, host):
        return []
    try:
        async with asyncio.timeout(_LOOK_UP_S):
            told = await asyncio.get_running_loop().getaddrinfo(
                host, parts.port, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError, UnicodeError):
        # What is wrong shows when it is asked.
        return []
    of_family = {
        family: sorted({str(place[0]) for kind, *_, place in told if kind == family})
        for family in (socket.AF_INET, socket.AF_INET6)
    }
    found = of_family[socket.AF_INET] or of_family[socket.AF_INET6]
    public = any(ipaddress.ip_address(one.partition("%")[0]).is_global for one in found)
    return [] if public and parts.scheme == "https" else found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _has_proxy(scheme: str, host: str) -> bool:
    """Whether a proxy is asked for the host, which then looks up its name."""
    proxies = getproxies()
    return ("all" in proxies or scheme in proxies) and not proxy_bypass(host)
