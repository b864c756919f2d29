"""Prepares the zygote's memory before it forks: children cost less and do the same.

A page that a child writes is first copied, at 1 to 4 microseconds each, and those copies are
most of what a unit costs. So the zygote runs a verifier of its own first (children find the
interpreter's caches filled instead of filling them) and uses up the holes in its heap (children
allocate from untouched, contiguous memory instead of a few bytes on each of a hundred pages).
A child that is forked ahead of its orders runs it too: its pages are copied by then.
"""

import ctypes
import gc
from collections.abc import Callable
from functools import partial
from mmap import mmap

from autoif_assets.sandbox.inside import wire
from autoif_assets.sandbox.inside.runner import Settings, run_verifier

# What verifiers commonly do.
_SAMPLE = r"""
import re
import string

def helper(word):
    return sum(1 for char in word.lower() if char in "aeiouy")

def evaluate(response):
    words = response.strip().split()
    if not isinstance(response, str) or len(words) > 100:
        return False
    for index, word in enumerate(words):
        clean = word.strip(string.punctuation)
        if not clean or helper(clean) > 9:
            return False
    lines = [line for line in response.split("\n") if line]
    return bool(re.findall(r"[a-z]+", response)) and all(len(line) < 999 for line in lines)
"""

_FRESH = 8192  # bytes in a row that tell fresh memory from a hole
_MOST = 4000  # holes to fill per size
_fillers: list[object] = []  # what fills the holes must stay alive


def warm_up_run(settings: Settings, inputs: int) -> Callable[[], None]:
    """Returns a function that runs the zygote's own verifier on so many inputs."""
    texts = wire.encode_inputs(["One two, three.", "été"] * (inputs // 2))
    head, tail = wire.encode_sources([_SAMPLE], inputs, len(texts))
    data = head + texts + tail
    layout = wire.Layout(1, inputs)

    def warm_up() -> None:
        with mmap(-1, layout.size) as area:
            sources, places = wire.places(data)
            text = partial(wire.text, data, places)
            source = wire.text(data, sources, 0)
            run_verifier(settings, source, text, None, area, layout, 0, 0, 0)
            wire.collect(area, layout)

    return warm_up


def prepare(settings: Settings) -> None:
    """Fill caches and holes, then hide everything from the garbage collector."""
    warm_up = warm_up_run(settings, 64)
    for _ in range(4):
        warm_up()
    settings.lock.warm_up()
    gc.collect()
    _fill_small()
    _fill_large()
    # A collection would write to every object it visits.
    gc.freeze()


def _fill_small() -> None:
    """Objects of each of Python's size classes until they begin a fresh pool."""
    for size in range(48, 513, 16):
        before = row = 0
        for _ in range(_MOST):
            filler = bytes(size - 33)  # an empty bytes object has 33 bytes
            _fillers.append(filler)
            follows = id(filler) == before + size
            if not follows and row > _FRESH:
                break  # the pool is full and the next begins: header and space on one page
            row = row + size if follows else 0
            before = id(filler)


def _fill_large() -> None:
    """Blocks of libc's heap until they come from beyond its present end."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    end = libc.sbrk(ctypes.c_long(0))
    for size in (65536, 16384, 8192, 4096, 2048, 1024, 768, 640, 528):
        for _ in range(_MOST):
            if (libc.malloc(ctypes.c_size_t(size)) or end) >= end:
                break
