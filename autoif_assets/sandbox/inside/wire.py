"""The two formats that cross the border: units on the way in, status bytes on the way out.

In: a memory file that the child maps and cannot change,

    count of inputs and queries · count of sources · begin of the first source  (8 bytes each)
    · begin of each input, then of each query, and end of the last · the inputs · the queries
    · length of each source · the sources · zeros to the end of the page

Out: an anonymous shared mapping, new for each child, which begins with the child's orders and
which the zygote reads once the child is dead. Nothing in it is trusted: every byte value means
something harmless.
"""

import itertools
import struct
from array import array
from collections.abc import Sequence
from mmap import mmap

# Status bytes. The first that is not reached is that of the call under way.
NOT_REACHED = b"\0"
PASS, FAIL, ERROR, TIMEOUT, CRASH, MEMORY, NOT_BOOL, LOAD_ERROR, SKIPPED = range(1, 10)

LOAD_REASONS = {TIMEOUT: "timeout", CRASH: "crash", MEMORY: "memory"}  # ended while loading

# Phases of a child, in the first byte of the mapping.
STARTING, LOADING, CALLING, REPEATING, DONE = range(5)

CELLS = 16384  # of a request at most, see Layout
SOURCES = 64  # of a request at most
# the parent's request: memory file to read, its length, sources and inputs in it
REQUEST = struct.Struct("<BQII")
# the zygote's orders to a child: the request, the input to begin with, strikes so far
ORDERS = struct.Struct("<BQIIII")
# zygote's answer: ended cleanly, CPU microseconds, length of what follows
REPLY = struct.Struct("<?QI")
DETAIL_BYTES = 120
_HEAD = struct.Struct("=3Q")
NO_QUERY = b"\xff"  # stands for None; no encoded text
RARE = "needs what is loaded elsewhere"
STRUCK = "too many timeouts and crashes before"


def encode_inputs(inputs: Sequence[str], queries: Sequence[str | None] = ()) -> bytes:
    """All of a request that depends on its inputs; lone surrogates survive.

    Args:
        inputs: The inputs.
        queries: The query of each, or none at all.
    """
    texts = [text.encode("utf-8", "surrogatepass") for text in inputs]
    texts += [NO_QUERY if q is None else q.encode("utf-8", "surrogatepass") for q in queries]
    begin = _HEAD.size + 8 * (len(texts) + 1)
    bounds = array("Q", itertools.accumulate(map(len, texts), initial=begin))
    return b"".join((bounds.tobytes(), *texts))


def encode_sources(sources: Sequence[str], count: int, size: int) -> tuple[bytes, bytes]:
    """What comes before and after inputs and queries: `count` texts, `size` bytes encoded."""
    codes = [source.encode("utf-8", "surrogatepass") for source in sources]
    head = _HEAD.pack(count, len(codes), _HEAD.size + size)
    return head, b"".join((array("Q", map(len, codes)).tobytes(), *codes))


def places(data: mmap | bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the sources and the texts of a request begin, and where the last of each ends."""
    count, codes, at = _HEAD.unpack_from(data)
    inputs = struct.unpack_from(f"={count + 1}Q", data, _HEAD.size)
    lengths = struct.unpack_from(f"={codes}Q", data, at)
    return tuple(itertools.accumulate(lengths, initial=at + 8 * codes)), inputs


def text(data: mmap | bytes, places: tuple[int, ...], index: int) -> str:
    """One of the sources or texts of a request."""
    return data[places[index] : places[index + 1]].decode("utf-8", "surrogatepass")


def query(data: mmap | bytes, places: tuple[int, ...], inputs: int, index: int) -> str | None:
    """The query of an input in a request that has queries."""
    at = inputs + index
    if data[places[at] : places[at + 1]] == NO_QUERY:
        return None
    return text(data, places, at)


class Layout:
    """Where things lie in the mapping of a request with so many sources and inputs.

    A cell is one source with one input, counted source by source.
    """

    def __init__(self, sources: int, inputs: int) -> None:
        self.sources = sources
        self.inputs = inputs
        self.cells = sources * inputs
        # The phase and the orders come first.
        self.flags = 1 + ORDERS.size  # one byte per source: 1 when a repeated call disagreed
        self.status = self.flags + sources  # one byte per cell
        self.details = self.status + self.cells  # DETAIL_BYTES per cell
        self.size = self.details + self.cells * DETAIL_BYTES

    def put(self, area: mmap, cell: int, code: int, detail: str) -> None:
        """Write a status byte and its text."""
        area[self.status + cell] = code
        data = detail.encode("utf-8", "replace")[:DETAIL_BYTES]
        at = self.details + cell * DETAIL_BYTES
        area[at : at + DETAIL_BYTES] = data.ljust(DETAIL_BYTES, b"\0")

    def row(self, source: int, first: int = 0) -> range:
        """The cells of one source from input `first` on."""
        return range(source * self.inputs + first, (source + 1) * self.inputs)

    def fill(self, area: mmap, cells: range, code: int, detail: str) -> int:
        """Write the same to all of the cells; returns the cell after them."""
        for cell in cells:
            self.put(area, cell, code, detail)
        return cells.stop


AREA = Layout(SOURCES, CELLS // SOURCES).size  # bytes of the largest


def collect(area: mmap, layout: Layout) -> bytes:
    """Flags, statuses, and the details of the cells without a verdict."""
    status = area[layout.status : layout.details]
    parts = [area[layout.flags : layout.details]]
    if status.count(PASS) + status.count(FAIL) < layout.cells:
        for cell, code in enumerate(status):
            if code != PASS and code != FAIL:
                at = layout.details + cell * DETAIL_BYTES
                parts.append(area[at : at + DETAIL_BYTES])
    return b"".join(parts)


def split(body: bytes, sources: int, inputs: int) -> list[tuple[bool, bytes, list[str]]]:
    """Per source: whether a repeated call disagreed, its status bytes, its details."""
    at = sources + sources * inputs
    parts = []
    for source in range(sources):
        status = body[sources + source * inputs : sources + (source + 1) * inputs]
        details = [""] * inputs
        if status.count(PASS) + status.count(FAIL) < inputs:
            for index, code in enumerate(status):
                if code != PASS and code != FAIL:
                    details[index] = _printable(body[at : at + DETAIL_BYTES])
                    at += DETAIL_BYTES
        parts.append((body[source] != 0, status, details))
    return parts


def _printable(data: bytes) -> str:
    text = data.rstrip(b"\0").decode("utf-8", "ignore")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in text)
