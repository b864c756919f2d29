"""Modules kept as bytecode until a child imports them.

Imported beforehand they would be a third of the zygote's memory, and a fork copies the page
tables of all of it. Most verifiers import none of them. The bytecode lies in one private mapping
of a file, whose page tables are not copied.
"""

import importlib
import json
import marshal
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import (
    ExtensionFileLoader,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType


class BytecodeCache:
    """A finder of the modules in the cache, for `sys.meta_path`.

    Args:
        names: Modules to cache, with whatever they import.
        package: A package all of whose modules are cached, without being imported.
        missing: Called with the name of a module in a shared library that nobody imported while
            files could still be opened.

    Attributes:
        extensions: Modules in shared libraries among them, which have no bytecode: they must be
            imported while files can still be opened.

    Raises:
        ImportError: A module is missing or cannot be imported.
    """

    def __init__(self, names: Sequence[str], package: str, missing: Callable[[str], None]) -> None:
        self._missing = missing
        fd = os.memfd_create("bytecode-cache")
        try:
            # In a process that ends: what it imports stays out of the zygote's memory.
            pid = os.fork()
            if pid == 0:
                _collect(fd, names, package)
            if os.waitpid(pid, 0)[1] != 0:
                raise ImportError(f"one of these modules cannot be imported: {', '.join(names)}")
            length = int.from_bytes(os.pread(fd, 8, 0), "little")
            index = json.loads(os.pread(fd, length, 8))
            self.extensions: list[str] = index["extensions"]
            self._spans: dict[str, tuple[str, int, int]] = index["spans"]
            self._begin = 8 + length
            self._data = mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
        finally:
            os.close(fd)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As every finder."""
        if name not in self._spans:
            if name in self.extensions:
                self._missing(name)
            return None
        file, begin, end = self._spans[name]
        loader = _Loader(name, file)
        loader.bytecode = self._data[self._begin + begin : self._begin + end]
        return ModuleSpec(name, loader, is_package=loader.is_package(name))


class _Loader(SourcelessFileLoader):
    """Loads one module from bytecode that is at hand."""

    bytecode: bytes

    def get_data(self, path: str) -> bytes:
        return self.bytecode


def _collect(fd: int, names: Sequence[str], package: str) -> None:
    """Import modules in this process, which ends here, and write down what they brought."""
    before = set(sys.modules)
    import pkgutil
    from importlib.util import MAGIC_NUMBER

    header = MAGIC_NUMBER + bytes(12)  # of a file of bytecode that is not compared with its source
    try:
        for name in names:
            importlib.import_module(name)
        codes, spans, extensions, at = [], {}, [], 0
        specs = {
            name: getattr(sys.modules[name], "__spec__", None)
            for name in sorted(set(sys.modules) - before)
        }
        for found in pkgutil.iter_modules(sys.modules[package].__path__, f"{package}."):
            specs.setdefault(found.name, found.module_finder.find_spec(found.name, None))
        for name, spec in specs.items():
            loader = getattr(spec, "loader", None)
            if isinstance(loader, ExtensionFileLoader):
                extensions.append(name)
            elif isinstance(loader, SourceFileLoader):
                codes.append(header + marshal.dumps(loader.get_code(name)))
                file = f"{name}/__init__.pyc" if loader.is_package(name) else f"{name}.pyc"
                spans[name] = (file, at, at + len(codes[-1]))
                at += len(codes[-1])
        index = json.dumps({"extensions": extensions, "spans": spans}).encode()
        os.pwrite(fd, b"".join((len(index).to_bytes(8, "little"), index, *codes)), 0)
        os._exit(0)
    except BaseException:
        os._exit(1)
