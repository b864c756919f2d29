"""What can be said of a verifier's source without running it.

The source is parsed, never compiled. Parsing hostile text is kept safe by a limit on its length
and on how deep it nests: the parser and the tree walkers recurse on nesting only.
"""

import ast
import builtins
import keyword
import re
import token
import warnings
from collections.abc import Collection, Iterator

from autoif_assets.sandbox.inside.modules import STANDARD, module_name
from autoif_assets.sandbox.types import Limits

_CHARS = Limits().source_chars
_CHAIN = 200  # operators and brackets in one logical line
# Words that make one expression a part of another.
_NESTING_WORDS = frozenset((
    "not", "lambda", "if", "else", "await", "and", "or", "in", "is", "for", "elif",
))  # fmt: skip


def static_check(source: str, modules: Collection[str] = ()) -> str | None:
    """Reason to reject a verifier before running it, or None.

    Args:
        source: The verifier's source.
        modules: Third-party modules allowed besides the standard list, as given to `Sandbox`.

    Returns:
        `source_too_long`, `syntax_error`, `too_deep`, `forbidden_import:<module>`,
        `no_evaluate`, `wrong_arity`, or None.
    """
    if len(source) > _CHARS:
        return "source_too_long"
    try:
        tree = parse(source)
    except TooDeep:
        return "too_deep"
    except SyntaxError:
        return "syntax_error"
    # By top-level name, as the guard of `import` in the sandbox does.
    allowed = {name.partition(".")[0] for name in (*STANDARD, *map(module_name, modules))}
    for name in _imports(tree):
        if name not in allowed:
            return f"forbidden_import:{name}"
    binding = _binding(tree)
    if binding is None:
        return "no_evaluate"
    # Of an import, a class or an assigned callable, only a call can tell what it takes.
    if isinstance(binding, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None if _is_callable(binding.args) else "wrong_arity"
    return None


def needs_query(source: str) -> bool:
    """Whether a verifier must be given the query beside the response, as far as that shows."""
    if "query" not in source:
        return False
    try:
        binding = _binding(parse(source))
    except (SyntaxError, TooDeep):
        return False
    return isinstance(binding, ast.FunctionDef) and _takes_query(binding.args)


class TooDeep(Exception):
    """The source nests deeper than any verifier written in earnest."""


def parse(source: str) -> ast.Module:
    """The syntax tree of untrusted source.

    Raises:
        SyntaxError: Not Python, for whatever reason (NULs, lone surrogates, …).
        TooDeep: Nested too deep to parse safely, or longer than `Limits.source_chars`.
    """
    # Before the parser sees it: what nests too deep can overflow the C stack, which ends this
    # process instead of raising.
    if len(source) > _CHARS or _chains(source):
        raise TooDeep
    try:
        with warnings.catch_warnings():
            # `"\d"` and the like are the verifier's affair, not a message on our terminal.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (RecursionError, MemoryError) as error:
        # The parser has limits of its own, which differ between Python versions.
        raise TooDeep from error
    except ValueError as error:
        # NULs and lone surrogates; one class of error for all that is not Python.
        raise SyntaxError(str(error)) from error


_SIGNS = sorted(map(re.escape, token.EXACT_TOKEN_TYPES), key=len, reverse=True)
# In one pass, whatever the text: what has begun to be read is never read again. `tokenize` costs
# the square of some texts.
_TOKEN = re.compile(
    rf"""
    (?P<blank> [ \t\f\r]++ | \\\r?\n | \#[^\n]*+ )
    | (?P<line> \n )
    | (?P<text> (?i:[bu] | f | rf | fr | rb | br | r)? (?:
        \"{{3}} (?:[^"\\]|\\.|"(?!""))*+ \"{{3}}
        | '{{3}} (?:[^'\\]|\\.|'(?!''))*+ '{{3}}
        | "(?!"") (?:[^"\\\n]|\\.)*+ "
        | '(?!'') (?:[^'\\\n]|\\.)*+ '
      ))
    | (?P<open_text> ["'] )
    | (?P<word> [^\W\d]\w*+ | \d[\w.]*+ | \.\d\w*+ )
    | (?P<sign> {"|".join(_SIGNS)} )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def _chains(source: str) -> bool:
    """True if a logical line has more prefixes, operators and brackets than `_CHAIN`.

    Depth comes from these only (indentation is limited by Python's tokenizer), so counting
    them bounds the recursion of everything that walks the tree. A list of literals is flat:
    commas start a new count.
    """
    # One count for the line and one more for each open bracket.
    depth, counts = 0, [0]
    elifs = 0
    for found in _TOKEN.finditer(source):
        kind, text = found.lastgroup, found[0]
        if kind == "line" and depth <= 0:
            depth, counts = 0, [0]  # expressions end with their logical line
        elif kind == "open_text":
            # No Python: left to the parser, which says so, if the text itself cannot nest deep.
            return max(map(source.count, "([{-+~.")) > _CHAIN or source.count("not ") > _CHAIN
        elif kind == "sign" and text in "([{":
            depth += 1
            # Also for the expression around: `a()()()` nests though each bracket closes.
            counts[-1] += 1
            counts.append(0)
        elif kind == "sign" and text in ")]}":
            depth -= 1
            if len(counts) > 1:  # more closed than opened is left to the parser
                counts.pop()
        elif kind == "sign" and text in ",;":
            counts[-1] = 0
        elif kind == "sign" or text in _NESTING_WORDS:
            counts[-1] += 1
        elifs += text == "elif"  # each is an `if` in the `else` of the one before, on many lines
        if depth > _CHAIN or counts[-1] > _CHAIN or elifs > _CHAIN:
            return True
    return False


def _imports(tree: ast.Module) -> Iterator[str]:
    """Top-level names of the modules imported anywhere; "." stands for a relative import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").partition(".")[0]


def _binding(tree: ast.Module) -> ast.stmt | None:
    """The last statement that binds `evaluate`, which is the one that a call finds."""
    return next((node for node in reversed(tree.body) if "evaluate" in _targets(node)), None)


def _targets(node: ast.stmt) -> set[str]:
    """Names that a top-level statement binds, at any depth short of other functions."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    names = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            names.add(child.id)
        elif isinstance(child, ast.alias):
            names.add(child.asname or child.name)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(child.name)
    return names


def _is_callable(args: ast.arguments) -> bool:
    """Whether `f(response)` is a possible call, or `f(response, query)` the one to make."""
    positional = [*args.posonlyargs, *args.args]
    required = len(positional) - len(args.defaults)
    if any(default is None for default in args.kw_defaults):
        return False
    if required == 2:
        return _takes_query(args)
    return required <= 1 and (bool(positional) or args.vararg is not None)


def _takes_query(args: ast.arguments) -> bool:
    """Whether two arguments must be given, the second of which is called `query`."""
    positional = [*args.posonlyargs, *args.args]
    return len(positional) - len(args.defaults) == 2 and positional[1].arg == "query"


# --- one text for identical functions ------------------------------------------------------

# Sources that can see their own names keep them.
_REFLECTIVE = {"eval", "exec", "compile", "globals", "locals", "vars", "dir", "getattr", "setattr",
               "delattr", "hasattr", "__import__", "__builtins__"}  # fmt: skip
# A local that shares its name with a builtin may stand for the builtin elsewhere.
_KEPT = frozenset(("evaluate", *dir(builtins), *keyword.kwlist, *keyword.softkwlist))


def canonical_source(source: str) -> str:
    """A text that is equal for functions that differ only in names, docstrings and formatting.

    Local names are numbered in the order they appear; docstrings and annotations go; constants,
    quotes, brackets and blank space are written one way. Names that could have a meaning of their
    own (builtins, keyword arguments, attributes of classes) stay, so two different functions never
    get the same text. Source that does not parse is returned stripped.
    """
    try:
        tree = parse(source)
        names = _renamable(tree)
        tree = ast.fix_missing_locations(_Canonical(names).visit(tree))
        return ast.unparse(tree)
    except (SyntaxError, TooDeep, RecursionError, MemoryError, ValueError):
        return source.strip()


def _renamable(tree: ast.Module) -> dict[str, str]:
    """Canonical names of what the source binds itself, in the order of appearance."""
    bound: dict[str, None] = {}  # a dictionary for its order
    kept, named = set(_KEPT), set()
    for node in _in_order(tree):
        if _has_other_names(node):
            return {}
        if isinstance(node, ast.Name):
            named.add(node.id)
        if (name := bound_name(node)) is not None:
            bound[name] = None
        elif isinstance(node, ast.keyword) and node.arg:
            kept.add(node.arg)  # it may name a parameter of somebody else's function
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            kept.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    names: dict[str, str] = {}
    # A new name must not come to mean what an unchanged one does.
    taken = kept | (named - set(bound))
    number = 0
    for name in bound:
        if name in kept or (name.startswith("__") and name.endswith("__")):
            continue
        while f"v{number}" in taken:
            number += 1
        names[name] = f"v{number}"
        number += 1
    return names


def bound_name(node: ast.AST) -> str | None:
    """The name that a node binds itself, if it is one that may be exchanged for another."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return node.id
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ExceptHandler)):
        return node.name or None
    return None


def _has_other_names(node: ast.AST) -> bool:
    """Whether names are reached in ways that renaming does not follow."""
    # The names in a class are attributes too, and those in a pattern are strings in the tree.
    if isinstance(node, (ast.ClassDef, ast.Match)):
        return True
    if isinstance(node, ast.Attribute):
        return node.attr.startswith("__")
    return isinstance(node, ast.Name) and node.id in _REFLECTIVE


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes in the order of the text; `ast.walk` goes level by level."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(ast.iter_child_nodes(node))))


class _Canonical(ast.NodeTransformer):
    """Renames, and drops what does not act."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self.names.get(node.arg, node.arg)
        node.annotation = self.annotation(node.annotation)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.name:
            node.name = self.names.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.Global:
        node.names = [self.names.get(name, name) for name in node.names]
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.Nonlocal:
        node.names = [self.names.get(name, name) for name in node.names]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self.names.get(node.name, node.name)
        node.returns = self.annotation(node.returns)
        node.body = _without_docstring(node.body)
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.name = self.names.get(node.name, node.name)
        node.returns = self.annotation(node.returns)
        node.body = _without_docstring(node.body)
        return self.generic_visit(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node.body = _without_docstring(node.body)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None or self.annotation(node.annotation) is not None:
            return node
        return ast.Assign(targets=[node.target], value=node.value)

    def annotation(self, node: ast.expr | None) -> ast.expr | None:
        """None for an annotation that cannot fail; `List[str]` without its import can."""
        if node is None or _cannot_fail(node):
            return None
        kept: ast.expr = self.visit(node)
        return kept


def _cannot_fail(node: ast.expr) -> bool:
    """Whether evaluating an annotation is sure to work and to do nothing."""
    if isinstance(node, ast.Tuple):
        return all(map(_cannot_fail, node.elts))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return node.value.id in {"list", "dict", "tuple", "set"} and _cannot_fail(node.slice)
    if isinstance(node, ast.Constant):
        return True
    return isinstance(node, ast.Name) and node.id in {
        "str", "bool", "int", "float", "list", "dict", "tuple", "set", "object"
    }  # fmt: skip


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """The body without the constant it begins with, but not empty, which would be no Python."""
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        return body[1:] or [ast.Pass()]
    return body
