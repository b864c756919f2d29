"""Which modules a verifier may import: a rule of quality; the kernel is the boundary."""

import builtins
import importlib
import io
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
    "datetime", "decimal", "difflib", "enum", "fractions", "functools", "heapq", "html",
    "html.entities", "html.parser", "io", "itertools", "json", "keyword", "math", "numbers",
    "operator", "pprint", "random", "re", "statistics", "string", "textwrap", "time", "typing",
    "unicodedata", "urllib.parse", "warnings",
)  # fmt: skip

# What many verifiers use, and `random`, which must be seeded once for all.
_COMMON = (
    "__future__", "collections", "collections.abc", "enum", "functools", "itertools", "json",
    "math", "operator", "random", "re", "string", "typing",
)  # fmt: skip

# Imported by the above on first use, when files can no longer be opened.
_HIDDEN = (
    "_strptime", "encodings.aliases", "encodings.ascii", "encodings.cp1252", "encodings.idna",
    "encodings.latin_1", "encodings.punycode", "encodings.raw_unicode_escape",
    "encodings.unicode_escape", "encodings.utf_16", "encodings.utf_16_be",
    "encodings.utf_16_le", "encodings.utf_32", "encodings.utf_7", "encodings.utf_8_sig",
)  # fmt: skip


class ForbiddenImport(ImportError):
    """A verifier imported a module outside the allow-list."""


class _Nothing(io.TextIOBase):
    """Standard output that takes everything and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def preload(optional: Sequence[str], path: Sequence[str]) -> None:
    """Have at hand all that verifiers may import, then cut the interpreter off from files.

    Args:
        optional: Further modules the user allows, imported from `path`.
        path: The user's `sys.path`.
    """
    warnings.simplefilter("ignore")
    # `random` would otherwise reseed itself in every child.
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: None
    try:
        for name in _COMMON:
            importlib.import_module(name)
        cache = BytecodeCache((*STANDARD, *_HIDDEN))
        for name in cache.extensions:
            importlib.import_module(name)
        if optional:
            sys.path.extend(entry for entry in path if entry not in sys.path)
            for name in optional:
                importlib.import_module(name)
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
