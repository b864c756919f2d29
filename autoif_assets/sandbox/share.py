"""Which verifiers may run in one process with others of their instruction (share mode).

The check admits what ordinary text checks are made of and nothing that reaches outside its own
names: an allow-list of syntax, names, attributes and modules, so that what is not known is run
alone. It keeps apart verifiers that mean no harm; against harm, use strict mode.
"""

import ast
import collections
import functools
import itertools
import math
import re
import string
import unicodedata

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

_VALUES = (str, bytes, int, float, list, tuple, dict, set, frozenset, re.Match, re.Pattern,
           collections.Counter, collections.deque)  # fmt: skip
_PUBLIC = {
    "collections": collections.__all__,
    "functools": ["cache", "cmp_to_key", "lru_cache", "partial", "reduce"],
    "itertools": dir(itertools),
    "math": dir(math),
    "re": re.__all__,
    "string": string.__all__,
    "unicodedata": dir(unicodedata),
}
# str.format and Formatter reach attributes by name; purge empties the cache of all.
_REFUSED = frozenset(("format", "format_map", "Formatter", "Template", "purge"))
_ATTRIBUTES = (
    frozenset(
        name
        for names in (*map(dir, _VALUES), *_PUBLIC.values(), ["args"])
        for name in names
        if not name.startswith("_")
    )
    - _REFUSED
)

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
    except (SyntaxError, TooDeep):
        return False
    bound = {"evaluate"}
    for node in ast.walk(tree):
        if not isinstance(node, _NODES) or not _harmless(node):
            return False
        bound |= _bound(node)
    return all(
        node.id in bound or node.id in _BUILTINS
        for node in ast.walk(tree)
        if isinstance(node, ast.Name)
    )


def _harmless(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        # Attributes are read, never set: a module or class has one state for all.
        return isinstance(node.ctx, ast.Load) and node.attr in _ATTRIBUTES
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return isinstance(node.value, ast.Name | ast.Subscript)
    if isinstance(node, ast.Name):
        return not node.id.startswith("__")
    if isinstance(node, ast.ExceptHandler):
        return node.type is not None  # a bare except would catch the clock
    if isinstance(node, ast.Import):
        return all(alias.name in _PUBLIC for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (
            node.level == 0
            and node.module in _PUBLIC
            and all(
                alias.name in _PUBLIC[node.module] and alias.name in _ATTRIBUTES
                for alias in node.names
            )
        )
    return True


def _bound(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    if isinstance(node, ast.ExceptHandler):
        return {node.name} if node.name else set()
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return set()
