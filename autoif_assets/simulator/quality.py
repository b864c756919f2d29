"""How good a response is, known from what it is made of."""

import re
from dataclasses import dataclass

from autoif_assets.simulator.drafting import topic_words
from autoif_assets.simulator.grammar import holds
from autoif_assets.simulator.reading import read_instruction

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


def judge(instruction: str, query: str, response: str) -> Quality:
    """Return the quality of a response; any texts are accepted."""
    constraint = read_instruction(instruction.strip())
    follows = None if constraint is None else holds(constraint, response)
    found = frozenset(re.findall(r"[a-z]+", response.lower()))
    asked = frozenset(topic_words(query))
    if response.strip() in REFUSALS:
        return Quality("refusal", follows, "The response refuses to answer.", (0, 1))
    if sum(map(str.isalnum, response)) * 3 < len(response.strip()) or not response.strip():
        return Quality("garbage", follows, "The response cannot be read.", (0, 1))
    if found & _OFF_WORDS and not found & asked:
        return Quality("off_topic", follows, "The response is about something else.", (0, 4))
    if follows is False:
        return Quality("violating", follows, "It is about the query but in another form.", (5, 8))
    return Quality("good", follows, "The response is about what the query asks.", (7, 10))
