"""What is asked of a model and what comes back."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoif_assets.method.ids import content_id

_OPEN, _CLOSE = "<think>", "</think>"
# Some chat templates write the opening tag into the prompt, so that only the closing one comes
# back. A line of its own tells it from a text that merely talks about the tag.
_ORPHAN_CLOSE = re.compile(r"^\s*</think>\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """One prompt and how to sample from it.

    Attributes:
        prompt: The whole user message.
        role: What the call is for; a label in journals, and the name of the schema.
        n: Completions wanted.
        temperature: Sampling temperature.
        max_tokens: Most tokens a completion may have.
        seed: Seed of sample 0; sample ``i`` has ``seed + i``, as vLLM counts them.
        schema: JSON schema the completion must follow, or None for free text.
        scored: A text whose log-probabilities are asked for in the place of a completion, as the
            answer to ``prompt`` or, where that is empty, alone. The one choice of the reply is
            then JSON: ``[token id, log-probability]`` of every token the server read, in order.
    """

    prompt: str
    role: str
    n: int
    temperature: float
    max_tokens: int
    seed: int
    schema: Mapping[str, Any] | None = None
    scored: str | None = None

    def __post_init__(self) -> None:
        if self.n < 1 or self.max_tokens < 1:
            raise ValueError(
                f"A request needs n and max_tokens of at least 1, not n={self.n} and "
                f"max_tokens={self.max_tokens}."
            )

    def parameters(self) -> dict[str, Any]:
        """Return what changes the answer beside the prompt."""
        # Only where it is set: the ids of all other calls stay what they were.
        scored = {} if self.scored is None else {"scored": self.scored}
        return scored | {
            "n": self.n,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "schema": self.schema,
        }


@dataclass(frozen=True)
class Choice:
    """One completion.

    Attributes:
        text: The answer, without reasoning.
        reasoning: What the model thought before it answered, if the server or a leading
            ``<think>`` block tells it apart.
        finish_reason: Why the server ended it; ``length`` means it is cut off.
    """

    text: str
    reasoning: str | None = None
    finish_reason: str | None = None

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> "Choice":
        """Make a choice of a journal's ``text``, ``reasoning`` and ``finish_reason``."""
        text, thought = split_reasoning(raw["text"])
        parts = [part for part in (raw.get("reasoning"), thought) if part]
        return cls(text, "\n".join(parts) or None, raw.get("finish_reason"))


@dataclass(frozen=True)
class Usage:
    """Tokens of one HTTP request, as far as the server reports them."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Reply:
    """What came back for one request.

    Attributes:
        call_id: Content id of the call; equal requests to one model share it.
        choices: Completions in order of sample; fewer than asked for only beside an error.
        error: The server's words if it refused the request or kept failing on it.
    """

    call_id: str
    choices: tuple[Choice, ...]
    error: str | None = None


def call_id(model: str, request: Request) -> str:
    """Return the content id of ``request`` when put to ``model``.

    The role is left out: it names the purpose and does not change the answer.
    """
    identity = request.parameters() | {"prompt": request.prompt}
    return content_id("call", model, canonical_json(identity))


def canonical_json(value: object) -> str:
    """Write JSON so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def split_reasoning(text: str) -> tuple[str, str | None]:
    """Separate leading ``<think>`` blocks from an answer.

    Returns:
        The answer, and the reasoning or None. A block that was never closed is all reasoning:
        the completion ended before its answer began.
    """
    thoughts = []
    rest = text
    while rest.lstrip().startswith(_OPEN):
        thought, closed, rest = rest.lstrip().removeprefix(_OPEN).partition(_CLOSE)
        thoughts.append(thought.strip())
        if not closed:
            break
    if not thoughts and (close := _ORPHAN_CLOSE.search(text)):
        thoughts.append(text[: close.start()].strip())
        rest = text[close.end() :]
    if not thoughts:
        return text, None
    return rest.strip(), "\n".join(filter(None, thoughts)) or None
