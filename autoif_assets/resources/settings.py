"""Every setting: from the environment, a ``.env`` or ``autoif.yaml``, and what each one means.

The sections of the file are the resources' own fields, so that each is declared once. Keys and
headers are no settings: they are in the environment or the ``.env`` alone.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from dagster._utils.schedules import is_valid_cron_schedule
from dotenv import load_dotenv
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    create_model,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from autoif_assets.endpoint import EndpointSettings
from autoif_assets.inputs import PREFIX, InputError, read_prompts
from autoif_assets.method.recipe import (
    DEFAULT_RECIPE,
    RECIPES,
    Recipe,
    RecipeError,
    make_recipe,
    problem,
)
from autoif_assets.resources.budget import BudgetResource
from autoif_assets.resources.inputs import Inputs
from autoif_assets.resources.models import optional
from autoif_assets.resources.nli import LABELLERS, NLI
from autoif_assets.resources.trainer import Trainer
from autoif_assets.warehouse import STORAGES
from autoif_assets.warehouse.lake_connection import password_problem

FILE = "autoif.yaml"
Setting = tuple[str, ...]
"""The names of a setting's sections, and its own."""

# What a run is asked once, on the command line or in the Launchpad.
_OF_A_RUN = ("refresh", "ask_refused")


class SettingsError(ValueError):
    """A setting that a person wrote cannot be used; the message says where and what to do."""


def _section(name: str, fields: Mapping[str, Any], base: Any = None) -> Any:
    """Make a section of the file."""
    base = base or create_model("_Strict", __config__=ConfigDict(extra="forbid", frozen=True))
    made: Any = create_model(name, __base__=base, **fields)
    return made


def _of(source: type[BaseModel], but: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a resource, each as one that may be left out."""
    return {
        name: _left_out(field) for name, field in source.model_fields.items() if name not in but
    }


def _left_out(declared: FieldInfo) -> tuple[Any, Any]:
    kind, _ = optional(declared)
    # None tells that nothing is said; what that comes to is kept for people.
    meant = None if declared.default is PydanticUndefined else declared.default
    return kind, Field(
        default=None, description=declared.description, json_schema_extra={"default": meant}
    )


def _inner(section: Any, description: str) -> tuple[Any, Any]:
    return section, Field(default=section(), description=description)


_Endpoint = _section("_Endpoint", _of(EndpointSettings, _OF_A_RUN))
# Dagster takes no other default of a choice than the class's own, so the resource has a text.
_LABELLER = Literal[LABELLERS]  # type: ignore[valid-type]
_NLI = _section("_NLI", {"by": (_LABELLER | None, _left_out(NLI.model_fields["by"])[1])}, _Endpoint)
_Endpoints = _section(
    "_Endpoints",
    {
        "supervision": _inner(_Endpoint, "The model that writes and verifies."),
        "responder": _inner(_Endpoint, "Writes the responses; as supervision if left out."),
        "judge": _inner(_Endpoint, "Scores the responses; as supervision if left out."),
        "auditor": _inner(
            _Endpoint, "Judges texts on which verifiers differ; as supervision if left out."
        ),
        "nli": _inner(_NLI, "Labels the back-translations; as supervision if left out."),
        "policy": _inner(_Endpoint, "The model to be aligned; as supervision if left out."),
    },
)
ROLES = tuple(_Endpoints.model_fields)
"""Who is asked, the supervision model first; the others are as it where nothing is said of them."""
_Sections: Any = _section(
    "_Sections",
    {
        "endpoints": _inner(_Endpoints, "Whom to ask, by role."),
        "inputs": _inner(_section("_Inputs", _of(Inputs)), "Your files."),
        "budget": _inner(_section("_Budget", _of(BudgetResource)), "What one run may spend."),
        "trainer": _inner(_section("_Trainer", _of(Trainer)), "What trains the next policy."),
    },
    BaseSettings,
)


class Settings(_Sections):  # type: ignore[misc]
    """What a person has set; a section holds what is given, the rest is as the resource has it."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    recipe: str = Field(
        default=DEFAULT_RECIPE, description=f"The method's numbers: {' or '.join(RECIPES)}."
    )
    numbers: dict[str, Any] = Field(
        default={}, description="Numbers that replace the recipe's, by name."
    )
    prompts: str | None = Field(
        default=None,
        description="Folder of Jinja files that take the place of the packaged prompts, such as "
        "response.jinja; `autoif prompts` writes these.",
    )
    license: str | None = Field(
        default=None,
        description="Licence of the exported datasets, for their cards: a name of the Hugging Face "
        "hub such as apache-2.0, or words.",
    )
    languages: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,3}( *, *[a-z]{2,3})*$",
        description="Languages of the exported datasets, for their cards: codes such as de, en; "
        "left out: those that the recipes ask for.",
    )
    benchmarks: str | None = Field(
        default=None,
        description="Files of the prompts of evaluation benchmarks, read as the queries are, such "
        "as ifeval.jsonl:prompt; the cards of exports count the prompts that are like theirs.",
    )
    nightly_cron: str | None = Field(
        default=None, description="Cron text of the times at which a batch is added and made."
    )
    repair_cron: str | None = Field(
        default=None, description="Cron text of the times at which what batches lack is made."
    )
    repair_at_most: int = Field(default=4, ge=1, description="Most batches a repair has under way.")
    report_port: int = Field(
        default=3001,
        ge=1,
        le=65535,
        description="Where `autoif dev` serves the report to this machine.",
    )
    docs_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Where the site of `make docs` is served; assets in the UI link to it.",
    )
    data: str = Field(default="data", description="Folder of everything that is written.")
    storage: Literal[STORAGES] = Field(  # type: ignore[valid-type]
        default="local",
        description="Where the tables are: local, a file in the data folder, or "
        "lake, which many machines share (docs/lake.md).",
    )
    lake_catalog: str | None = Field(
        default=None,
        description="The lake's PostgreSQL database, as host=… dbname=… user=… or a URL, without "
        "the password: that is PGPASSWORD, in the environment or the .env.",
    )
    lake_data: str | None = Field(
        default=None,
        description="Where the lake's files are: s3://bucket/folder, with AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY and perhaps AWS_ENDPOINT_URL in the environment, or a folder that "
        "all machines have under this path.",
    )
    lake_cron: str = Field(
        default="30 3 * * *",
        description="Cron text of the times at which a lake is maintained, in UTC.",
    )
    lake_keep_days: float = Field(
        default=7.0, ge=0, description="Days of which maintenance keeps the lake's snapshots."
    )
    _sources: list["Source"] = PrivateAttr(default_factory=list)

    @field_validator("lake_catalog")
    @classmethod
    def _check_catalog(cls, text: str | None) -> str | None:
        if text and (problem := password_problem(text)):
            raise ValueError(problem)
        return text

    @field_validator("nightly_cron", "repair_cron", "lake_cron")
    @classmethod
    def _check_cron(cls, text: str | None) -> str | None:
        if text and not is_valid_cron_schedule(text):
            raise ValueError(f'{text!r} is no cron text; write "0 1 * * *" for one o\'clock')
        return text

    @classmethod
    def read(cls, said: list["Source"]) -> Self:
        """Return what some sources say, and remember which says what."""
        found = cls(said=said)
        found._sources = said
        return found

    def value(self, path: Setting) -> Any:
        """Return a setting; None where nothing is said of one of a section."""
        value: Any = self
        for name in path:
            value = getattr(value, name)
        return value

    def place(self, path: Setting) -> str | None:
        """Return where a setting is said, for people; None where it is the default."""
        return _place(self._sources, path)

    def variable(self, path: Setting) -> str | None:
        """Return the environment variable that says what a setting is, where one does."""
        return self._sources[0].variables.get(path)

    @cached_property
    def overrides(self) -> dict[str, Any]:
        """The numbers and the prompts that replace the recipe's.

        Raises:
            InputError: A file of the folder of prompts cannot be one.
        """
        given = {"prompts": read_prompts(self.prompts)} if self.prompts else {}
        return {**self.numbers, **given}

    def make_recipe(self) -> Recipe:
        """Return the recipe of runs whose configuration says nothing of it."""
        return make_recipe(self.recipe, self.overrides)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Any, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say whose word counts first: that of the first of the sources that `read` is given."""
        said: list[Source] = init_settings.init_kwargs.get("said", [])
        return tuple(InitSettingsSource(settings_cls, source.values) for source in said)


@dataclass
class Source:
    """What one place says of the settings.

    Attributes:
        values: Sections and settings, as the file nests them.
        places: Where each setting is said, for people.
        variables: The environment variable that says it, where one does.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Setting, str] = field(default_factory=dict)
    variables: dict[Setting, str] = field(default_factory=dict)


def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SettingsError: One of them cannot be used; the message says which and where it is.
    """
    # Once, so that what is told of a value is of the file it was read from.
    said = sources()
    try:
        found: Settings = Settings.read(said)
        found.make_recipe()
    except InputError as error:
        raise SettingsError(str(error)) from None
    except ValidationError as error:
        raise SettingsError(" ".join(_sentence(one, said) for one in error.errors()[:3])) from None
    except RecipeError as error:
        numbers = [("numbers", name) for name in error.names]
        places = [*numbers, ("numbers",)] if numbers else [("recipe",)]
        place = next(filter(None, map(found.place, places)), FILE)
        raise SettingsError(f"{place}: {error}") from None
    return found


def sources() -> list[Source]:
    """Return what the environment and the file say, the one that counts first.

    Raises:
        SettingsError: One of them cannot be read.
    """
    _load_secrets()
    # Ignored in silence, it would have people pay for batches of another recipe.
    if os.environ.get("AUTOIF_PROFILE"):
        raise SettingsError("AUTOIF_PROFILE is called AUTOIF_RECIPE now: rename the variable.")
    file = config_file()
    found = [_environment()]
    if file is not None:
        status = file.stat()
        found.append(_read_file(file, status.st_mtime_ns, status.st_size))
    return found


def _place(found: list[Source], path: Setting) -> str | None:
    return next((source.places[path] for source in found if path in source.places), None)


def default_of(path: Setting, declared: FieldInfo) -> Any:
    """Return what a setting is where nothing is said of it; None: nothing, or as supervision."""
    extra = declared.json_schema_extra
    if not isinstance(extra, dict):
        return declared.default
    of_role = path[0] == "endpoints" and path[1] != "supervision" and path[2] != "by"
    return None if of_role else extra["default"]


def config_file() -> Path | None:
    """Return the file of the settings, if there is one.

    Raises:
        SettingsError: AUTOIF_CONFIG names none.
    """
    if named := os.environ.get("AUTOIF_CONFIG"):
        path = Path(named).expanduser().absolute()
        if not path.exists() or path.is_dir():
            raise SettingsError(
                f"AUTOIF_CONFIG names {path}, which is no file. `autoif init {path}` writes one."
            )
        return path
    beside = Path(os.environ.get("AUTOIF_DATA") or "data").absolute().parent / FILE
    return beside if beside.is_file() else None


# Variables that a `.env` has set in this process, and its path.
FROM_FILE: dict[str, Path] = {}


def _load_secrets() -> None:
    """Put what a ``.env`` beside the file says into the environment, which counts more."""
    named = os.environ.get("AUTOIF_CONFIG") or os.environ.get("AUTOIF_DATA") or "data"
    path = Path(named).expanduser().absolute().parent / ".env"
    if path.is_file():
        before = set(os.environ)
        load_dotenv(path)
        FROM_FILE.update(dict.fromkeys(set(os.environ) - before, path))


def variables() -> dict[Setting, str]:
    """Return the environment variable of each setting that has one."""
    found: dict[Setting, str] = {
        ("data",): "AUTOIF_DATA",
        ("storage",): "AUTOIF_STORAGE",
        ("lake_catalog",): "AUTOIF_LAKE_CATALOG",
        ("lake_data",): "AUTOIF_LAKE_DATA",
        ("lake_cron",): "AUTOIF_LAKE_CRON",
        ("lake_keep_days",): "AUTOIF_LAKE_KEEP_DAYS",
        ("inputs", "seeds"): "AUTOIF_SEEDS",
        ("inputs", "queries"): "AUTOIF_QUERIES",
        ("inputs", "queries_column"): "AUTOIF_QUERIES_COLUMN",
        ("inputs", "labelled"): "AUTOIF_LABELLED",
        ("recipe",): "AUTOIF_RECIPE",
        ("numbers",): "AUTOIF_OVERRIDES",
        ("prompts",): "AUTOIF_PROMPTS",
        ("trainer", "command"): "AUTOIF_TRAINER",
        ("trainer", "base_url"): "AUTOIF_TRAINED_BASE_URL",
        ("license",): "AUTOIF_LICENSE",
        ("languages",): "AUTOIF_LANGUAGES",
        ("benchmarks",): "AUTOIF_BENCHMARKS",
        ("nightly_cron",): "AUTOIF_NIGHTLY_CRON",
        ("repair_cron",): "AUTOIF_REPAIR_CRON",
        ("repair_at_most",): "AUTOIF_REPAIR_AT_MOST",
        ("report_port",): "AUTOIF_REPORT_PORT",
        ("docs_url",): "AUTOIF_DOCS_URL",
        ("endpoints", "nli", "by"): "AUTOIF_NLI",
    }
    found |= {("budget", name): f"AUTOIF_{name.upper()}" for name in BudgetResource.model_fields}
    for role in ROLES:
        prefix = "AUTOIF" if role == "supervision" else f"AUTOIF_{role.upper()}"
        for name in _Endpoint.model_fields:
            if variable := EndpointSettings.variable(name, prefix):
                found["endpoints", role, name] = variable
    return found


# Texts in the environment that are JSON, and what to write.
_JSON = {
    "numbers": ("numbers by name", '{"responses_per_prompt": 4}'),
    "extra_body": ("fields", '{"chat_template_kwargs": {"enable_thinking": false}}'),
}


# Variables that are no settings of a run.
_BESIDE = ("AUTOIF_CONFIG", "AUTOIF_VLLM", "AUTOIF_LOCAL_MODEL", "AUTOIF_LLAMAFACTORY")
# These are named as people like, such as the key of a policy.
_FREE = ("_KEY", "_HEADERS", "_SECRET")
_NEAR = 0.85


def _check_names(known: Collection[str]) -> None:
    """Refuse what is nearly the name of a variable: ignored, the run would be another one.

    Raises:
        SettingsError: There is such a name.
    """
    known = {*known, *_BESIDE}
    for name in sorted(os.environ):
        if not name.startswith("AUTOIF_") or name in known or name.endswith(_FREE):
            continue
        ends = {one.removeprefix("AUTOIF_"): one for one in known}
        for near in get_close_matches(name.removeprefix("AUTOIF_"), ends, n=1, cutoff=_NEAR):
            file = FROM_FILE.get(name)
            where = f"{file}: " if file else ""
            raise SettingsError(
                f"{where}there is no setting {name}; did you mean {ends[near]}? Rename or unset "
                "the variable."
            )


def _environment() -> Source:
    source = Source()
    known = variables()
    _check_names(known.values())
    for path, variable in known.items():
        text = os.environ.get(variable)
        if not text:
            continue
        value: Any = text
        if path[-1] in _JSON:
            value = _json_object(variable, text, *_JSON[path[-1]])
        elif path[-1].endswith("_variable"):
            # The name of the variable only: the key itself is in no configuration.
            value = variable
        _put(source.values, path, value)
        source.variables[path] = variable
        file = FROM_FILE.get(variable)
        source.places[path] = f"{variable} in {file}" if file else variable
    return source


def _json_object(variable: str, text: str, what: str, example: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SettingsError(
            f"{variable} is {text!r}; write a JSON object of {what}, such as {example}."
        )
    return value


@lru_cache(maxsize=8)
def _read_file(file: Path, *_: int) -> Source:
    """Read a file; the further arguments tell its versions apart."""
    source = Source()
    try:
        text = file.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text ({error.reason}).") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read ({error.strerror}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{file}{line}: {getattr(error, 'problem', error)}.") from None
    if values is None:
        return source
    if not isinstance(values, dict):
        raise SettingsError(f"{file}: write `name: value` lines; `autoif init` writes an example.")
    try:
        source.places.update(_places(node, file, ()))
        source.values.update(_without_nothing(values))
    except RecursionError:
        raise SettingsError(f"{file} holds something that is part of itself.") from None
    _resolve(source.values, file.parent)
    return source


def _places(node: Any, file: Path, path: Setting) -> Iterator[tuple[Setting, str]]:
    """Yield the line of every name; refuse a name that is said twice, of which YAML takes one."""
    seen: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            raise SettingsError(f"{file}, line {line}: {name} is in line {seen[name]} already.")
        seen[name] = line
        if not value.tag.endswith(":null"):
            yield (*path, name), f"{file}, line {line}"
        if isinstance(value, yaml.MappingNode):
            yield from _places(value, file, (*path, name))


def _without_nothing(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Leave out what has no value, such as a section whose lines are all comments."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and name not in _JSON:
            kept[str(name)] = _without_nothing(value)
        elif value is not None:
            kept[str(name)] = value
    return kept


def _resolve(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of a file absolute: they are seen from its folder, wherever a run starts."""
    for name in ("data", "prompts"):
        if isinstance(path := values.get(name), str):
            values[name] = str(folder / Path(path).expanduser())
    inputs = values.get("inputs")
    files = [(values, "benchmarks"), *((inputs, of) for of in ("seeds", "queries", "labelled"))]
    for section, name in files:
        if isinstance(section, dict) and isinstance(spec := section.get(name), str):
            parts = (part.strip() for part in spec.split(","))
            section[name] = ",".join(
                part if part.startswith(PREFIX) else str(folder / Path(part).expanduser())
                for part in parts
            )


def _put(values: dict[str, Any], path: Setting, value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _sentence(error: Mapping[str, Any], said: list[Source]) -> str:
    """Say what is wrong with a setting, where it is said, and what may be written."""
    path = tuple(str(part) for part in error["loc"])
    places = (_place(said, path[:n]) for n in range(len(path), 0, -1))
    place = next(filter(None, places), FILE)
    if place.startswith("AUTOIF"):
        return f"{problem({**error, 'loc': (place,)}, ())}."
    siblings = [one[len(path) - 1] for one, _ in leaves() if one[: len(path) - 1] == path[:-1]]
    section = f" in {'.'.join(path[:-1])}" if path[:-1] else ""
    return f"{place}: {problem(error, siblings)}{section}."


def leaves(
    section: type[BaseModel] = Settings, path: Setting = ()
) -> Iterator[tuple[Setting, FieldInfo]]:
    """Yield the path and the declaration of every setting, in the order of the file."""
    for name, declared in section.model_fields.items():
        inner = declared.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name), declared
