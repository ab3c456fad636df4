"""JSON that satisfies a schema: what the simulator answers when a reply or a tool call must have a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "juniper", "kelp", "lotus")
_FORMATS = {
    "date": "2026-03-01",
    "time": "12:30:00Z",
    "date-time": "2026-03-01T12:30:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
}
_DEEPEST = 8
"""Schemas may refer to themselves: below this depth arrays stay empty and optional things are left out."""


def sample(schema: Any, draw: random.Random, root: Any = None, depth: int = 0) -> Any:
    """A value for the schema: every property filled, numbers within their bounds, the first way that is not null."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return None
    if "$ref" in schema:
        return sample(_resolve(schema["$ref"], root), draw, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return draw.choice(schema["enum"])
    for way in ("anyOf", "oneOf", "allOf"):
        if schema.get(way):
            return sample(_first(schema[way], depth), draw, root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, draw, root, depth)
    if kind == "array":
        least = schema.get("minItems", 0 if depth >= _DEEPEST else draw.randint(1, 2))
        return [sample(schema.get("items", {"type": "string"}), draw, root, depth + 1) for _ in range(least)]
    return _scalar(kind, schema, draw)


def _resolve(reference: Any, root: Any) -> Any:
    """The part of the schema that `#/a/b` names, or anything when there is none."""
    found = root
    for step in str(reference).removeprefix("#").strip("/").split("/"):
        found = found.get(step, {}) if isinstance(found, dict) and step else found
    return found


def _first(ways: Any, depth: int) -> Any:
    """The way to take: one that is not null, but null where it is time to stop."""
    ways = ways if isinstance(ways, list) else [ways]
    nulls = [way for way in ways if isinstance(way, dict) and way.get("type") == "null"]
    others = [way for way in ways if way not in nulls]
    return (nulls or others)[0] if depth >= _DEEPEST or not others else others[0]


def _object(schema: dict[str, Any], draw: random.Random, root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    if depth > 4 * _DEEPEST:  # required of itself: no finite value exists
        return {}
    return {
        name: sample(part, draw, root, depth + 1)
        for name, part in properties.items()
        if depth < _DEEPEST or name in required
    }


def _scalar(kind: Any, schema: dict[str, Any], draw: random.Random) -> Any:
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100))
        value = draw.randint(int(low), max(int(low), int(high) - ("exclusiveMaximum" in schema)))
        return value if kind == "integer" else float(value)
    if kind == "boolean":
        return draw.random() < 0.5
    if kind == "null":
        return None
    text = _FORMATS.get(schema.get("format", "")) or f"{draw.choice(_WORDS)} {draw.choice(_WORDS)}"
    text += "." * max(0, schema.get("minLength", 0) - len(text))
    return text[: schema.get("maxLength")]
