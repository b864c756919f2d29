"""The variants: the packaged prompts in parts, and what each variant does with a part.

A variant differs from the packaged prompt in one thing, so that the difference it makes is that
thing's. One of the variants is the packaged prompt itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from typing import Any

from autoif_assets.method.prompts import SCORE, VERIFIER, Prompt


@dataclass(frozen=True)
class Variant:
    """One way to ask.

    Attributes:
        name: In the table.
        prompt: The packaged prompt with the template in parts in its place.
        parts: What the template is told of its parts.
        order: Of the answer's properties, which models write as the schema has them.
        corrects: Whether an answer that cannot be used is sent back with what went wrong.
    """

    name: str
    prompt: Prompt
    parts: Mapping[str, str | int]
    order: tuple[str, ...]
    corrects: bool = False

    def render(self, **variables: str) -> str:
        """Return the prompt for one row."""
        return self.prompt.render(**self.parts, **variables)

    @cached_property
    def template(self) -> str:
        """The variant as a template of the packaged form."""
        return self.render(**{name: f"{{{{ {name} }}}}" for name in self.prompt.variables})

    @property
    def is_packaged(self) -> bool:
        """Whether this is how the package asks."""
        return self.template == replace(self.prompt, text=None).source and not self.corrects

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of its answers: what of the packaged one's properties it asks for."""
        schema = dict(self.prompt.schema or {})
        properties = {name: schema["properties"][name] for name in self.order}
        return schema | {"properties": properties, "required": list(properties)}


def packaged(variants: Sequence[Variant]) -> Variant:
    """Return the variant that the others are compared with."""
    return next(variant for variant in variants if variant.is_packaged)


def _in_parts(prompt: Prompt, file: str) -> Prompt:
    return replace(prompt, text=files(__package__).joinpath(file).read_text("utf-8").strip())


def _verifier(
    name: str, *, examples: int = 2, persona: bool = False, cases_first: bool = False, **more: bool
) -> Variant:
    parts = {"examples": examples, "persona": persona, "cases_first": cases_first}
    order = ("cases", "func") if cases_first else ("func", "cases")
    return Variant(name, _in_parts(VERIFIER, "verifier.jinja"), parts, order, **more)


def _judge(
    name: str, *, score: str = "last", persona: bool = False, criteria: bool = False
) -> Variant:
    parts = {"score_stands": score, "persona": persona, "criteria": criteria}
    orders = {
        "last": ("reason", "answers", "score"),
        "first": ("answers", "score", "reason"),
        "alone": ("score",),
    }
    return Variant(name, _in_parts(SCORE, "judge.jinja"), parts, orders[score])


VERIFIERS = (
    _verifier("no example", examples=0),
    _verifier("one example", examples=1),
    _verifier("two examples"),
    _verifier("a persona", persona=True),
    _verifier("cases first", cases_first=True),
    _verifier("corrected", corrects=True),
)

JUDGES = (
    _judge("answer last"),
    _judge("answer first", score="first"),
    _judge("score alone", score="alone"),
    _judge("a persona", persona=True),
    _judge("with criteria", criteria=True),
)
