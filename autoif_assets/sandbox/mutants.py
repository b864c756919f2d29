"""Verifiers that are wrong in one place: what a good set of texts tells from the right one.

Each mutant is the source with one small change, as a hurried author would get it wrong: a
boundary that is off by one, `and` for `or`, characters counted for words. Nothing is run here.
"""

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from autoif_assets.sandbox.static import (
    TooDeep,
    bound_name,
    canonical_source,
    parse,
    static_check,
)

_TRIES = 3  # for each mutant asked for: few changes come to nothing

# The nearest other comparisons first.
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE,),
    ast.LtE: (ast.Lt,),
    ast.Gt: (ast.GtE,),
    ast.GtE: (ast.Gt,),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
# "Exactly three" is often written as "at least three", and the other way round.
_OF_NUMBERS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.GtE, ast.LtE),
    ast.LtE: (ast.Eq,),
    ast.GtE: (ast.Eq,),
}
_FOLDING = frozenset(("lower", "casefold", "upper"))
_FOLDING_FLAGS = frozenset(("IGNORECASE", "I"))
# Methods of a text that return one.
_TEXT_METHODS = _FOLDING | frozenset((
    "strip", "lstrip", "rstrip", "replace", "removeprefix", "removesuffix", "title", "capitalize",
    "swapcase", "translate", "expandtabs", "format", "join", "group",
))  # fmt: skip
_QUANTIFIERS = {"any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source with one change.

    Attributes:
        kind: What was changed: `comparison`, `constant`, `and_or`, `not`, `case`, `any_all`,
            `slice` or `words`.
        source: The changed source, without the comments of the original.
    """

    kind: str
    source: str


def mutants(source: str, limit: int = 20) -> list[Mutant]:
    """Sources that differ from a verifier's in one place each.

    No two are equal by `canonical_source`, nor is one equal to the source, though one may decide
    alike. Where there are more than `limit`, the kinds take turns and each is spread over the
    source; a smaller limit gives the beginning of the same list. What `static_check` says of the
    source it says of each mutant.

    Args:
        source: The verifier's source; any text.
        limit: The most mutants to make.

    Returns:
        The mutants; none of a source that does not parse.
    """
    limit, reason = max(limit, 0), static_check(source)
    try:
        tree = parse(source)
        plain = ast.unparse(tree)
        texts = _Texts(tree)
    except (SyntaxError, TooDeep, RecursionError, MemoryError, ValueError):
        return []
    if static_check(plain) != reason:
        return []  # in this form the source is too long, and so are its mutants
    # Each try costs as much as the source is long, so their number is bounded.
    edits = list(islice(_spread(_edits(tree, texts)), _TRIES * limit))
    # Where all mutants bind the same names in the same places, two are alike only if their texts
    # are equal: then the canonical text, which costs more than all the rest, tells nothing more.
    alike = canonical_source if any(edit.rebinds for edit in edits) else str
    seen = {alike(plain)}
    found: list[Mutant] = []
    for edit in edits:
        text = edit.applied(tree)
        if text is None or (same := alike(text)) in seen:
            continue
        seen.add(same)
        if static_check(text) == reason:
            found.append(Mutant(edit.kind, text))
        if len(found) >= limit:
            break
    return found


def quoted_texts(source: str) -> frozenset[str]:
    """The texts that a source holds as literals, docstrings left out.

    A function that knows its cases by heart holds them here. Nothing is found in a source that
    does not parse.
    """
    try:
        tree = parse(source)
    except (SyntaxError, TooDeep):
        return frozenset()
    return frozenset(
        place.node.value
        for place in _places(tree)
        if isinstance(place.node, ast.Constant) and isinstance(place.node.value, str)
    )


# --- where a tree can be changed -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A node and where it hangs."""

    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST

    def put(self, node: ast.AST) -> None:
        """Hangs a node here."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True, slots=True)
class _Edit:
    """A node to hang in the place of another."""

    kind: str
    place: _Place
    new: ast.AST

    @property
    def rebinds(self) -> bool:
        """Whether it may change which names are bound where, or what begins a body."""
        nodes = (*ast.walk(self.place.node), *ast.walk(self.new))
        return isinstance(self.place.parent, ast.Expr) or any(map(bound_name, nodes))

    def applied(self, tree: ast.Module) -> str | None:
        """The text of the tree with this change; the tree is left as it was."""
        self.place.put(self.new)
        try:
            return ast.unparse(tree)
        except (RecursionError, MemoryError, ValueError):
            return None
        finally:
            self.place.put(self.place.node)


def _places(tree: ast.Module) -> Iterator[_Place]:
    """The places of a tree in the order of the text, without what does not act."""
    stack = list(reversed(list(_below(tree))))
    while stack:
        place = stack.pop()
        yield place
        # A number with its sign is one node to us.
        if _number(place.node) is None:
            stack.extend(reversed(list(_below(place.node))))


def _below(node: ast.AST) -> Iterator[_Place]:
    """The places right below a node."""
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns"}:
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            # A docstring, or another constant that is a statement of its own.
            bare = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and not bare:
                yield _Place(node, field, index if isinstance(value, list) else None, child)


def _spread(edits: Iterator[_Edit]) -> Iterator[_Edit]:
    """The kinds in turn, each from places far apart."""
    kinds: dict[str, list[_Edit]] = {}
    for edit in edits:
        kinds.setdefault(edit.kind, []).append(edit)
    for turn in zip_longest(*map(_far_apart, kinds.values())):
        yield from (edit for edit in turn if edit is not None)


def _far_apart(edits: list[_Edit]) -> list[_Edit]:
    """First, middle, quarters, eighths, …: any beginning of the list is spread over the whole."""
    bits = len(edits).bit_length()
    return [edits[n] for n in sorted(range(len(edits)), key=lambda n: f"{n:0{bits}b}"[::-1])]


# --- what to change ------------------------------------------------------------------------


def _edits(tree: ast.Module, texts: "_Texts") -> Iterator[_Edit]:
    for place in _places(tree):
        for kind, new in _replacements(place, texts):
            yield _Edit(kind, place, new)


def _replacements(place: _Place, texts: "_Texts") -> Iterator[tuple[str, ast.AST]]:
    """What a node may be exchanged for, with the kind of change."""
    node = place.node
    if isinstance(node, ast.cmpop):
        yield from (("comparison", new()) for new in _comparisons(place, node))
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and_or", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", node.operand
    elif isinstance(node, ast.Call):
        yield from _calls(place, node, texts)
    elif isinstance(node, ast.Attribute) and _is_folding_flag(node):
        yield "case", ast.Constant(0)
    if isinstance(node, ast.expr):
        yield from _numbers(place, node)


def _is_folding_flag(node: ast.Attribute) -> bool:
    return _name(node.value) == "re" and node.attr in _FOLDING_FLAGS


def _comparisons(place: _Place, node: ast.cmpop) -> Iterator[type[ast.cmpop]]:
    yield from _COMPARISONS[type(node)]
    compare = place.parent
    if isinstance(compare, ast.Compare) and place.index is not None:
        sides = [compare.left, *compare.comparators][place.index : place.index + 2]
        if any(_counts(side) for side in sides):
            yield from _OF_NUMBERS.get(type(node), ())


def _counts(node: ast.expr) -> bool:
    """Whether an expression is plainly a number."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else _name(node.func)
        return name in {"len", "sum", "count"}
    return _number(node) is not None


def _numbers(place: _Place, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """One more and one less."""
    value = _number(node)
    bound = isinstance(place.parent, ast.Slice) and place.field in {"lower", "upper"}
    if value is not None:
        index = isinstance(place.parent, ast.Subscript) and place.field == "slice"
        # A step of one more or less is no slip of the pen.
        if not isinstance(place.parent, ast.Slice) or bound:
            kind = "slice" if bound or index else "constant"
            yield from ((kind, _literal(value + step)) for step in (1, -1))
    elif bound:
        one = ast.Constant(1)
        yield "slice", ast.BinOp(node, ast.Add(), one)
        yield "slice", ast.BinOp(node, ast.Sub(), one)


def _number(node: ast.AST) -> int | float | None:
    """The value of a number that is written out, with its sign."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return None if isinstance(node.value, bool) else sign * node.value
    return None


def _literal(value: int | float) -> ast.expr:
    plain: ast.expr = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), plain) if math.copysign(1, value) < 0 else plain


def _calls(place: _Place, node: ast.Call, texts: "_Texts") -> Iterator[tuple[str, ast.expr]]:
    name, only = _name(node.func), _only_argument(node)
    if name in _QUANTIFIERS:
        yield "any_all", _call(_QUANTIFIERS[name], *node.args)
    folded = _receiver(node, *_FOLDING)
    if folded is not None and not node.args and not node.keywords:
        yield "case", folded
    words = _split_into_words(node)
    if words is not None and _name(getattr(place.parent, "func", None)) != "len":
        yield "words", _call("list", words)
    if only is not None and name == "len":
        words = _split_into_words(only)
        if words is not None:
            yield "words", _call("len", words)
        elif only in texts:
            yield "words", _call("len", _split(only))
    elif only is not None and name == "list" and only in texts:
        yield "words", _split(only)


def _split_into_words(node: ast.AST) -> ast.expr | None:
    """The text of `text.split()` or `text.split(" ")`."""
    text = _receiver(node, "split")
    if text is None or not isinstance(node, ast.Call) or node.keywords:
        return None
    blank = all(isinstance(arg, ast.Constant) and arg.value in (" ", None) for arg in node.args)
    return text if blank else None


def _receiver(node: ast.AST, *methods: str) -> ast.expr | None:
    """What a method is called on, if the node calls one of these."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.value if node.func.attr in methods else None
    return None


def _only_argument(node: ast.Call) -> ast.expr | None:
    if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
        return node.args[0]
    return None


def _name(node: Any) -> str:
    """The name that a node is, or an empty text."""
    return node.id if isinstance(node, ast.Name) else ""


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _split(text: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(text, "split", ast.Load()), [], [])


class _Texts:
    """Which expressions are plainly texts: to split others into words would only fail.

    Names are followed without regard to scopes and branches: a name is a text where all that is
    bound to it is one.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.names: set[str] = set()
        other: set[str] = set()
        for place in _places(tree):
            for name, is_text in self._bound(place.node):
                (self.names if is_text else other).add(name)
        self.names -= other

    def __contains__(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str)
        if isinstance(node, ast.Subscript):
            return isinstance(node.slice, ast.Slice) and node.value in self
        if isinstance(node, ast.Call):
            return _name(node.func) == "str" or _receiver(node, *_TEXT_METHODS) is not None
        return isinstance(node, ast.JoinedStr) or _name(node) in self.names

    def _bound(self, node: ast.AST) -> Iterator[tuple[str, bool]]:
        """Names that a node binds, and whether to a text."""
        if isinstance(node, ast.FunctionDef):
            for n, arg in enumerate([*node.args.posonlyargs, *node.args.args]):
                yield arg.arg, _name(arg.annotation) == "str" or (node.name == "evaluate" and n < 2)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from ((name, node.value in self) for name in _stored(target))
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
            is_text = node.value is not None and node.value in self
            yield from ((name, is_text) for name in _stored(node.target))
        elif isinstance(node, (ast.For, ast.comprehension)):
            yield from ((name, _parts(node.iter)) for name in _stored(node.target))


def _stored(target: ast.AST) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _parts(node: ast.expr) -> bool:
    """Whether an iteration gives texts of several words: lines, sentences, paragraphs."""
    split = _receiver(node, "split", "splitlines") is not None
    return split and _split_into_words(node) is None
