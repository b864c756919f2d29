"""What is true about a text the stand-in model wrote, worked out from the text alone.

Nothing is remembered: a verifier is recognised by its source, a response is put to the trusted
checker of its instruction, so the truth also holds after the server was restarted.
"""

from collections.abc import Callable, Mapping
from typing import Any

from autoif_assets.simulator.answers import compare
from autoif_assets.simulator.constraint import Constraint
from autoif_assets.simulator.grammar import family_of, holds
from autoif_assets.simulator.likelihoods import truth as likelihood_truth
from autoif_assets.simulator.quality import judge
from autoif_assets.simulator.reading import read_instruction
from autoif_assets.simulator.verifiers import read_verifier


def _plain(constraint: Constraint | None) -> dict[str, Any] | None:
    if constraint is None:
        return None
    return {
        "family": constraint.family,
        "category": family_of(constraint).category,
        "values": constraint.values,
    }


def instruction_truth(instruction: str) -> dict[str, Any]:
    """Return whether an instruction is ``checkable`` and its ``constraint``."""
    constraint = read_instruction(instruction.strip())
    return {"checkable": constraint is not None, "constraint": _plain(constraint)}


def verifier_truth(instruction: str, source: str) -> dict[str, Any]:
    """Return whether a verifier is ``right``, what it tests, and its ``flaw`` if it has one."""
    wanted, verifier = read_instruction(instruction.strip()), read_verifier(source)
    right = wanted is not None and verifier.constraint == wanted and verifier.flaw is None
    return {"right": right, "flaw": verifier.flaw, "constraint": _plain(verifier.constraint)}


def case_truth(instruction: str, input: str, output: bool) -> dict[str, Any]:
    """Return whether a test case is ``right``; null where the instruction is unknown."""
    constraint = read_instruction(instruction.strip())
    return {"right": None if constraint is None else holds(constraint, input) == output}


def back_translation_truth(source: str, back_translation: str) -> dict[str, Any]:
    """Return whether a back-translation is ``faithful`` to a verifier."""
    constraint = read_verifier(source).constraint
    said = read_instruction(back_translation.strip())
    return {"faithful": constraint is not None and constraint == said, "constraint": _plain(said)}


def nli_truth(premise: str, hypothesis: str) -> dict[str, Any]:
    """Return the right ``label`` of a pair of instructions."""
    return {"label": compare(premise, hypothesis)}


def response_truth(instruction: str, query: str, response: str) -> dict[str, Any]:
    """Return whether a response ``follows`` its instruction and its ``quality``."""
    verdict = judge(instruction, query, response)
    return {"follows": verdict.follows, "quality": verdict.kind}


KINDS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "instruction": instruction_truth,
    "verifier": verifier_truth,
    "case": case_truth,
    "back_translation": back_translation_truth,
    "nli": nli_truth,
    "response": response_truth,
    "likelihood": likelihood_truth,
}


def truth(kind: str, **fields: Any) -> dict[str, Any]:
    """Return the truth about one text.

    Args:
        kind: A key of ``KINDS``.
        fields: The arguments of that function.

    Raises:
        ValueError: The kind is unknown or the fields do not fit it; the message says which do.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no truth about {kind!r}; the kinds are {', '.join(KINDS)}")
    function = KINDS[kind]
    names = [name for name in function.__annotations__ if name != "return"]
    if set(fields) != set(names):
        raise ValueError(f"a {kind} is given by {', '.join(names)}; got {', '.join(fields)}")
    for name, value in fields.items():
        expected = function.__annotations__[name]
        if not isinstance(value, expected):
            raise ValueError(f"{name} must be a {expected.__name__}, not {value!r}")
    return function(**fields)
