"""Prompt templates: one Jinja file a role, in the roles of the paper's appendix E.

Every template is one user message. Its constant text comes first and its variables last, so a
server with a prefix cache computes the constant part once. Templates hold plain ``{{ name }}``
variables only (no loops or conditions), so that a prompt can be read back into its variables.
A person may replace any of them by one of their own, which may hold all that Jinja knows.
"""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from typing import Any

import polars as pl
from jinja2 import Environment, StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

_ENVIRONMENT = Environment(undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False)


# What may be empty, so that a template need not name it.
_OPTIONAL = ("modules", "language", "wanted")
# What templates are filled with on trial.
_SAMPLE = "Say: one, two. And a second sentence.\nA second line."
_SAMPLES = {"count": 2}


class PromptError(ValueError):
    """A template cannot be used in the place of a packaged one.

    Attributes:
        line: Of the template, if it is one line's fault.
    """

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Prompt:
    """One role's template and, where its answer is structured, the JSON schema of the answer.

    Attributes:
        role: The template's file name without its suffix.
        variables: Names the template needs.
        schema: JSON schema sent as ``response_format``, or None for free text.
        text: A template in the place of the packaged one.
    """

    role: str
    variables: tuple[str, ...]
    schema: Mapping[str, Any] | None = None
    text: str | None = None

    def of(self, replaced: Mapping[str, str]) -> "Prompt":
        """Return the prompt with the template that is given for its role, if one is."""
        text = replaced.get(self.role)
        return self if text is None else replace(self, text=text)

    @cached_property
    def source(self) -> str:
        """The template's text."""
        if self.text is not None:
            return self.text
        return files(__package__).joinpath(f"{self.role}.jinja").read_text("utf-8").strip()

    def render(self, **variables: str | int) -> str:
        """Fill the template; what it need not name is empty where it is not given.

        Raises:
            jinja2.UndefinedError: A variable of the template is not given.
        """
        return self._template.render({**dict.fromkeys(_OPTIONAL, ""), **variables})

    def render_rows(self, frame: pl.DataFrame, **same: str) -> pl.Series:
        """Fill the template once a row, from the columns named like its variables.

        Args:
            frame: The rows.
            **same: Variables that are the same for all rows.
        """
        columns = [name for name in self.variables if name not in same]
        rows = frame.select(columns).iter_rows(named=True)
        return pl.Series("prompt", [self.render(**row, **same) for row in rows], dtype=pl.String)

    def check(self) -> None:
        """See that the template can be filled.

        Raises:
            PromptError: It is no Jinja, names a variable that the role does not have, leaves one
                out that tells the rows apart, or fails when it is filled with some text.
        """
        try:
            tree = _ENVIRONMENT.parse(self.source)
            named = find_undeclared_variables(tree)
        except TemplateSyntaxError as error:
            said = (error.message or "").rstrip(".")
            raise PromptError(f"this is no Jinja template: {said}", error.lineno) from None
        variables = ", ".join(self.variables)
        for node in tree.find_all(nodes.Name):
            if node.name in named - {*self.variables}:
                raise PromptError(
                    f"there is no variable {node.name}; {self.role} has {variables}", node.lineno
                )
        if missing := [v for v in self.variables if v not in named and v not in _OPTIONAL]:
            raise PromptError(f"the template must name {{{{ {' }} and {{ '.join(missing)} }}}}")
        for other in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
            raise PromptError("a prompt is one file and takes in no other", other.lineno)
        try:
            self.render(**{name: _SAMPLES.get(name, _SAMPLE) for name in self.variables})
        # A template may compute whatever it likes, and fail in as many ways.
        except Exception as error:
            lines = [
                at.lineno
                for at in traceback.extract_tb(error.__traceback__)
                if at.filename == "<template>"
            ]
            said = f"{type(error).__name__}: {error}".rstrip(".")
            raise PromptError(
                f"it cannot be filled: {said}", lines[-1] if lines else None
            ) from None

    @cached_property
    def _template(self) -> Template:
        return _ENVIRONMENT.from_string(self.source)


def in_language(language: str | None, sentence: str) -> str:
    """Return what a template adds to ask for a language; nothing where none is asked for.

    Args:
        language: Its name, such as ``German``.
        sentence: How to ask for it, with ``{}`` in the place of the name.
    """
    return "" if language is None else f" {sentence.format(language)}"


SELF_INSTRUCT = Prompt("self_instruct", ("count", "examples", "language", "wanted"))


# No maxLength or pattern on the strings: vLLM's grammar backend then forbids escapes, and with
# them every newline of a function.
_TEXT = {"type": "string"}


def _verifier_schema(**asked: object) -> dict[str, Any]:
    """Return the schema of a function and its cases, each with what else it is asked for."""
    return _object({"func": _TEXT, "cases": _cases(3, **asked)})


def _cases(count: int, **asked: object) -> dict[str, Any]:
    """Return the schema of so many cases, each with what else it is asked for."""
    case = _object({**asked, "input": _TEXT, "output": {"type": "boolean"}})
    return {"type": "array", "minItems": count, "maxItems": count, "items": case}


def _object(properties: Mapping[str, object]) -> dict[str, Any]:
    """Return the schema of an object that has these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def choosing(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Return the schema of an object whose one property is one of some texts."""
    return _object({name: {"type": "string", "enum": list(values)}})


# Which categories there are is told by the seeds: a run sends a schema that lists them.
CATEGORY = Prompt("category", ("categories", "instruction"), _object({"category": _TEXT}))

VERIFIER = Prompt("verifier", ("instruction", "modules"), _verifier_schema())

VERIFIER_WITH_QUERY = Prompt(
    "verifier_with_query",
    ("instruction", "modules"),
    # Strict schemas know no optional property.
    _verifier_schema(query={"type": ["string", "null"]}),
)

BOUNDARY_CASES = Prompt("boundary_cases", ("instruction",), _object({"cases": _cases(6)}))

REPAIR = Prompt(
    "repair", ("instruction", "source", "problems", "modules"), _object({"func": _TEXT})
)

# Bare: models that explain themselves first misjudge correct code more often (arXiv 2508.12358,
# 2603.00539).
AUDIT = Prompt(
    "audit",
    ("instruction", "response"),
    choosing("obeys", ["yes", "no"]),
)

BACK_TRANSLATION = Prompt("back_translation", ("source",))

NLI = Prompt(
    "nli",
    ("premise", "hypothesis"),
    choosing("label", ["entailment", "neutral", "contradiction"]),
)

RESPONSE = Prompt("response", ("instruction", "query", "language"))

NEAR_MISS = Prompt("near_miss", ("instruction", "query", "language"))

SCORE = Prompt(
    "score",
    ("instruction", "query", "response"),
    _object(
        {
            "reason": {"type": "string"},
            # A yes or no between the reason and the number: small models that reason well still
            # write 8 for everything without it.
            "answers": {"type": "boolean"},
            "score": {"type": "integer", "minimum": 0, "maximum": 10},
        }
    ),
)

PROMPTS = {
    prompt.role: prompt
    for prompt in (
        *(SELF_INSTRUCT, CATEGORY, VERIFIER, VERIFIER_WITH_QUERY, BOUNDARY_CASES, REPAIR, AUDIT),
        *(BACK_TRANSLATION, NLI, RESPONSE, NEAR_MISS, SCORE),
    )
}
