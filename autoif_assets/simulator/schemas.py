"""Giving an answer the shape a JSON schema asks for."""

from collections.abc import Mapping
from random import Random
from typing import Any


def instance(schema: Mapping[str, Any], rng: Random) -> Any:
    """Return a value that fits the common part of JSON schema (no references, no patterns)."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return instance(schema[key][0], rng)
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {name: instance(part, rng) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        items = schema.get("items", {"type": "string"})
        return [instance(items, rng) for _ in range(max(schema.get("minItems", 1), 0))]
    if kind in ("integer", "number"):
        low = int(schema.get("minimum", 0))
        return rng.randint(low, max(int(schema.get("maximum", low + 10)), low))
    if kind == "boolean":
        return rng.random() < 0.5
    return None if kind == "null" else "text"


def fit(known: Mapping[str, Any], schema: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    """Return an object with the properties of a schema, filled with what is known.

    Properties nobody foresaw get a plausible value, so that a role's schema may grow.
    """
    properties = schema.get("properties", {})
    return {
        name: known[name] if name in known else instance(part, rng)
        for name, part in properties.items()
    }
