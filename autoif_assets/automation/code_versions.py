"""Code versions of assets: they change when what an asset makes would."""

import ast
import hashlib
import inspect
import json
from collections.abc import Sequence
from functools import cache
from types import ModuleType

from autoif_assets.method.prompts import PROMPTS
from autoif_assets.method.recipe import Recipe


def code_version(
    recipe: Recipe,
    *,
    prompts: Sequence[str] = (),
    rules: Sequence[ModuleType] = (),
    numbers: Sequence[str] = (),
) -> str:
    """Hash what an asset's rows depend on besides its inputs.

    Comments, docstrings and layout of the rules do not count.

    Args:
        recipe: The recipe that runs use unless they say otherwise.
        prompts: Roles whose templates and schemas it uses.
        rules: Modules of the method it uses.
        numbers: Fields of the recipe it reads.

    Returns:
        12 hex digits.
    """
    parts = [
        {role: [PROMPTS[role].source, PROMPTS[role].schema] for role in prompts},
        {module.__name__: _meaning(module) for module in rules},
        {name: getattr(recipe, name) for name in numbers},
    ]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


@cache
def _meaning(module: ModuleType) -> str:
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            del node.body[0]
    return ast.unparse(tree)
