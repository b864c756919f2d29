"""Prompt templates: one Jinja file a role, in the roles of the paper's appendix E.

Every template is one user message. Its constant text comes first and its variables last, so a
server with a prefix cache computes the constant part once. Templates hold plain ``{{ name }}``
variables only (no loops or conditions), so that a prompt can be read back into its variables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import polars as pl
from jinja2 import Environment, StrictUndefined, Template

_ENVIRONMENT = Environment(undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False)


@dataclass(frozen=True)
class Prompt:
    """One role's template and, where its answer is structured, the JSON schema of the answer.

    Attributes:
        role: The template's file name without its suffix.
        variables: Names the template needs.
        schema: JSON schema sent as ``response_format``, or None for free text.
    """

    role: str
    variables: tuple[str, ...]
    schema: Mapping[str, Any] | None = None

    @cached_property
    def source(self) -> str:
        """The template's text."""
        return files(__package__).joinpath(f"{self.role}.jinja").read_text("utf-8").strip()

    def render(self, **variables: str | int) -> str:
        """Fill the template.

        Raises:
            jinja2.UndefinedError: A variable of the template is not given.
        """
        return self._template.render(**variables)

    def render_rows(self, frame: pl.DataFrame) -> pl.Series:
        """Fill the template once a row, from the columns named like its variables."""
        rows = frame.select(self.variables).iter_rows(named=True)
        return pl.Series("prompt", [self.render(**row) for row in rows], dtype=pl.String)

    @cached_property
    def _template(self) -> Template:
        return _ENVIRONMENT.from_string(self.source)


SELF_INSTRUCT = Prompt("self_instruct", ("count", "examples"))


def _verifier_schema(**asked: object) -> dict[str, Any]:
    """Return the schema of a function and its cases, each with what else it is asked for."""
    # No maxLength or pattern on the strings: vLLM's grammar backend then forbids escapes, and
    # with them every newline of the function.
    case = {**asked, "input": {"type": "string"}, "output": {"type": "boolean"}}
    cases = {
        "type": "array",
        "minItems": 3,
        "maxItems": 3,
        "items": _object(case),
    }
    return _object({"func": {"type": "string"}, "cases": cases})


def _object(properties: Mapping[str, object]) -> dict[str, Any]:
    """Return the schema of an object that has these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


VERIFIER = Prompt("verifier", ("instruction", "modules"), _verifier_schema())

VERIFIER_WITH_QUERY = Prompt(
    "verifier_with_query",
    ("instruction", "modules"),
    # Strict schemas know no optional property.
    _verifier_schema(query={"type": ["string", "null"]}),
)

BACK_TRANSLATION = Prompt("back_translation", ("source",))

NLI = Prompt(
    "nli",
    ("premise", "hypothesis"),
    _object({"label": {"type": "string", "enum": ["entailment", "neutral", "contradiction"]}}),
)

RESPONSE = Prompt("response", ("instruction", "query"))

NEAR_MISS = Prompt("near_miss", ("instruction", "query"))

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
        *(SELF_INSTRUCT, VERIFIER, VERIFIER_WITH_QUERY, BACK_TRANSLATION, NLI),
        *(RESPONSE, NEAR_MISS, SCORE),
    )
}
