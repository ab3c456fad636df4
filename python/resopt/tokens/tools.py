"""What of tools and of schemas of the answer is counted.

Functions are counted as OpenAI's cookbook has it (*How to count tokens with tiktoken*): a line for the function and one
for each property. What the cookbook says nothing of (definitions, alternatives, properties of properties) is counted by
the same lines and kept apart, for it widens the band. The schema of an answer is counted as JSON without `required`,
`additionalProperties` and `$schema` (github.com/openai/openai-cookbook/issues/2140). Anthropic publishes what the
definitions of its own client tools cost (*Bash tool*, *Text editor tool*, *Computer use tool*: pricing).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from resopt.tokens.found import each, field, fielded, spelled

if TYPE_CHECKING:
    from resopt.tokens.found import Chat

_PROVIDED: Final = {"bash": 244, "text_editor": 700, "computer": 735 + 483}
"""Input tokens of Anthropic's own definitions, by the older tokenizer, which takes as many as o200k for code; with the
newer one `bash` has 325. Computer use adds 466 to 499 to the system prompt."""

_COVERED: Final = frozenset(
    {"type", "description", "enum", "title", "properties", "required", "items", "additionalProperties", "$schema"}
)
"""Keys of a schema that the formula counts, or that are shown to no model."""

_NAMED: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_ONE: Final = ("items", "additionalProperties", "not", "contains", "if", "then", "else", "propertyNames")
_SEVERAL: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SAYING: Final = frozenset({"description", "enum", "$ref", "const"})
"""Keys of a schema without a name that are worth a line."""
_NOT_SHOWN: Final = frozenset({"required", "additionalProperties", "$schema"})


def read_tool(tool: Any, chat: Chat) -> None:
    """A function, a custom tool, or one of the provider's own, which cannot be counted unless its cost is published."""
    kind = field(fielded(tool, "a tool is a mapping with its name and parameters"), "type")
    chat.any_tool = True
    sort, _, date = kind.rpartition("_") if isinstance(kind, str) else ("", "", "")
    if sort in _PROVIDED and date.isdigit():
        chat.provided += _PROVIDED[sort]
        return
    inner = field(tool, "function") or field(tool, "custom")
    function = tool if inner is None else inner
    name = field(function, "name")
    if kind not in (None, "function", "custom") or not isinstance(name, str):
        chat.uncounted += 1
        return
    description = field(function, "description") or ""
    chat.tools[0] += 1
    chat.tool_texts.append(f"{name}:{str(description).removesuffix('.')}")
    schema = field(function, "parameters") or field(function, "input_schema")
    shown = {"name": name, "description": description, "parameters": schema}
    chat.spelled.append(spelled(shown, f"the tool {name!r}"))
    if isinstance(schema, Mapping):
        _read_parameters(schema, chat)
    _read_grammar(field(function, "format"), chat)


def read_format(answer: Any, chat: Chat) -> None:
    """The schema that the answer is to have."""
    kind = field(answer, "type")
    if kind in ("text", "json_object"):
        return
    named = answer if (inner := field(answer, "json_schema")) is None else inner
    schema = field(named, "schema")
    if kind != "json_schema" or not isinstance(schema, Mapping):
        chat.uncounted += 1
        return
    shown = {name: value for name in ("name", "description", "schema") if (value := field(named, name)) is not None}
    chat.formats.append(spelled(_shown(schema), "the schema of the answer"))
    chat.spelled_formats.append(spelled(shown, "the schema of the answer"))


def _read_grammar(answer: Any, chat: Chat) -> None:
    """The grammar of a custom tool, which the formula knows nothing of."""
    definition = field(grammar if (grammar := field(answer, "grammar")) is not None else answer, "definition")
    if isinstance(definition, str):
        chat.deeper_texts.append(definition)
        chat.spelled.append(definition)
        chat.deep = True


def _read_parameters(schema: Mapping[str, Any], chat: Chat) -> None:
    """The parameters of a function: its own properties by the formula, all else by the same lines, apart."""
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and properties:
        chat.tools[1] += 1
        for key, inner in properties.items():
            _read_line(str(key), inner, chat.tools, chat.tool_texts)
            _read_deeper(inner, chat)
    _read_deeper({key: value for key, value in schema.items() if key != "properties"}, chat)


def _read_deeper(schema: Any, chat: Chat) -> None:
    """What is inside a schema beyond its own line."""
    if not isinstance(schema, Mapping):
        return
    chat.deep = chat.deep or not _COVERED.issuperset(schema)
    for key, inner in _inside(schema):
        if key is not None:
            _read_line(key, inner, chat.deeper, chat.deeper_texts)
            chat.deep = True
        elif isinstance(inner, Mapping) and not _SAYING.isdisjoint(inner):
            _read_values(inner, chat.deeper, chat.deeper_texts)
            chat.deeper_texts.append(f"{_kind(inner)}:{inner.get('description') or ''}")
            chat.deep = True
        _read_deeper(inner, chat)


def _inside(schema: Mapping[str, Any]) -> Iterator[tuple[str | None, Any]]:
    """Schemas inside a schema: with their names, empty for one of several; None for one that is part of its owner."""
    for keyword in _NAMED:
        if isinstance(named := schema.get(keyword), Mapping):
            yield from ((str(key), inner) for key, inner in named.items())
    for keyword in _ONE:
        if isinstance(inner := schema.get(keyword), Mapping):
            yield None, inner
    for keyword in _SEVERAL:
        yield from (("", inner) for inner in each(schema.get(keyword), keyword))


def _read_line(key: str, schema: Any, counts: list[int], texts: list[str]) -> None:
    schema = schema if isinstance(schema, Mapping) else {}  # `true` is a schema as well
    description = str(schema.get("description") or "").removesuffix(".")
    counts[2] += 1
    texts.append(f"{key}:{_kind(schema)}:{description}")
    _read_values(schema, counts, texts)


def _read_values(schema: Mapping[str, Any], counts: list[int], texts: list[str]) -> None:
    values = schema.get("enum")
    if isinstance(values, list | tuple) and values:
        counts[3] += 1
        counts[4] += len(values)
        texts += map(str, values)


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type") or str(schema.get("$ref") or "").rpartition("/")[2]
    return " | ".join(map(str, kind)) if isinstance(kind, list | tuple) else str(kind)


def _shown(schema: Any) -> Any:
    """A schema without the keys that no model is shown; a property may have their names."""
    if isinstance(schema, list | tuple):
        return [_shown(inner) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: {name: _shown(inner) for name, inner in value.items()}
        if key in _NAMED and isinstance(value, Mapping)
        else _shown(value)
        for key, value in schema.items()
        if key not in _NOT_SHOWN
    }
