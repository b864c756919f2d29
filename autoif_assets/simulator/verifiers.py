"""Writing verifier functions in several styles, and recognising what they test.

A wrong verifier is a right verifier of another constraint, a body with a subtle bug, or source
with a defect. Reading back is exact: a source is right only where it is, character by character,
one of the right writings of its constraint.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from textwrap import indent

from autoif_assets.simulator.constraints import Constraint, Family
from autoif_assets.simulator.families import FAMILIES, family_of
from autoif_assets.simulator.instructions import read_instruction

_PLACE = re.compile(r"\$(\w+)")
_COMMENT = re.compile(r"\A# (.+)\n")
_MODULE = re.compile(r"(?<![\w.\"'])(re|json)\.")


@dataclass(frozen=True)
class Verifier:
    """What a source is.

    Attributes:
        constraint: What it tests, None where that is unknown.
        flaw: None where it is right; ``bug`` where a body is subtly wrong; ``defect`` where it
            is broken, inverted, constant or otherwise no writing of the constraint.
    """

    constraint: Constraint | None
    flaw: str | None


def _split(body: str) -> tuple[str, str]:
    """Split a body into the lines before its last return and that return's expression."""
    head, _, last = body.rpartition("\n")
    if last.startswith("return "):
        return (head + "\n" if head else ""), last.removeprefix("return ")
    return body + "\n", ""


def _imports(body: str) -> str:
    # What a body uses without importing it itself.
    names = sorted(set(_MODULE.findall(body)) - set(re.findall(r"^import (\w+)", body, re.M)))
    return "".join(f"import {name}\n" for name in names)


# The styles: ways in which models put a body into a module. All keep the body's lines and what they
# return, so that `_signature` finds them again and a style never decides whether a source is right.


def _plain(body: str) -> str:
    imports = _imports(body)
    return f"{imports}\n" * bool(imports) + f"def evaluate(response):\n{indent(body, '    ')}"


def _inner_import(body: str) -> str:
    head, last = _split(body)
    tail = f"return bool({last})" if last else ""
    return "def evaluate(response: str) -> bool:\n" + indent(
        f"{_imports(body)}{head}{tail}".rstrip(), "    "
    )


def _helper(body: str) -> str:
    renamed = re.sub(r"\bresponse\b", "candidate", body)
    imports = _imports(body)
    return (
        f"{imports}\n" * bool(imports)
        + f"def holds(candidate):\n{indent(renamed, '    ')}\n\n\n"
        + "def evaluate(response):\n    return holds(response)"
    )


def _nested(body: str) -> str:
    renamed = re.sub(r"\bresponse\b", "candidate", body)
    imports = indent(_imports(body), "    ")
    return (
        f"def evaluate(response):\n{imports}\n    def check(candidate):\n"
        + indent(renamed, "        ")
        + "\n\n    return check(response)"
    )


def _branching(body: str) -> str:
    head, last = _split(body)
    tail = f"if {last}:\n    return True\nreturn False" if last else ""
    imports = _imports(body)
    return (
        f"{imports}\n" * bool(imports)
        + 'def evaluate(response: str) -> bool:\n    """Check the form of a response."""\n'
        + "    if not isinstance(response, str):\n        return False\n"
        + indent(f"{head}{tail}".rstrip(), "    ")
    )


def _named_result(body: str) -> str:
    head, last = _split(body)
    tail = f"result = {last}\nreturn result" if last else ""
    imports = _imports(body)
    return (
        f"{imports}\n" * bool(imports)
        + "def evaluate(response):\n    # Look at the text alone.\n"
        + indent(f"{head}{tail}".rstrip(), "    ")
    )


def _guarded(body: str) -> str:
    imports = _imports(body)
    return (
        f"{imports}\n" * bool(imports)
        + "def evaluate(response: str) -> bool:\n    try:\n"
        + indent(body, "        ")
        + "\n    except IndexError:\n        return False"
    )


STYLES: tuple[Callable[[str], str], ...] = (
    _plain,
    _inner_import,
    _helper,
    _nested,
    _branching,
    _named_result,
    _guarded,
)


# The styles that rename the parameter.
RENAMING_STYLES = (_helper, _nested)


def _fill(template: str, constraint: Constraint) -> str:
    parameters, values = family_of(constraint).parameters, constraint.values

    def code(match: re.Match[str]) -> str:
        name = match[1]
        return parameters[name].code(values[name]) if name in parameters else match[0]

    return _PLACE.sub(code, template)


def bodies_of(constraint: Constraint) -> Iterator[str]:
    """Yield the bodies of the right verifiers of a constraint."""
    for template in family_of(constraint).code:
        yield _fill(template, constraint)


def write_verifier(constraint: Constraint, rng: Random) -> str:
    """Return the source of a right verifier in a random style."""
    body = _fill(rng.choice(family_of(constraint).code), constraint)
    return rng.choice(STYLES)(body)


def write_buggy(constraint: Constraint, rng: Random) -> str | None:
    """Return the source of a subtly wrong verifier, None where the family has none."""
    buggy = family_of(constraint).buggy
    return rng.choice(STYLES)(_fill(rng.choice(buggy), constraint)) if buggy else None


def all_writings(constraint: Constraint, buggy: bool = False) -> Iterator[str]:
    """Yield every right (or every subtly wrong) verifier of a constraint."""
    family = family_of(constraint)
    for template in family.buggy if buggy else family.code:
        body = _fill(template, constraint)
        for style in STYLES:
            yield style(body)


CONSTANTS = (
    "def evaluate(response):\n    return True",
    "def evaluate(response: str) -> bool:\n    return bool(response.strip())",
    "def evaluate(response):\n    return len(response) > 0",
)


def invert_source(source: str) -> str:
    """Return a source that says yes where the given one says no, and the other way round."""
    renamed = source.replace("def evaluate(", "def breaks(")
    return f"{renamed}\n\n\ndef evaluate(response):\n    return not breaks(response)"


# The defects: a source that does not compile, gives no bool, has no `evaluate`, needs what is not
# there, does what is forbidden, or does not end.


def _no_colon(source: str) -> str:
    return re.sub(r"(def evaluate\(.*?\)[^:\n]*(?: -> bool)?):\n", r"\1\n", source, count=1)


def _text_verdict(source: str) -> str:
    renamed = source.replace("def evaluate(", "def _verdict(")
    return f"{renamed}\n\n\ndef evaluate(response):\n    return str(_verdict(response))"


def _other_name(source: str) -> str:
    return source.replace("def evaluate(", "def check_response(")


def _missing_helper(source: str) -> str:
    return re.sub(
        r"(def evaluate\(.*?\).*:\n)", r"\1    response = normalise_text(response)\n", source
    )


def _foreign_import(source: str) -> str:
    return f"import nltk\n{source}"


def _reads_file(source: str) -> str:
    return re.sub(
        r"(def evaluate\(.*?\).*:\n)",
        r"\1    rules = open('rules.txt').read()\n",
        source,
    )


def _endless(source: str) -> str:
    return re.sub(
        r"(def evaluate\(.*?\).*:\n)",
        r"\1    while len(response) >= 0:\n        response += ''\n",
        source,
    )


# The endless loop is rare: it costs the reader of the verifier a whole time limit.
_DEFECTS = (
    *(_no_colon, _text_verdict, _other_name, _missing_helper, _foreign_import, _reads_file) * 3,
    _endless,
)


def spoil_source(source: str, rng: Random) -> str:
    """Return a source with a defect that keeps it from giving verdicts."""
    return rng.choice(_DEFECTS)(source)


def _signature(body: str) -> str:
    """Reduce a body to what every style keeps of it: stripped lines, no final return."""
    head, last = _split(re.sub(r"\bresponse\b", "candidate", body))
    lines = [line.strip() for line in f"{head}{last}".splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.startswith("import "))


@cache
def _signatures() -> tuple[tuple[Family, bool, re.Pattern[str]], ...]:
    found = []
    for family in FAMILIES.values():
        for buggy, bodies in ((False, family.code), (True, family.buggy)):
            for body in bodies:
                # A parameter that occurs again must have the value it had the first time.
                lines = _signature(body).split("\n")
                seen: set[str] = set()
                patterns = [_line_pattern(family, line, seen) for line in lines]
                # The last line may have become part of an if or an assignment.
                joined = r"\n[^\n]*?".join(patterns) if len(patterns) > 1 else patterns[0]
                found.append((family, buggy, re.compile(joined)))
    return tuple(found)


def _line_pattern(family: Family, line: str, seen: set[str]) -> str:
    pieces = []
    position = 0
    for match in _PLACE.finditer(line):
        if match[1] not in family.parameters:
            continue
        pieces.append(re.escape(line[position : match.start()]))
        pieces.append(
            f"(?P={match[1]})"
            if match[1] in seen
            else rf"(?P<{match[1]}>==|>=|<=|\d+|\"[^\"\n]+\"|'[^'\n]+')"
        )
        seen.add(match[1])
        position = match.end()
    return "".join([*pieces, re.escape(line[position:])])


def stated_in(source: str) -> Constraint | None:
    """Return what a comment at the head of a source says that it tests, if one says it."""
    comment = _COMMENT.match(source)
    return read_instruction(comment[1]) if comment else None


@lru_cache(maxsize=65536)
def read_verifier(source: str) -> Verifier:
    """Return what a source tests and whether it does so rightly; any text is accepted."""
    source = _COMMENT.sub("", source.strip())
    # What the styles change is taken away: the parameter's name, indentation, blank lines.
    renamed = re.sub(r"\bresponse\b", "candidate", source)
    flat = "\n".join(line.strip() for line in renamed.splitlines() if line.strip())
    guesses: list[tuple[int, Constraint, bool]] = []
    for family, buggy, pattern in _signatures():
        match = pattern.search(flat)
        if match is None:
            continue
        values = {
            name: parameter.decode(match.groupdict().get(name) or "")
            for name, parameter in family.parameters.items()
        }
        if None in values.values() or not family.valid(values):
            continue
        constraint = family.constraint(values)
        # A match only says what the source was made from; right is what equals a writing.
        if any(source == writing.strip() for writing in all_writings(constraint, buggy)):
            return Verifier(constraint, "bug" if buggy else None)
        guesses.append((len(match[0]), constraint, buggy))
    if not guesses:
        return Verifier(None, "defect")
    # The longest match has the most of its constraint in it.
    return Verifier(max(guesses, key=lambda guess: guess[0])[1], "defect")
