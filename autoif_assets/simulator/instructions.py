"""Writing a constraint as an instruction, and reading instructions back, of other authors too."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from random import Random

from autoif_assets.simulator.constraints import NUMBER_WORDS, Constraint, Family
from autoif_assets.simulator.families import FAMILIES, family_of

_PLACE = re.compile(r"\{(\w+)\}")

_QUOTED = re.compile(r'"([^"]+)"|(?<![\w«])\'([^\']+)\'(?!\w)|`([^`]+)`')
_CURLY = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "„": '"', "«": '"', "»": '"'})
_NUMBERS = {word: str(number) for number, word in enumerate(NUMBER_WORDS) if number}
_NUMBERS |= {"thirty": "30", "forty": "40", "fifty": "50", "hundred": "100"}
_ORDINALS = {"second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th"}

_TEXT = r"(?:answer|response|reply|text|output|message)"
# What means the same is made the same before a family's patterns are tried, in this order.
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\d)[,;](?=\s|$)", ""),
        (r"[,;()!?]", " "),
        (r":(?=\s|$)", " "),
        (r"\.(?=\s*$)", " "),
        (r"-", " "),
        (r"\b(" + "|".join({**_NUMBERS}) + r")\b", lambda m: _NUMBERS[m[1]]),
        (r"\b(" + "|".join(_ORDINALS) + r")\b", lambda m: _ORDINALS[m[1]]),
        (r"\bonce\b(?! more)", "1 times"),
        (r"\btwice\b", "2 times"),
        (r"\b1 time\b", "1 times"),
        (r"\b1 or more\b|\bsome\b", "at least 1"),
        (r"\b(\d+) or more\b", r"at least \1"),
        (r"\b(\d+) or (?:fewer|less)\b", r"at most \1"),
        (rf"\blimit(?: (?:your|the|whole|entire))*(?: {_TEXT})? to (?=\d)", "at most "),
        (
            r"\b(?:no more than|not more than|no longer than|not exceed(?:ing)?|up to|within"
            r"|a maximum of|maximum|max)\b",
            "at most",
        ),
        (
            r"\b(?:no fewer than|no less than|not fewer than|not less than|a minimum of|minimum)\b",
            "at least",
        ),
        (r"\b(?:precisely|just)\b", "exactly"),
        (r"\bmore than (?=\d)", "at least 1+"),
        (r"\b(?:fewer than|less than|under|below) (?=\d)", "at most 1-"),
        (r"\b1\+(\d+)", lambda m: str(int(m[1]) + 1)),
        (r"\b1-(\d+)", lambda m: str(int(m[1]) - 1)),
        (r"\ba single\b|\ba sole\b", "exactly 1"),
        (r"\s+", " "),
    )
)

# Words between the parts of a pattern that change nothing about what is demanded.
_FILLER = (
    r"(?:a|an|the|in|with|of|on|using|use|used|write|written|answer|respond|reply|give|make|sure"
    r"|produce|keep|response|text|it|its|your|you|so|that|this|which|must|should|shall|may|be|is|are"
    r"|has|have|having|hold|holds|contain|contains|containing|include|includes|including|to|as"
    r"|there|whole|entire|total|please|ensure|consist|consists|consisting|made|up|into|divide"
    r"|divided|spread|over|long|length|say|mention|mentions|mentioned|occur|occurs|appear|appears|somewhere"
    r"|any|add|present|place|put|let|name|return|stay|create|compose|separated|by|spaces|included"
    r"|for|them|during|throughout|exactly as|each separated|message|output|own|inside|and include"
    r"|all together|own words|found|somehow|anywhere|entirely|altogether|parts"
    r"|tell|show|format|structure|both|highlight)"
)
# What the patterns of families write in capitals.
_MACROS = {
    "NOT": (
        r"(?:do not|don't|never|avoid|without|no|not|omit|leave out|none of|refrain from|must not)"
    ),
    "START": r"(?:begin|begins|beginning|start|starts|starting|open|opens)",
    "END": r"(?:end|ends|ending|finish|finishes|close|closes|conclude)",
}


def write_instruction(constraint: Constraint, rng: Random) -> str:
    """Return an instruction that states the constraint in one of its family's phrasings."""
    family, values = family_of(constraint), constraint.values

    def say(match: re.Match[str]) -> str:
        return family.parameters[match[1]].say(rng, values[match[1]])

    return _PLACE.sub(say, rng.choice(family.phrasings))


@lru_cache(maxsize=65536)
def read_instruction(text: str) -> Constraint | None:
    """Return the constraint an instruction states, or None where no family knows it."""
    wording, quoted = normalise_instruction(text)
    return next(_candidates(wording, quoted), None)


def normalise_instruction(text: str) -> tuple[str, list[str]]:
    """Return an instruction in one canonical wording, and its quoted parts.

    Quoted parts stand as ``«0»``, ``«1»`` … in the wording; everything else is lower case.
    """
    quoted: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quoted.append(next(part for part in match.groups() if part is not None))
        return f" «{len(quoted) - 1}» "

    wording = _QUOTED.sub(keep, text.translate(_CURLY)).lower()
    for pattern, replacement in _REWRITES:
        wording = pattern.sub(replacement, wording)
    return wording.strip(), quoted


def _candidates(wording: str, quoted: list[str]) -> Iterator[Constraint]:
    for family, pattern in _patterns():
        match = pattern.fullmatch(wording)
        if match is None:
            continue
        groups = match.groupdict()
        # "Repeat it 2 more times" states one occurrence more than it names.
        if "more" in groups:
            groups["n"] = str(int(groups["more"]) - 1)
        values = {
            name: parameter.read(groups.get(name), quoted)
            for name, parameter in family.parameters.items()
        }
        if None not in values.values() and family.valid(values):
            yield family.constraint(values)


@cache
def _patterns() -> tuple[tuple[Family, re.Pattern[str]], ...]:
    return tuple(
        (family, _compile(family, pattern))
        for family in FAMILIES.values()
        for pattern in family.patterns
    )


def _compile(family: Family, pattern: str) -> re.Pattern[str]:
    for macro, expansion in _MACROS.items():
        pattern = pattern.replace(macro, expansion)
    pattern = pattern.replace("~", rf"(?: {_FILLER})* ")
    # A parameter's name ends where an ordinal's "st", a group or anything else begins.
    pattern = re.sub(
        r"@(\w+?)(?=st\||\(|\W|$)",
        lambda m: f"(?P<{m[1]}>{family.parameters[m[1]].pattern})",
        pattern,
    )
    return re.compile(rf"(?:{_FILLER} )*(?:{pattern})(?: {_FILLER})*")
