"""Which verifiers may run in one process with others of their instruction (share mode).

The check admits what ordinary text checks are made of and nothing that reaches outside its own
names: an allow-list of syntax, names, attributes and modules, so that what is not known is run
alone. Names are resolved as Python's compiler resolves them, scope by scope.
"""

import ast
import builtins
import collections
import functools
import itertools
import math
import re
import string
import symtable
import unicodedata
import warnings
from collections.abc import Iterator

from autoif_assets.sandbox.static import TooDeep, parse

# Builtins that compute; none that reaches namespaces, classes or files.
_BUILTINS = frozenset((
    "abs", "all", "any", "ascii", "bin", "bool", "bytes", "chr", "dict", "divmod", "enumerate",
    "filter", "float", "format", "frozenset", "hash", "hex", "int", "isinstance", "issubclass",
    "iter", "len", "list", "map", "max", "min", "next", "object", "oct", "ord", "pow", "print",
    "range", "repr", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip",
    "ArithmeticError", "AttributeError", "Exception", "IndexError", "KeyError", "LookupError",
    "OverflowError", "RuntimeError", "StopIteration", "TypeError", "UnicodeError", "ValueError",
    "ZeroDivisionError",
))  # fmt: skip
# A global of such a name may be unbound when it is looked up, and then Python takes the builtin.
_FORBIDDEN_GLOBALS = frozenset(dir(builtins)) - _BUILTINS

# str.format and Formatter reach attributes by name; purge empties the cache of all; RegexFlag has
# a table of its values that grows by being asked.
_REFUSED = frozenset(("format", "format_map", "Formatter", "Template", "purge", "RegexFlag"))


def _public(names: Iterator[str] | list[str]) -> frozenset[str]:
    return frozenset(name for name in names if not name.startswith("_")) - _REFUSED


_MODULES = {
    "collections": _public(["Counter", "OrderedDict", "defaultdict", "deque", "namedtuple"]),
    "functools": _public(["cache", "cmp_to_key", "lru_cache", "partial", "reduce"]),
    "itertools": _public(dir(itertools)),
    "math": _public(dir(math)),
    "re": _public(re.__all__),
    "string": _public(string.__all__),
    "unicodedata": _public(dir(unicodedata)),
}
# Classes written in Python: their methods do not look at what they are given for `self`
# (`Counter.copy(Counter)` is `type`), so there are instances of them and no more.
_CALLED_ONLY = frozenset(("Counter",))
_VALUES = (str, bytes, int, float, list, tuple, dict, set, frozenset, re.Match, re.Pattern,
           collections.Counter, collections.deque)  # fmt: skip
_ATTRIBUTES = _public([*itertools.chain.from_iterable(map(dir, _VALUES)), "args"])

_NODES = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Lambda, ast.Return, ast.Pass,
    ast.Break, ast.Continue, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If,
    ast.Try, ast.ExceptHandler, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.alias,
    ast.Expr, ast.Call, ast.keyword, ast.Attribute, ast.Subscript, ast.Slice, ast.Starred,
    ast.Name, ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.List, ast.Tuple, ast.Set,
    ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension,
    ast.IfExp, ast.NamedExpr, ast.Yield, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare,
    ast.Nonlocal, ast.Global, ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip


@functools.lru_cache(maxsize=4096)
def may_share(source: str) -> bool:
    """True if the source does nothing but compute with its own names and listed functions."""
    try:
        tree = parse(source)
        nodes = list(ast.walk(tree))
        if not all(isinstance(node, _NODES) for node in nodes):
            return False
        return _names_are_its_own(_scopes(source)) and _is_harmless(nodes)
    except (SyntaxError, TooDeep, RecursionError, MemoryError, ValueError):
        return False


def _scopes(source: str) -> Iterator[symtable.SymbolTable]:
    """The scopes of a source that `parse` has found safe to look at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        todo = [symtable.symtable(source, "<verifier>", "exec")]
    while todo:
        scope = todo.pop()
        yield scope
        todo += scope.get_children()


def _names_are_its_own(scopes: Iterator[symtable.SymbolTable]) -> bool:
    """Whether each name, however bound, means what it says in the scope where it stands.

    Of all the scopes only the module's has names that may mean something else when they are not
    (or no longer) bound: these are looked up among the builtins.
    """
    asked, bound = set(), {"evaluate"}
    for scope in scopes:
        is_module = scope.get_type() == "module"
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            # `__builtins__` and its like mean something to the interpreter, in every scope.
            if name.startswith("__"):
                return False
            if not (is_module or symbol.is_global()):
                continue  # a local, a parameter or that of a function around it
            asked.add(name)
            if symbol.is_assigned() or symbol.is_imported():
                bound.add(name)
    return not (asked & _FORBIDDEN_GLOBALS) and asked <= bound | _BUILTINS


def _is_harmless(nodes: list[ast.AST]) -> bool:
    imported = {
        (alias.asname or alias.name, alias.name)
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    modules = dict(imported)
    if len(modules) < len(imported):  # one name for two modules
        return False
    # A module is what attributes are read from, and nothing else: it is not a value that could be
    # bound to another name, handed on or become somebody's namespace.
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    classes = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in _CALLED_ONLY
    }
    used = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in _MODULES.get(modules.get(node.value.id, ""), ())
    }
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in modules:
            if id(node) not in used:
                return False
        elif isinstance(node, ast.Name) and node.id in classes:
            if id(node) not in called:
                return False
        elif isinstance(node, ast.Attribute):
            # Attributes are read, never set: a module or class has one state for all.
            if not isinstance(node.ctx, ast.Load):
                return False
            if id(node.value) not in used and node.attr not in _ATTRIBUTES:
                return False
            if node.attr in _CALLED_ONLY and id(node) not in called:
                return False
        elif not _may_stand(node, modules):
            return False
    return True


def _may_stand(node: ast.AST, modules: dict[str, str]) -> bool:
    """Whether a node of a kind that has rules of its own keeps these."""
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return isinstance(node.value, ast.Name | ast.Subscript)
    if isinstance(node, ast.ExceptHandler):
        # A bare except would catch the clock.
        return node.type is not None and node.name not in modules
    if isinstance(node, ast.Import):
        return all(alias.name in _MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and all(
            alias.name in _MODULES.get(node.module or "", ())
            and (alias.asname or alias.name) not in modules
            for alias in node.names
        )
    if isinstance(node, ast.FunctionDef):
        return node.name not in modules and not _cleans_up(node)
    if isinstance(node, ast.arg):
        return node.arg not in modules
    if isinstance(node, ast.keyword):
        return node.arg is None or not node.arg.startswith("__")
    return True


def _cleans_up(function: ast.FunctionDef) -> bool:
    """Whether it is a generator that may run on when it is thrown away.

    Nobody says when that is: the garbage collector may do it in the midst of a neighbour's call.
    """
    nodes = list(ast.walk(function))
    return any(isinstance(node, ast.Yield) for node in nodes) and any(
        isinstance(node, ast.Try) for node in nodes
    )
