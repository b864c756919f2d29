"""Print the settings' reference: ``python -m autoif_assets.cli.reference > docs/settings.md``."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic.fields import FieldInfo

from autoif_assets.cli.settings import OF_THE_MACHINE, SECRET
from autoif_assets.method.recipe import NUMBERS, RECIPES, Recipe
from autoif_assets.resources import SandboxResource
from autoif_assets.resources.settings import Setting, Settings, default_of, leaves, variables

_HEAD = """\
# Settings and numbers

This page is made from the declarations: `python -m autoif_assets.cli.reference > docs/settings.md`.

A setting is said on the command line, in the environment, in a file `.env` beside the file of the
settings, or in `autoif.yaml`; what comes first in this list counts more. `autoif init` writes the
file with every setting explained, and `autoif settings` prints what is set and where it is said.
The file is read where it lies beside the data folder, or where `AUTOIF_CONFIG` names it. Paths in
it are seen from its folder."""
_ENDPOINTS = """\
The settings of an endpoint, here with the variables of supervision, the model that writes and
verifies. Each role may have its own under `endpoints.ROLE`, with variables `AUTOIF_ROLE_…` such as
`AUTOIF_JUDGE_MODEL`; what is left out is as for supervision. Another host is never sent
supervision's key and headers."""
_SECRETS = """\
Keys and headers are in the environment or the `.env` only, and the others say something of the
machine; none of them is in `autoif.yaml`."""
_NUMBERS = """\
What `numbers:` in `autoif.yaml`, `AUTOIF_OVERRIDES` (JSON), `autoif run --set NAME=VALUE` and the
Launchpad's `resources: recipe: config: overrides` replace, for new batches. `paper` keeps to the
paper, whose sections are in square brackets; of `authors_code` and `audited` the table has what
differs from it. A bound is a sign and a number, such as `> 0.5`. Which recipe to take, and what the
numbers are good for, is told in [Recipes](recipes.md)."""
_SANDBOX = """\
In the Launchpad under `resources: sandbox: config`, and no variables: they say how this machine
runs verifiers, and belong to no batch. [The sandbox](sandbox.md) says what it is."""


def reference() -> str:
    """Return Markdown: every setting, role, variable, number and limit with its default."""
    known = variables()
    parts = [_HEAD]
    for section, found in _sections().items():
        if section == ("endpoints", "supervision"):
            parts += ["## Endpoints", _ENDPOINTS, _settings(found, known), _roles()]
        elif section[:1] == ("endpoints",):
            # What a role has and supervision has not.
            own = [one for one in found if one[0][-1] == "by"]
            parts += [f"## Who is `{section[-1]}`", _settings(own, known)] if own else []
        elif section:
            about = Settings.model_fields[section[0]].description or ""
            parts += [f"## `{section[0]}`", about, _settings(found, known)]
        else:
            parts += ["## At the top of the file", _settings(found, known)]
    parts += ["## Variables alone", _SECRETS, _variables()]
    parts += ["## Numbers of the recipe", _NUMBERS, _recipe()]
    parts += ["## Limits of the sandbox", _SANDBOX, _fields(SandboxResource.model_fields.items())]
    return "\n\n".join(parts) + "\n"


def _sections() -> dict[Setting, list[tuple[Setting, FieldInfo]]]:
    """Return the settings of each section, in the order of the file, those at the top first."""
    found: dict[Setting, list[tuple[Setting, FieldInfo]]] = {(): []}
    for path, declared in leaves():
        found.setdefault(path[:-1], []).append((path, declared))
    return found


def _settings(found: Iterable[tuple[Setting, FieldInfo]], known: dict[Setting, str]) -> str:
    rows = ["| setting | variable | default | meaning |", "|---|---|---|---|"]
    for path, declared in found:
        variable = f"`{known[path]}`" if path in known else ""
        default = _shown(default_of(path, declared))
        cells = [f"`{'.'.join(path)}`", variable, default, _text(declared)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _roles() -> str:
    roles = Settings.model_fields["endpoints"].annotation
    rows = ["| role | what it does |", "|---|---|"]
    assert roles is not None
    rows += [f"| `{name}` | {_text(declared)} |" for name, declared in roles.model_fields.items()]
    return "\n".join(rows)


def _variables() -> str:
    rows = ["| variable | meaning |", "|---|---|"]
    rows += [f"| `{name}` | {_cell(about)} |" for name, about in (SECRET | OF_THE_MACHINE).items()]
    return "\n".join(rows)


def _recipe() -> str:
    others = [name for name in RECIPES if name != "paper"]
    rows = [f"| number | `paper` | {' | '.join(f'`{name}`' for name in others)} | meaning |"]
    rows.append("|---|---|" + "---|" * len(others) + "---|")
    paper = RECIPES["paper"]
    for name in NUMBERS:
        told = getattr(paper, name)
        values = [getattr(RECIPES[other], name) for other in others]
        cells = [_shown(told), *("" if value == told else _shown(value) for value in values)]
        rows.append(f"| `{name}` | {' | '.join(cells)} | {_text(Recipe.model_fields[name])} |")
    return "\n".join(rows)


def _fields(fields: Iterable[tuple[str, FieldInfo]]) -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, declared in fields:
        default = declared.get_default(call_default_factory=True)
        rows.append(f"| `{name}` | {_shown(default)} | {_text(declared)} |")
    return "\n".join(rows)


def _text(declared: FieldInfo) -> str:
    return _cell(declared.description or "")


def _cell(text: str) -> str:
    """Return a text that leaves a cell whole, and in which nothing is taken for HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"`{json.dumps(value, ensure_ascii=False)}`" if value != "" else ""


if __name__ == "__main__":
    print(reference(), end="")
