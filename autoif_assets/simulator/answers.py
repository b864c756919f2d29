"""The stand-in model: one completion from a prompt, a seed and the settings."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from autoif_assets.method.ids import derived_seed
from autoif_assets.method.prompts import PROMPTS
from autoif_assets.simulator import grammar
from autoif_assets.simulator.constraints import Constraint
from autoif_assets.simulator.drafting import Draft, topic_words
from autoif_assets.simulator.families import FAMILIES, family_of
from autoif_assets.simulator.instructions import read_instruction, write_instruction
from autoif_assets.simulator.requests import RecognisedPrompt
from autoif_assets.simulator.settings import SimulatorSettings
from autoif_assets.simulator.truth import OFF_TOPICS, REFUSALS, assess, compare
from autoif_assets.simulator.verifying import (
    audit,
    back_translation,
    boundary_cases,
    repair,
    write_checks,
    write_checks_with_query,
)

LABELS = ("entailment", "neutral", "contradiction")
_UNCHECKABLE = (
    "Write in the voice of a tired lighthouse keeper.",
    "Make the answer sound hopeful.",
    "Use a metaphor from {topic}.",
    "Write as if you were explaining it to {topic}.",
    "Let the reader feel the weather of {topic}.",
    "Answer with the wit of an old {topic}.",
    "Use only words that rhyme with {topic}.",
    "Make the response remind people of {topic}.",
)
_TOPICS = (
    "the sea", "a market", "gardeners", "winter", "a railway station", "sailors", "bakers",
    "the mountains", "a library", "children", "an orchestra", "the theatre",
)  # fmt: skip
_GARBAGE = "%/\\~^#|<>=+"


def complete(
    prompt: RecognisedPrompt,
    seed: int,
    settings: SimulatorSettings,
    schema: Mapping[str, Any] | None = None,
    choices: list[str] | None = None,
) -> str:
    """Return the text of one completion.

    Args:
        prompt: The prompt, as ``recognise`` found it.
        seed: The sample's seed; equal seeds give equal text.
        settings: The model's seed and rates.
        schema: JSON schema asked for, if any.
        choices: The texts to choose from, if the request gave some.
    """
    # A chat template or a reworded prompt leaves the answers as they are: only role and variables
    # count, of these what is said, and what was said before.
    key = "\x1f".join(filter(None, (*prompt.before, *prompt.variables.values())))
    rng = Random(derived_seed("completion", str(settings.seed), prompt.role, key, str(seed)))
    if choices:
        # Constrained decoding: neither a refusal nor broken JSON can come out of it.
        answer = _answer(prompt, seed, rng, settings)
        said = set(map(str, answer.values())) if isinstance(answer, dict) else {answer}
        return next((choice for choice in choices if choice in said), rng.choice(choices))
    if rng.random() < settings.refusal_rate:
        return rng.choice(REFUSALS)
    structured = PROMPTS[prompt.role].schema if prompt.role in PROMPTS else None
    if schema is not None and structured is None:
        return json.dumps(instance_of(schema, rng))
    if prompt.explains and (schema is None or "obeys" not in schema.get("properties", {})):
        return _explained(prompt, rng, settings)
    answer = _answer(prompt, seed, rng, settings)
    if isinstance(answer, str):
        return answer
    text = json.dumps(_fit(answer, schema or structured or {}, rng), ensure_ascii=False)
    if rng.random() < settings.malformed_rate:
        return _malform(text, rng)
    if schema is None and rng.random() < 0.4:
        return f"Here is the result.\n```json\n{text}\n```"
    return text


def _answer(
    prompt: RecognisedPrompt, seed: int, rng: Random, settings: SimulatorSettings
) -> str | dict[str, Any]:
    """Return what a role answers: a text, or the object that its schema describes."""
    # Which samples share a mistake is told by their seeds.
    if prompt.role == "verifier":
        return write_checks(prompt.variables, seed, rng, settings)
    if prompt.role == "verifier_with_query":
        return write_checks_with_query(prompt.variables, seed, rng, settings)
    return _ROLES[prompt.role](prompt.variables, rng, settings)


def _explained(prompt: RecognisedPrompt, rng: Random, settings: SimulatorSettings) -> str:
    """Return an audit with its reasons first, which talk the auditor into more errors."""
    rate = settings.auditor_explaining_error_rate
    answer = audit(prompt.variables, rng, replace(settings, auditor_error_rate=rate))
    reason = "meets" if answer["obeys"] == "yes" else "misses"
    return (
        f"The text has to be held against what is asked. Looked at closely, it {reason} it.\n"
        f"{json.dumps(answer)}"
    )


def _self_instruct(variables: Mapping[str, str], rng: Random, settings: SimulatorSettings) -> str:
    # A prompt may carry anything in the place of the count; 500 lines are enough for any test.
    digits = re.sub(r"\D", "", variables["count"])
    examples = [line.strip("-* ") for line in variables["examples"].splitlines() if line.strip()]
    wanted = re.findall(r"\w+", variables.get("wanted", "").rpartition(":")[2])
    scarce = [family for family in FAMILIES.values() if family.category in wanted]
    lines = []
    for place in range(min(int(digits or 10), 500)):
        luck = rng.random()
        if luck < settings.copy_rate and examples:
            example = rng.choice(examples)
            # Reworded, it is no duplicate by its letters, only by what it demands.
            known = read_instruction(example)
            lines.append(write_instruction(known, rng) if known and rng.random() < 0.5 else example)
        elif luck < settings.copy_rate + settings.uncheckable_rate:
            lines.append(rng.choice(_UNCHECKABLE).format(topic=rng.choice(_TOPICS)))
        elif scarce and place % 2:
            lines.append(write_instruction(rng.choice(scarce).draw(rng), rng))
        else:
            lines.append(write_instruction(grammar.draw(rng), rng))
    return "\n".join(f"- {line}" for line in lines)


def _category(
    variables: Mapping[str, str], rng: Random, settings: SimulatorSettings
) -> dict[str, Any]:
    constraint = read_instruction(variables["instruction"].strip())
    category = family_of(constraint).category if constraint is not None else "other"
    listed = re.search(rf"^- {re.escape(category)}(?::|$)", variables["categories"], re.MULTILINE)
    return {"category": category if listed else "other"}


def _nli(variables: Mapping[str, str], rng: Random, settings: SimulatorSettings) -> dict[str, Any]:
    label = compare(variables["premise"], variables["hypothesis"])
    if rng.random() < settings.nli_error_rate:
        label = rng.choice([other for other in LABELS if other != label])
    return {"label": label}


def _response(variables: Mapping[str, str], rng: Random, settings: SimulatorSettings) -> str:
    constraint = read_instruction(variables["instruction"].strip())
    return respond(constraint, variables["query"], rng, settings)


def _near_miss(variables: Mapping[str, str], rng: Random, settings: SimulatorSettings) -> str:
    """Break the instruction as often as the model else follows it."""
    constraint = read_instruction(variables["instruction"].strip())
    breaks = 1 - settings.violation_rate
    return respond(constraint, variables["query"], rng, settings, violation_rate=breaks)


def respond(
    constraint: Constraint | None,
    query: str,
    rng: Random,
    settings: SimulatorSettings,
    violation_rate: float | None = None,
) -> str:
    """Return a response to a query that mostly follows the constraint, if there is one.

    Args:
        constraint: What it follows, or breaks at the ``violation_rate``.
        query: What it is about.
        rng: Source of every choice.
        settings: The model's rates.
        violation_rate: In the place of the settings'.
    """
    if violation_rate is None:
        violation_rate = settings.violation_rate
    luck = rng.random()
    if luck < settings.garbage_rate:
        return "".join(rng.choice(_GARBAGE) for _ in range(rng.randint(20, 60)))
    # A stray response may still follow the instruction: form and topic fail independently.
    size = rng.randint(2, 5)
    if luck < settings.garbage_rate + settings.off_topic_rate:
        query = rng.choice(OFF_TOPICS)
    if constraint is None:
        return Draft(rng, topic_words(query), size).body()
    write = grammar.violate if rng.random() < violation_rate else grammar.satisfy
    return write(constraint, rng, query, size)


def _score(
    variables: Mapping[str, str], rng: Random, settings: SimulatorSettings
) -> dict[str, Any]:
    quality = assess(variables.get("instruction", ""), variables["query"], variables["response"])
    low, high = quality.scores
    score = rng.randint(low, high)
    if rng.random() < settings.score_error_rate:
        score = rng.randint(0, 10)
    return {"reason": quality.reason, "answers": score >= 6, "score": score}


def _unknown(variables: Mapping[str, str], rng: Random, settings: SimulatorSettings) -> str:
    """Answer a prompt of no role; a policy's prompt ends or begins with an instruction."""
    prompt = variables["prompt"].strip()
    # Lines first, then sentences: a query may have several sentences, an instruction is one piece.
    for pattern in (r"\n+", r"(?<=[.!?])\s+"):
        pieces = [piece.strip() for piece in re.split(pattern, prompt) if piece.strip()]
        for rest, last in ((pieces[:-1], pieces[-1:]), (pieces[1:], pieces[:1])):
            constraint = read_instruction(last[0]) if last else None
            if constraint is not None and rest:
                return respond(constraint, " ".join(rest), rng, settings)
    return respond(None, prompt, rng, settings)


def _malform(text: str, rng: Random) -> str:
    """Return JSON as models get it wrong; some of it can be repaired, some cannot."""
    kind = rng.randrange(7)
    if kind == 0:
        return text[:-1] + ",}"
    if kind == 1:
        return f"Sure! This should do:\n```json\n{text}\n```\nLet me know."
    if kind == 2:
        return text.replace("\\n", "\n")
    if kind == 3:
        return text.replace(": true", ': "True"').replace(": false", ': "false"')
    if kind == 4:
        return text[: len(text) // 2]
    if kind == 5:
        return "The result is the one we spoke about before."
    return re.sub(r'"(\w+)":', r"'\1':", text, count=1)


def instance_of(schema: Mapping[str, Any], rng: Random) -> Any:
    """Return a value that fits the common part of JSON schema (no references, no patterns)."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return instance_of(schema[key][0], rng)
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {name: instance_of(part, rng) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        items = schema.get("items", {"type": "string"})
        return [instance_of(items, rng) for _ in range(max(schema.get("minItems", 1), 0))]
    if kind in ("integer", "number"):
        low = int(schema.get("minimum", 0))
        return rng.randint(low, max(int(schema.get("maximum", low + 10)), low))
    if kind == "boolean":
        return rng.random() < 0.5
    return None if kind == "null" else "text"


def _fit(known: Mapping[str, Any], schema: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    """Return an object with the properties of a schema, filled with what is known.

    Properties nobody foresaw get a plausible value, so that a role's schema may grow.
    """
    properties = schema.get("properties", {})
    return {
        name: known[name] if name in known else instance_of(part, rng)
        for name, part in properties.items()
    }


_ROLES: dict[
    str, Callable[[Mapping[str, str], Random, SimulatorSettings], str | dict[str, Any]]
] = {
    "self_instruct": _self_instruct,
    "category": _category,
    "boundary_cases": boundary_cases,
    "repair": repair,
    "audit": audit,
    "back_translation": back_translation,
    "nli": _nli,
    "response": _response,
    "near_miss": _near_miss,
    "score": _score,
    "unknown": _unknown,
}
