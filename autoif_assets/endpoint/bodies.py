"""How much of an answer is read: a server may send more than memory holds."""

from collections.abc import AsyncIterator
from typing import cast

import httpx2

# The largest honest answers are the log-probabilities of 100,000 tokens, about 12 MB.
MAX_BODY_BYTES = 32 << 20


class BodyTooLarge(Exception):
    """An answer is longer than any that was asked for; the message says so."""


async def bound(response: httpx2.Response) -> None:
    """Make a response whose body is yet unread raise `BodyTooLarge` where it grows too large.

    A packed body of a few bytes can unpack to any length, at once: none was asked for.
    """
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise BodyTooLarge(f"the answer is packed with {packed[:20]}, which was not asked for")
    response.stream = _Bounded(cast(httpx2.AsyncByteStream, response.stream))


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise BodyTooLarge(f"the answer is longer than {MAX_BODY_BYTES >> 20} MiB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
