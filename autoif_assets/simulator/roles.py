"""Recognising the role and the variables of a prompt from the templates themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from autoif_assets.method.prompts import PROMPTS, Prompt

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Reading:
    """A prompt's role, ``unknown`` where no template fits, and its variables."""

    role: str
    variables: Mapping[str, str]


def template_pattern(prompt: Prompt) -> re.Pattern[str]:
    """Return the expression that matches what a template renders to, with its variables named."""
    pieces, seen, position = [], set(), 0
    for match in _VARIABLE.finditer(prompt.source):
        pieces.append(re.escape(prompt.source[position : match.start()]))
        name = match[1]
        pieces.append(rf"(?P={name})" if name in seen else rf"(?P<{name}>.*?)")
        seen.add(name)
        position = match.end()
    pieces.append(re.escape(prompt.source[position:]))
    return re.compile(r"\s*" + "".join(pieces) + r"\s*", re.DOTALL)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((role, template_pattern(prompt)) for role, prompt in PROMPTS.items())


def recognise(prompt: str) -> Reading:
    """Return the role and variables of a prompt; any text is accepted."""
    for role, pattern in _patterns():
        match = pattern.fullmatch(prompt)
        if match is not None:
            return Reading(role, match.groupdict())
    return Reading("unknown", {"prompt": prompt})
