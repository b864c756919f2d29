"""Which modules a verifier may import: a rule of quality; the kernel is the boundary."""

import builtins
import importlib
import io
import operator
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from autoif_assets.sandbox.inside.bytecode_cache import BytecodeCache

# The part of the standard library that text checks need and that only computes.
STANDARD = (
    "__future__", "abc", "array", "ast", "base64", "binascii", "bisect", "calendar", "cmath",
    "codecs", "collections", "collections.abc", "contextlib", "copy", "csv", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "hmac",
    "html", "html.entities", "html.parser", "io", "ipaddress", "itertools", "json", "keyword",
    "math", "numbers", "operator", "pprint", "random", "re", "statistics", "string", "struct",
    "textwrap", "time", "tomllib", "types", "typing", "unicodedata", "urllib.parse",
    "warnings", "xml.dom.minidom", "xml.etree.ElementTree", "zlib",
)  # fmt: skip

# What many verifiers use, and `random`, which must be seeded once for all.
_COMMON = (
    "__future__", "collections", "collections.abc", "enum", "functools", "itertools", "json",
    "math", "operator", "random", "re", "string", "typing",
)  # fmt: skip

# Imported by the above on first use, when files can no longer be opened.
_HIDDEN = ("_strptime", "stringprep", "quopri", "xml.dom.expatbuilder")
_CODECS = (
    "_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw",
    "_multibytecodec",
)  # fmt: skip

# Shared libraries that few verifiers need. Each would make every fork dearer, so they are loaded
# in a worker of their own, which is started for the first verifier that imports one.
_RARE = (
    *_CODECS, "_blake2", "_elementtree", "_hashlib", "_md5", "_sha1", "_sha256", "_sha3", "pyexpat",
    "zlib",
)  # fmt: skip

RARE_NEEDED = 6  # exit code of a child that has to run where they are loaded


class ForbiddenImport(ImportError):
    """A verifier imported a module outside the allow-list."""


class _Nothing(io.TextIOBase):
    """Standard output that takes everything and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def preload(optional: Sequence[str], path: Sequence[str], rare: bool) -> None:
    """Have at hand all that verifiers may import, then cut the interpreter off from files.

    Args:
        optional: Further modules the user allows, imported from `path`: `module`, or
            `module:function` for one whose function loads data that it reads later.
        path: The user's `sys.path`.
        rare: Load shared libraries that few verifiers need too.
    """
    from importlib.util import find_spec

    warnings.simplefilter("ignore")
    # `random` would otherwise reseed itself in every child.
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: None
    try:
        for name in _COMMON:
            importlib.import_module(name)
        codecs = [name for name in _CODECS if find_spec(name)]  # not every Python has all
        cache = BytecodeCache((*STANDARD, *_HIDDEN, *codecs), "encodings", _not_here)
        for name in cache.extensions:
            if rare or name not in _RARE:
                importlib.import_module(name)
        if optional:
            sys.path.extend(entry for entry in path if entry not in sys.path)
            for entry in optional:
                _load(entry)
    finally:
        os.register_at_fork = register
    import random

    random.seed(0)
    os.environ.clear()
    sys.argv[:] = [""]
    sys.path.clear()
    sys.meta_path.append(cache)
    sys.path_importer_cache.clear()
    sys.stdin = io.StringIO()
    sys.stdout = sys.stderr = _Nothing()


def module_name(entry: str) -> str:
    """The module that an entry of the user's list names."""
    return entry.partition(":")[0]


def _load(entry: str) -> None:
    """Import a module and have it read its data, for files cannot be opened later."""
    name, _, function = entry.partition(":")
    module = importlib.import_module(name)
    if function:
        operator.attrgetter(function)(module)()
    elif name == "langdetect":
        factory = importlib.import_module("langdetect.detector_factory")
        factory.DetectorFactory.seed = 0  # else it says now this and now that of one text
        factory.init_factory()


def _not_here(name: str) -> None:
    """Ends a child that imports what is loaded elsewhere."""
    os._exit(RARE_NEEDED)


def verifier_builtins(allowed: Iterable[str]) -> dict[str, Any]:
    """Builtins whose `import` knows the allow-list only; one dictionary per verifier."""
    # datetime's C code imports _strptime through the caller's builtins.
    tops = frozenset((*(name.partition(".")[0] for name in allowed), "_strptime"))
    real = builtins.__import__

    def guarded(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level or name.partition(".")[0] not in tops:
            raise ForbiddenImport(name)
        return real(name, globals, locals, fromlist or (), level)

    return {**vars(builtins), "__import__": guarded}
