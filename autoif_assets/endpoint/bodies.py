"""How much of an answer is read: a server may send more than memory holds."""

from collections.abc import AsyncIterator
from typing import cast

import httpx2

# The largest honest answers are the log-probabilities of 100,000 tokens, about 12 MB.
MAX_BODY_BYTES = 32 << 20
# Of an error only the first words are of use, and many may come at once.
MAX_ERROR_BYTES = 64 << 10


class BodyTooLarge(Exception):
    """An answer is longer than any that was asked for; the message says so."""


async def bound(response: httpx2.Response) -> None:
    """Make a response whose body is yet unread raise `BodyTooLarge` where it grows too large.

    That of an error ends where it does, for its status and its beginning say what it is.
    A packed body of a few bytes can unpack to any length, at once: none was asked for.
    """
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise BodyTooLarge(f"the answer is packed with {packed[:20]}, which was not asked for")
    response.stream = _Bounded(
        cast(httpx2.AsyncByteStream, response.stream), is_error=response.status_code >= 400
    )


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, *, is_error: bool) -> None:
        self._stream = stream
        self._is_error = is_error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if self._is_error and size > MAX_ERROR_BYTES:
                yield chunk[: MAX_ERROR_BYTES - size]
                return
            if size > MAX_BODY_BYTES:
                raise BodyTooLarge(f"the answer is longer than {MAX_BODY_BYTES >> 20} MiB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
