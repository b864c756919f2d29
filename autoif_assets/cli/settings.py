"""`autoif init` and `autoif settings`: the settings as a file, and as they are."""

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoif_assets.cli.output import say

if TYPE_CHECKING:
    from autoif_assets.resources.settings import Setting

_INTRODUCTION = """\
autoif reads this file where it lies beside the data folder, or where AUTOIF_CONFIG names it. What
the command line or the environment says counts more. Take the # off what you set; `autoif settings`
shows what counts. Keys are in no file like this one: put AUTOIF_API_KEY into the environment or
into a file .env beside this one. Paths are seen from the folder of this file."""
# Written without a # in front: what everybody has to say.
_SAID = (("endpoints", "supervision", "base_url"), ("endpoints", "supervision", "model"))
# Neither in the file nor with a value that may be shown.
SECRET = {
    "AUTOIF_API_KEY": "Key of the endpoint; AUTOIF_<ROLE>_API_KEY for a role.",
    "AUTOIF_EXTRA_HEADERS": "JSON object of further headers; AUTOIF_<ROLE>_EXTRA_HEADERS.",
}
OF_THE_MACHINE = {
    "AUTOIF_CONFIG": "File of the settings; autoif.yaml beside the data folder if there is one.",
    "AUTOIF_VLLM": "The `vllm` command of `autoif serve`; beside Python or on the PATH.",
    "AUTOIF_LOCAL_MODEL": "Model of `autoif demo-llm`: a known name or a GGUF file.",
}


@click.command()
@click.argument("path", default="autoif.yaml", type=click.Path(path_type=Path, dir_okay=False))
def init(path: Path) -> None:
    """Write a file of settings with every one explained, to be edited. Overwrites none."""
    text = example()
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.ClickException(f"{path} is there already; name another file.") from None
    except OSError as error:
        raise click.ClickException(f"Cannot write {path} ({error.strerror}).") from None
    say(
        f"{path} is written. Say in it where your model is, put its key into AUTOIF_API_KEY or a "
        "file .env beside it, and look whether it can be used: autoif doctor."
    )


@click.command()
@click.argument("folder", default="prompts", type=click.Path(path_type=Path, file_okay=False))
def prompts(folder: Path) -> None:
    """Write the packaged prompts into FOLDER, to be edited. Overwrites none.

    AUTOIF_PROMPTS, or `prompts:` in autoif.yaml, names the folder. What is not in it is as
    packaged; a batch keeps the prompts of its first run.
    """
    from autoif_assets.inputs import write_prompts

    try:
        written = write_prompts(folder)
    except OSError as error:
        raise click.ClickException(f"Cannot write to {folder} ({error.strerror}).") from None
    say(
        f"{len(written)} of the packaged prompts are written to {folder}. Keep those that you "
        f"change and use them: AUTOIF_PROMPTS={folder}"
    )


def example() -> str:
    """Return a commented file that sets nothing but what is the default."""
    from autoif_assets.method.recipe import NUMBERS, make_recipe
    from autoif_assets.resources.settings import Settings, default_of, leaves

    recipe = make_recipe()
    lines = _comment(_INTRODUCTION.replace("\n", " "))
    section: Setting = ()
    for path, declared in leaves():
        role = path[1] if path[0] == "endpoints" else ""
        above, section = section, path[:-1]
        if above != section:
            lines += _headings(Settings, above, section)
        if role not in ("", "supervision") and path[-1] != "by":
            continue
        indent = "  " * len(section)
        lines += _comment(declared.description or "", indent)
        lines += _line(path, default_of(path, declared), indent)
        if path == ("numbers",):
            for name in NUMBERS:
                lines += _comment(type(recipe).model_fields[name].description or "", "  ")
                lines += _line((*path, name), getattr(recipe, name), "  ")
    return "\n".join(lines).strip() + "\n"


def _headings(model: Any, above: "Setting", section: "Setting") -> list[str]:
    lines: list[str] = []
    for depth, name in enumerate(section):
        declared = model.model_fields[name]
        model = declared.annotation
        if section[: depth + 1] == above[: depth + 1]:
            continue
        indent = "  " * depth
        lines += ["", *_comment(declared.description or "", indent), f"{indent}{name}:"]
    return lines or [""]


def _line(path: "Setting", default: Any, indent: str) -> list[str]:
    import yaml

    if path == ("numbers",):
        return ["numbers:"]
    value = yaml.safe_dump(default, default_flow_style=True, width=1000).removesuffix("...\n")
    sign = "" if path in _SAID else "# "
    return [f"{indent}{sign}{path[-1]}: {value.strip()}"]


def _comment(text: str, indent: str = "") -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(text, 100, initial_indent=start, subsequent_indent=start)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--changed", is_flag=True, help="Only those that somebody has set.")
def settings(names: tuple[str, ...], changed: bool) -> None:
    """Print every setting: its value, where that is said, and what it means.

    NAME is a setting or a section, such as endpoints.judge; all without one.
    """
    from autoif_assets.resources.settings import config_file

    shown = [
        one
        for one in _all()
        if (not changed or one[2] != "default")
        and (not names or any(f"{one[0]}.".startswith(f"{name}.") for name in names))
    ]
    if not shown and names and not changed:
        raise click.ClickException(f"There is no setting {' or '.join(names)}.")
    file = config_file()
    say(f"File: {file or 'none (autoif init writes one)'}\n")
    for name, value, place, description in shown:
        say(f"{name} = {value}  ({place})")
        say(textwrap.indent(textwrap.fill(description, 96), "    "))


def _all() -> list[tuple[str, str, str, str]]:
    """Return name, value, place and description of every setting."""
    import json

    from autoif_assets.endpoint.settings import public
    from autoif_assets.method.recipe import NUMBERS, Recipe
    from autoif_assets.resources.settings import FROM_FILE, default_of, leaves
    from autoif_assets.resources.settings import settings as read

    found = read()
    recipe = found.make_recipe()
    rows = []
    for path, declared in leaves():
        place, description = found.place(path), declared.description or ""
        if path == ("numbers",):
            for name in NUMBERS:
                number = Recipe.model_fields[name]
                said = found.place((*path, name)) or place if name in found.numbers else None
                shown = json.dumps(getattr(recipe, name))
                where = said or f"recipe {found.recipe}"
                default = shown == json.dumps(number.default) and said is None
                about = number.description or ""
                rows.append((f"numbers.{name}", shown, "default" if default else where, about))
            continue
        value = found.value(path) if place else default_of(path, declared)
        # What follows the question mark of a URL may be a key.
        if path[-1] == "base_url" and isinstance(value, str):
            value = public(value)
        shown = "not set" if value is None else json.dumps(value, ensure_ascii=False)
        if value is None and path[0] == "endpoints" and path[1] != "supervision":
            shown = "as supervision"
        rows.append((".".join(path), shown, place or "default", description))
    for variable, description in {**SECRET, **OF_THE_MACHINE}.items():
        value = os.environ.get(variable)
        shown = "not set" if not value else "set" if variable in SECRET else value
        where = str(FROM_FILE.get(variable, "environment")) if value else "default"
        rows.append((variable, shown, where, description))
    return rows
