"""Parallel slots with a queue, exact in time, and the caches a real server has."""

import asyncio
from collections import OrderedDict, deque

_BLOCK_CHARS = 64
_MAX_BLOCKS = 200_000


class Slots:
    """First come, first served slots whose times do not drift.

    A request that waited starts at the moment its predecessor was due to finish, not when the
    event loop came round to it, so N requests of latency L on C slots take N * L / C.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: deque[asyncio.Future[float]] = deque()
        self.running = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(not future.done() for future in self._queue)

    async def acquire(self) -> float:
        """Wait for a slot and return the loop time at which it became this request's."""
        loop = asyncio.get_running_loop()
        if self._free:
            self._free -= 1
            self.running += 1
            return loop.time()
        future: asyncio.Future[float] = loop.create_future()
        self._queue.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(future.result())
            else:
                self._queue.remove(future)
            raise

    def release(self, at: float) -> None:
        """Give a slot back that was free from loop time ``at`` on."""
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.set_result(at)
                return
        self.running -= 1
        self._free += 1


class PrefixCache:
    """Counts how much of a prompt's beginning was seen before, in blocks as vLLM does."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def lookup(self, prompt: str) -> int:
        """Return the cached tokens of a prompt and remember its blocks."""
        hits, chained, missed = 0, 0, False
        for start in range(0, len(prompt) - _BLOCK_CHARS + 1, _BLOCK_CHARS):
            chained = hash((chained, prompt[start : start + _BLOCK_CHARS]))
            if chained in self._blocks:
                self._blocks.move_to_end(chained)
                hits += not missed
            else:
                missed = True
                self._blocks[chained] = None
        while len(self._blocks) > _MAX_BLOCKS:
            self._blocks.popitem(last=False)
        return hits * _BLOCK_CHARS // 4
