"""Whether a value follows a JSON schema, as far as answers of models go wrong: types, required fields, choices, items.

A subset of JSON Schema 2020-12: `type`, `required`, `properties`, `additionalProperties: false`, `items`, `enum`,
`const`, `anyOf`, `minimum`, `maximum`, `minItems`, `$ref` within the schema. What it does not know it lets pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEEP = 32
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int,),
}


def fault_in(value: Any, schema: Any) -> str | None:
    """What is wrong with a value, with the path to it; None when nothing is found."""
    return _fault(value, schema, schema, "$", _DEEP)


def _fault(value: Any, schema: Any, root: Any, path: str, deep: int) -> str | None:
    if not isinstance(schema, Mapping) or deep == 0:
        return None
    schema = _resolved(schema, root)
    if not _has_type(value, schema.get("type")):
        return f"{path} must be of type {schema['type']}"
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        return f"{path} must be one of {choices}"
    if "const" in schema and value != schema["const"]:
        return f"{path} must be {schema['const']!r}"
    either = schema.get("anyOf")
    if isinstance(either, list) and either and all(_fault(value, each, root, path, deep - 1) for each in either):
        return f"{path} fits none of its choices"
    if isinstance(value, dict):
        return _object_fault(value, schema, root, path, deep)
    if isinstance(value, list):
        return _array_fault(value, schema, root, path, deep)
    return _bounds_fault(value, schema, path)


def _object_fault(value: dict[str, Any], schema: Mapping[str, Any], root: Any, path: str, deep: int) -> str | None:
    known = schema.get("properties")
    properties: Mapping[str, Any] = known if isinstance(known, Mapping) else {}
    for name in schema.get("required") or ():
        if name not in value:
            return f"{path}.{name} is missing"
    for name, each in value.items():
        if name in properties:
            fault = _fault(each, properties[name], root, f"{path}.{name}", deep - 1)
            if fault:
                return fault
        elif schema.get("additionalProperties") is False:
            return f"{path}.{name} is not foreseen"
    return None


def _array_fault(value: list[Any], schema: Mapping[str, Any], root: Any, path: str, deep: int) -> str | None:
    least = schema.get("minItems")
    if isinstance(least, int) and len(value) < least:
        return f"{path} must have at least {least} items"
    for place, each in enumerate(value):
        fault = _fault(each, schema.get("items"), root, f"{path}[{place}]", deep - 1)
        if fault:
            return fault
    return None


def _bounds_fault(value: Any, schema: Mapping[str, Any], path: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(least, int | float) and value < least:
        return f"{path} must be at least {least}"
    if isinstance(most, int | float) and value > most:
        return f"{path} must be at most {most}"
    return None


def _has_type(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    names = wanted if isinstance(wanted, list) else [wanted]
    for name in names:
        types = _TYPES.get(name)
        if types is None:
            return True
        whole = name == "integer" and isinstance(value, float) and value.is_integer()
        if whole or (isinstance(value, types) and (name == "boolean" or not isinstance(value, bool))):
            return True
    return False


def _resolved(schema: Mapping[str, Any], root: Any) -> Mapping[str, Any]:
    for _ in range(_DEEP):
        target = schema.get("$ref")
        if not isinstance(target, str) or not target.startswith("#/"):
            return schema
        found = root
        for part in target[2:].split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            return {}
        schema = found
    return {}
