"""What makes an asset stale: the functions of the method it reaches, its prompts and its numbers.

Nothing of this is listed by hand. It is read off the source, from the asset's function on: a name
that the function uses leads to the statement that defines the name, and so on through
`assets`, `resources`, `inputs` and `method`. What is reached in `method` is a rule of the asset;
the others only lead there. So a rule that is added to a function makes exactly the assets stale
that reach the function, and what lies downstream of them.

Dagster marks an asset stale when its code version is no longer the one it was made with.

Reading takes a second, and every process that loads the definitions wants it. So what was read is
kept in the user's cache folder, with a fingerprint of all the source it was read off.
"""

import ast
import atexit
import hashlib
import importlib
import inspect
import json
import os
import pkgutil
import symtable
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from autoif_assets.caches import cache_folder
from autoif_assets.method import prompts, recipe
from autoif_assets.method.prompts import PROMPTS, Prompt
from autoif_assets.method.recipe import Recipe

_METHOD = "autoif_assets.method"
_ASSETS = "autoif_assets.assets"
_FOLLOWED = (_METHOD, _ASSETS, "autoif_assets.resources", "autoif_assets.inputs")
# What a batch is pinned to, which is no rule and leads to every model that is asked.
_PINNED = "autoif_assets.resources.batch"
# How a bound is read; all else in this module is numbers, and these count one by one, as the
# prompts of that dictionary do.
_BOUND = (recipe.__name__, "Threshold")
_BOUND_METHOD = "bound"
_PROMPTS = (prompts.__name__, "PROMPTS")

Unit = tuple[str, str]
"""A name at the top level of a module: the module's name, and the name."""


@dataclass
class Dependencies:
    """What the rows of an asset depend on besides its inputs.

    Attributes:
        rules: Top-level names of `method` that the asset reaches, such as
            ``("autoif_assets.method.responses", "verify_responses")``, with their source.
        prompts: Roles of the prompts they render.
        numbers: Fields of the recipe they read.
    """

    rules: dict[Unit, str] = field(default_factory=dict)
    prompts: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)

    def code_version(self, recipe: Recipe | None) -> str:
        """Hash the rules, the prompts with their schemas, and the values of the numbers.

        Comments, docstrings, layout, and the module a function is in do not count.

        Args:
            recipe: The recipe of runs that do not say otherwise; None where each batch is pinned
                to one of its own, so that no number counts.

        Returns:
            12 hex digits.
        """
        parts = [
            sorted(self.rules.values()),
            {role: [PROMPTS[role].source, PROMPTS[role].schema] for role in self.prompts},
            {name: getattr(recipe, name) for name in self.numbers if recipe is not None},
        ]
        text = json.dumps(parts, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def dependencies(function: Callable[..., Any]) -> Dependencies:
    """Return what a function at the top level of a module depends on.

    Raises:
        LookupError: The module's source does not define the function.
    """
    start = (function.__module__, function.__name__)
    # The fingerprint is of the package's own source.
    if not start[0].startswith(_ASSETS):
        return _read(start)
    kept, place = _kept(), ".".join(start)
    if place not in kept:
        kept[place] = _read(start)
    return kept[place]


@cache
def _kept() -> dict[str, Dependencies]:
    """Return what is kept of this source, by function; what is added is kept when Python ends."""
    found: dict[str, Dependencies] = {}
    try:
        path = cache_folder() / "code_versions.json"
    except RuntimeError:  # a user without a home
        return found
    fingerprint = _fingerprint()
    # Whatever is wrong with the file, all of it can be read anew.
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        said = json.loads(path.read_text("utf-8"))
        if said["fingerprint"] == fingerprint:
            for place, one in said["functions"].items():
                rules = {(module, name): text for module, name, text in one["rules"]}
                found[place] = Dependencies(rules, set(one["prompts"]), set(one["numbers"]))
    before = len(found)

    def keep() -> None:
        if len(found) == before:
            return
        functions = {
            place: {
                "rules": [[*unit, text] for unit, text in one.rules.items()],
                "prompts": sorted(one.prompts),
                "numbers": sorted(one.numbers),
            }
            for place, one in found.items()
        }
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            said = {"fingerprint": fingerprint, "functions": functions}
            partial.write_text(json.dumps(said), "utf-8")
            partial.replace(path)

    atexit.register(keep)
    return found


def _fingerprint() -> str:
    """Hash all the source that may be followed, what follows it, and Python's version."""
    here = Path(__file__)
    folders = [here.parent.joinpath(*name.split(".")[1:]) for name in _FOLLOWED]
    digest = hashlib.blake2b(repr(sys.version_info[:2]).encode(), digest_size=16)
    for path in [here, *sorted(path for folder in folders for path in folder.rglob("*.py"))]:
        digest.update(path.relative_to(here.parent).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _read(start: Unit) -> Dependencies:
    """Follow the names of a function through the source.

    Raises:
        LookupError: The module's source does not define the function.
    """
    found = Dependencies()
    if not _module(start[0]).statements.get(start[1]):
        raise LookupError(f"{start[0]} does not define {start[1]} at its top level.")
    seen, left = {start}, [start]
    while left:
        module, name = left.pop()
        for statement in _module(module).statements[name]:
            used = _uses(module, statement)
            if module.startswith(_METHOD):
                found.rules[module, name] = found.rules.get((module, name), "") + used.text
            found.prompts |= used.prompts
            found.numbers |= used.numbers
            left += used.units - seen
            seen |= used.units
    return found


@dataclass(frozen=True)
class _Module:
    """A module's top level.

    Attributes:
        statements: Name → the statements that bind it, without docstrings.
        imports: Name → what is imported under it: a module, and the name in it, if one.
    """

    statements: dict[str, list[ast.stmt]]
    imports: dict[str, tuple[str, str | None]]


@cache
def _module(name: str) -> _Module:
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    _drop_docstrings(tree)
    statements: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for bound in _bound(statement):
            statements.setdefault(bound, []).append(statement)
    imports: dict[str, tuple[str, str | None]] = {}
    # Imports within functions count as well: what is slow to load is imported there.
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            imports |= {
                alias.asname or alias.name: (node.module, alias.name) for alias in node.names
            }
        elif isinstance(node, ast.Import):
            imports |= {alias.asname or alias.name: (alias.name, None) for alias in node.names}
    return _Module(statements, imports)


def _drop_docstrings(tree: ast.Module) -> None:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            # A body of a docstring only would be none at all.
            node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement at the top level binds; of an import none."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


@dataclass(frozen=True)
class _Uses:
    """What a statement names: its own text, and what of the package it leads to."""

    text: str
    units: frozenset[Unit]
    prompts: frozenset[str]
    numbers: frozenset[str]


@cache
def _uses(module: str, statement: ast.stmt) -> _Uses:
    text = ast.unparse(statement)
    names = _globals_of(text)
    units: set[Unit] = set()
    prompts: set[str] = set()
    for start, attributes in _dotted(statement):
        if start in names:
            # The attribute of a module leads to a statement; that of anything else to none.
            for unit in _resolved(module, start, attributes):
                value = getattr(importlib.import_module(unit[0]), unit[1], None)
                if isinstance(value, Prompt):
                    prompts.add(value.role)
                elif unit != _PROMPTS and (unit[0] != recipe.__name__ or unit == _BOUND):
                    units.add(unit)
    # The recipe hands bounds out: whoever asks for one does not name their class.
    if any(attributes[-1:] == (_BOUND_METHOD,) for _, attributes in _dotted(statement)):
        units.add(_BOUND)
    numbers = set(_numbers(statement))
    return _Uses(text, frozenset(units), frozenset(prompts), frozenset(numbers))


def _globals_of(text: str) -> set[str]:
    """Return the names a statement takes from its module: parameters and locals are none."""
    used: set[str] = set()
    top = symtable.symtable(text, "<statement>", "exec")
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced()
            and (table is top or symbol.is_global() or symbol.is_imported())
        }
    return used


def _dotted(statement: ast.stmt) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every name that is read, with the attributes that follow it: ``a.b.c``."""
    for node in ast.walk(statement):
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, tuple(attributes)


def _resolved(module: str, name: str, attributes: tuple[str, ...]) -> Iterator[Unit]:
    """Yield where a name, or an attribute of the module it stands for, is defined."""
    here = _module(module)
    if name in here.statements:
        yield module, name
    elif name in here.imports:
        origin, imported = here.imports[name]
        if imported is not None and f"{origin}.{imported}" in _submodules(origin):
            origin, imported = f"{origin}.{imported}", None
        if imported is None:
            imported = attributes[0] if attributes else None
        if imported is not None and origin.startswith(_FOLLOWED) and origin != _PINNED:
            yield from _defined(origin, imported)


def _defined(module: str, name: str) -> Iterator[Unit]:
    """Yield where the name of a module is defined, also if a package only passes it on."""
    if name in _module(module).statements:
        yield module, name
    elif name in _module(module).imports:
        yield from _resolved(module, name, ())


@cache
def _submodules(package: str) -> frozenset[str]:
    if not package.startswith(_FOLLOWED):
        return frozenset()
    folders = getattr(importlib.import_module(package), "__path__", ())
    return frozenset(f"{package}.{module.name}" for module in pkgutil.iter_modules(folders))


def _numbers(statement: ast.stmt) -> Iterator[str]:
    """Yield the fields of the recipe that a statement reads.

    These are ``recipe.field``, ``recipe.bound("field")``, and of a call
    ``model.generate("role", …, recipe)`` the sampling numbers of the role that the call does not
    give itself.
    """
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "recipe" and node.attr in Recipe.model_fields:
                yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = node.args[0]
            if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                continue
            if node.func.attr == _BOUND_METHOD:
                yield first.value
            elif node.func.attr == "generate":
                given = {keyword.arg for keyword in node.keywords}
                for number in {"temperature", "max_tokens"} - given:
                    yield f"{first.value}_{number}"
