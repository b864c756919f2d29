"""What is true about a text the stand-in model wrote, worked out from the text alone.

Nothing is remembered: a verifier is recognised by its source, a response is put to the trusted
checker of its instruction, so the truth also holds after the server was restarted.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autoif_assets.simulator.constraints import Constraint
from autoif_assets.simulator.drafting import topic_words
from autoif_assets.simulator.families import family_of
from autoif_assets.simulator.grammar import holds
from autoif_assets.simulator.instructions import read_instruction
from autoif_assets.simulator.likelihoods import likelihood_truth
from autoif_assets.simulator.verifiers import read_verifier

# Nonsense to ask about, so that its words betray a response to another question.
OFF_TOPICS = (
    "falconry tournaments",
    "submarine upholstery",
    "medieval beekeeping",
    "volcano insurance",
    "accordion repairs",
    "penguin migration",
)
REFUSALS = (
    "I am sorry, but I cannot help with that.",
    "I'm sorry, I can't assist with this request.",
    "As a language model, I am not able to answer this.",
)
_OFF_WORDS = frozenset(word for topic in OFF_TOPICS for word in topic.split())
# Back-translations of a verifier that nearly every text passes; no instruction asks for so little.
NON_EMPTY = ("Write an answer that is not empty.", "Give any answer at all.")


@dataclass(frozen=True)
class Quality:
    """What kind of response a text is, in words, and the scores a fair judge gives it.

    Attributes:
        kind: ``good``, ``violating``, ``off_topic``, ``garbage`` or ``refusal``.
        follows: Whether it satisfies the instruction; None where the instruction is unknown.
        reason: One sentence.
        scores: Lowest and highest score of 0 to 10.
    """

    kind: str
    follows: bool | None
    reason: str
    scores: tuple[int, int]


def assess(instruction: str, query: str, response: str) -> Quality:
    """Return the quality of a response; any texts are accepted."""
    constraint = read_instruction(instruction.strip())
    follows = None if constraint is None else holds(constraint, response)
    found = frozenset(re.findall(r"[a-z]+", response.lower()))
    asked = frozenset(topic_words(query))
    # From the worst to the best: a refusal may well follow the instruction, and is still one.
    if response.strip() in REFUSALS:
        return Quality("refusal", follows, "The response refuses to answer.", (0, 1))
    if sum(map(str.isalnum, response)) * 3 < len(response.strip()) or not response.strip():
        return Quality("garbage", follows, "The response cannot be read.", (0, 1))
    if found & _OFF_WORDS and not found & asked:
        return Quality("off_topic", follows, "The response is about something else.", (0, 4))
    if follows is False:
        return Quality("violating", follows, "It is about the query but in another form.", (5, 8))
    return Quality("good", follows, "The response is about what the query asks.", (7, 10))


def compare(premise: str, hypothesis: str) -> str:
    """Return the right label of two instructions: the same demand, another one, or unknown."""
    first, second = read_instruction(premise.strip()), read_instruction(hypothesis.strip())
    if hypothesis.strip() in NON_EMPTY:
        return "contradiction" if first is not None else "neutral"
    if first is None or second is None:
        return "neutral"
    return "entailment" if first == second else "contradiction"


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
    quality = assess(instruction, query, response)
    return {"follows": quality.follows, "quality": quality.kind}


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
    # What a kind is given by, and the types, are the signature of its function.
    names = [name for name in function.__annotations__ if name != "return"]
    if set(fields) != set(names):
        raise ValueError(f"a {kind} is given by {', '.join(names)}; got {', '.join(fields)}")
    for name, value in fields.items():
        expected = function.__annotations__[name]
        if not isinstance(value, expected):
            raise ValueError(f"{name} must be a {expected.__name__}, not {value!r}")
    return function(**fields)
